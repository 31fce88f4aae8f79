"""`influbench data`."""

from pathlib import Path

import numpy as np

from tests.cli.conftest import QUICK, Influbench


def test_points_are_written_and_where_is_said(influbench: Influbench, quick_plan: Path, tmp_path: Path) -> None:
    told = influbench("data", quick_plan, "-o", "points.npz")
    assert (told.exit_code, told.stderr) == (0, "")
    assert told.stdout == "70 train points and 20 test points of digits[n_train=70,n_test=20] are in points.npz.\n"
    influbench("data", quick_plan, "-o", "other.npz", "--seed", 5)
    first, other = (np.load(tmp_path / name)["train_ids"].tolist() for name in ("points.npz", "other.npz"))
    assert len(first) == len(other) == 70
    assert first != other


def test_the_points_of_one_problem_are_chosen_by_its_name(influbench: Influbench, tmp_path: Path) -> None:
    (tmp_path / "two.toml").write_text(QUICK.replace("[training]", "random_labels = [0.0, 0.5]\n[training]"))
    several = influbench("data", "two.toml", "-o", "points.npz")
    assert several.exit_code == 2
    assert several.stderr.startswith("Error: two has several problems; choose one with --problem: 'digits[")
    noisy = "digits[n_train=70,n_test=20], mlp[hidden=[8]], random_labels=0.5"
    chosen = influbench("data", "two.toml", "--problem", noisy, "-o", "points.npz")
    assert chosen.exit_code == 0, chosen.stderr
    assert "digits[n_train=70,n_test=20] with random_labels=0.5 are in points.npz" in chosen.stdout


def test_points_of_another_data_set_are_written(influbench: Influbench, quick_plan: Path, tmp_path: Path) -> None:
    told = influbench("data", quick_plan, "-d", "wine[n_train=30,n_test=9]", "-o", "points.npz")
    assert told.stdout == "30 train points and 9 test points of wine[n_train=30,n_test=9] are in points.npz.\n"
    unknown = influbench("data", quick_plan, "-d", "whine", "-o", "points.npz")
    assert (unknown.exit_code, unknown.stderr) == (2, "Error: unknown data set 'whine'; did you mean 'wine'?\n")


def test_a_folder_is_not_made(influbench: Influbench, quick_plan: Path, tmp_path: Path) -> None:
    told = influbench("data", quick_plan, "-o", "new/folder/points.npz")
    sentence = (
        "cannot write new/folder/points.npz: the folder new/folder does not exist; create it, or name another file"
    )
    assert (told.exit_code, told.stdout, told.stderr) == (2, "", f"Error: {sentence}\n")
    assert not (tmp_path / "new").exists()


def test_a_file_must_be_named(influbench: Influbench) -> None:
    assert influbench("data").exit_code == 2
    wrong = influbench("data", "-o", "points")
    assert (wrong.exit_code, wrong.stderr) == (2, "Error: points must end in .npz, as data sets in files do\n")
