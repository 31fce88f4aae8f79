"""`influbench explain` and `influbench gallery` as users have them."""

from pathlib import Path

import pytest
from PIL import Image

from influbench.reading.stored import read_stored
from influbench.results import ExplanationRecord
from tests.cli.conftest import QUICK, Influbench


@pytest.fixture
def ran(influbench: Influbench, quick_plan: Path, tmp_path: Path) -> Path:
    noisy = quick_plan.read_text().replace("[training]", "random_labels = 0.3\n[training]")
    quick_plan.write_text(noisy)
    assert influbench("run", quick_plan, "-q", "-o", "out", "-e", "random", "-e", "same_label").exit_code == 0
    return tmp_path / "out"


@pytest.mark.parametrize("columns", [80, 160])
def test_a_point_is_explained_as_wide_as_the_terminal(influbench: Influbench, ran: Path, columns: int) -> None:
    stored = read_stored(ran)
    for side, words in (("test", ("Who helps it?", "Who hurts it?")), ("train", ("Whom does it help?", "memorized"))):
        told = influbench("explain", "out", f"--{side}", stored.example(side), columns=columns)
        assert told.exit_code == 0, told.stderr
        assert max(map(len, told.stdout.splitlines())) <= columns
        assert "…" not in told.stdout
        assert f"{side} point {stored.example(side)}, label" in told.stdout
        assert all(word in told.stdout for word in words)


def test_the_json_is_what_is_printed(influbench: Influbench, ran: Path) -> None:
    stored = read_stored(ran)
    words = ("explain", "out", "--train", stored.example("train"), "-k", 2)
    printed = influbench(*words).stdout
    found = ExplanationRecord.model_validate_json(influbench(*words, "--json").stdout)
    assert (found.side, found.k, found.point) == (
        "train",
        2,
        stored.point("train", stored.row("train", found.point.id)),
    )
    assert [one.name for one in found.accounts] == ["truth", "random", "same_label"]
    for one in found.accounts:
        assert len(one.helps.points) <= 2
        for point in (*one.helps.points, *one.hurts.points):
            assert f"{point.id} ({point.label})" in printed


def test_one_point_must_be_chosen_and_known(influbench: Influbench, ran: Path) -> None:
    stored = read_stored(ran)
    known = {"test": stored.example("test"), "train": stored.example("train")}
    sentence = f"Error: choose one point, for instance --test {known['test']} or --train {known['train']}\n"
    for words in ([], ["--test", known["test"], "--train", known["train"]]):
        told = influbench("explain", "out", *words)
        assert (told.exit_code, told.stdout, told.stderr) == (2, "", sentence)
    unknown = influbench("explain", "out", "--test", 123456)
    assert (unknown.exit_code, unknown.stderr) == (
        2,
        f"Error: {stored.name} has no test point with the id 123456; there is, for instance, {known['test']}\n",
    )
    assert influbench("explain", "out", "--test", known["test"], "-k", 0).exit_code == 2
    nowhere = influbench("explain", "nowhere", "--test", 1)
    assert (nowhere.exit_code, nowhere.stderr) == (2, "Error: nowhere is not a run directory: it has no result.json\n")


def test_a_gallery_is_drawn_into_the_run_directory(influbench: Influbench, ran: Path, tmp_path: Path) -> None:
    told = influbench("gallery", "out")
    assert (told.exit_code, told.stdout, told.stderr) == (0, "The gallery is in out/gallery.png.\n", "")
    test_id = read_stored(ran).example("test")
    assert influbench("gallery", "out", "-o", "one.png", "--test", test_id, "-k", 3).exit_code == 0
    with Image.open(ran / "gallery.png") as whole, Image.open(tmp_path / "one.png") as one:
        assert whole.format == one.format == "PNG"
        assert whole.width > one.width
        assert whole.height > one.height
    unknown = influbench("gallery", "out", "--test", 123456)
    assert unknown.exit_code == 2
    assert f"no test point with the id 123456; there is, for instance, {test_id}" in unknown.stderr
    assert influbench("run", "out/plan.toml", "-q", "-o", "out").exit_code == 0  # what is drawn is not in the way


def test_a_gallery_by_an_estimator_has_a_file_of_its_own(influbench: Influbench, ran: Path) -> None:
    told = influbench("gallery", "out", "-e", "same_label")
    assert (told.exit_code, told.stdout, told.stderr) == (0, "The gallery is in out/gallery-same_label.png.\n", "")
    assert (ran / "gallery-same_label.png").is_file()
    assert not (ran / "gallery.png").exists()
    unknown = influbench("gallery", "out", "-e", "same_labels")
    assert (unknown.exit_code, unknown.stdout) == (2, "")
    assert unknown.stderr == "Error: no scores of 'same_labels' are stored; did you mean 'same_label'?\n"


def test_what_is_no_picture_is_one_sentence(influbench: Influbench, tmp_path: Path) -> None:
    (tmp_path / "wine.toml").write_text(QUICK.replace("digits[n_train=70,n_test=20]", "wine"))
    assert influbench("run", "wine.toml", "-q", "-o", "out", "-e", "random").exit_code == 0
    told = influbench("gallery", "out")
    assert (told.exit_code, told.stdout) == (2, "")
    assert told.stderr == (
        "Error: wine has inputs of shape (13,), which are not pictures; a gallery needs (height, width), "
        "(1, height, width) or (3, height, width)\n"
    )
    assert not (tmp_path / "out" / "gallery.png").exists()
