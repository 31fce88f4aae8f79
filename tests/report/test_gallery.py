"""The contact sheet: what is drawn is the data, in the truth's order, and nothing covers anything."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFont

from influbench.engine import run
from influbench.engine.preparation import problem_data
from influbench.errors import UsageError
from influbench.plan import Plan
from influbench.reading.gallery import Gallery, gallery
from influbench.reading.stored import read_stored
from influbench.report.gallery import Sheet, draw, sheet, write_gallery
from tests.engine.test_run import plan
from tests.plugins import registry
from tests.problems import stored_in

DIGITS = '"digits[n_train=40,n_test=10]"'
NOISY = "random_labels = 0.5"


def drawn(of: Plan, tmp_path: Path, *, by: str = "truth", tests: tuple[int, ...] = (), k: int = 2) -> Gallery:
    if not (tmp_path / "out").exists():
        for _ in run(
            of, directory=tmp_path / "out", resources=stored_in(tmp_path / "cache"), registry=registry(raises="Raises")
        ):
            pass
    return gallery(read_stored(tmp_path / "out"), by=by, tests=tests, k=k, registry=registry())


def pictures(folder: Path, shape: tuple[int, ...], *, low: float = 0.0, high: float = 1.0) -> str:
    """A file of pictures of this shape, as a plan names it; ids of train and test points do not meet."""
    draws = np.random.default_rng(0)
    arrays: dict[str, np.ndarray] = {}
    for side, n, first in (("train", 20, 0), ("test", 6, 70_000)):
        labels = np.arange(n) % 2
        inputs = draws.uniform(low, high, (n, *shape)).astype(np.float32)
        inputs[0].flat[0], inputs[0].flat[1] = low, high
        arrays |= {f"{side}_inputs": inputs, f"{side}_labels": labels, f"{side}_ids": np.arange(first, first + n)}
    np.savez(folder / "pictures.npz", **arrays)  # type: ignore[arg-type]
    return f'"{folder / "pictures.npz"}"'


def boxes(of: Sheet) -> list[tuple[int, int, int, int]]:
    """Where the tiles and the ink of the words are: left, top, right, bottom."""
    pen = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    found = []
    for tile in of.tiles:
        height, width = tile.picture.pixels[:: tile.stride, :: tile.stride].shape[:2]
        found.append((tile.left, tile.top, tile.left + tile.scale * width, tile.top + tile.scale * height))
    for words in of.words:
        ink = pen.textbbox((words.left, words.top), words.text, font=ImageFont.load_default(words.size))
        found.append(tuple(map(round, ink)))
    return found


def test_every_pixel_of_a_tile_is_the_datas(tmp_path: Path) -> None:
    of = plan(["random"], dataset=DIGITS, more=NOISY)
    found = sheet(drawn(of, tmp_path))
    image = np.asarray(draw(found))
    data, labels = problem_data(of, of.problems()[0], registry())
    by_id = {
        int(point_id): (pixels, int(label))
        for split in (data.train, data.test)
        for point_id, pixels, label in zip(split.ids, split.inputs, split.labels, strict=True)
    }
    wrong = set(data.train.ids[labels.wrong].tolist())
    assert len(found.tiles) == 2 * 4 + 4 * (1 + 2 + 2)
    for tile in found.tiles:
        pixels, label = by_id[tile.picture.point.id]
        expected = (255 * pixels[0]).round().numpy()
        assert tile.scale == 12
        shown = image[tile.top : tile.top + 96, tile.left : tile.left + 96]
        assert (shown == expected.repeat(12, 0).repeat(12, 1)[..., None]).all()
        frame = tuple(image[tile.top - 1, tile.left - 1].tolist())
        assert (frame == (0xC0, 0x18, 0x2B)) == (tile.picture.point.id in wrong)
        captions = [words for words in found.words if words.left == tile.left and words.top > tile.top + 96]
        assert min(captions, key=lambda words: words.top).text.removesuffix(", wrong") == f"label {label}"
    assert wrong & {tile.picture.point.id for tile in found.tiles}
    assert found.words[-1].text == "Framed in red: a train label that was drawn at random, and is wrong."


def test_what_is_shown_is_in_the_order_of_the_truth(tmp_path: Path) -> None:
    of = plan(["random"], dataset=DIGITS)
    found = drawn(of, tmp_path)
    truth = found.stored.truth
    train_ids, test_ids = truth["train_ids"], truth["test_ids"]
    order = truth["memorization"].argsort(descending=True)
    assert [one.point.id for one in found.most] == train_ids[order[:4]].tolist()
    assert [one.point.id for one in found.least] == train_ids[order.flip(0)[:4]].tolist()
    assert [one.score for one in found.most] == truth["memorization"][order[:4]].tolist()
    most_affected = truth["influence"].abs().sum(0).argsort(descending=True)[:4]
    assert [one.test.point.id for one in found.decisions] == test_ids[most_affected].tolist()
    for column, decision in zip(most_affected.tolist(), found.decisions, strict=True):
        effects = truth["influence"][:, column]
        assert [one.point.id for one in decision.proponents] == train_ids[effects.topk(2).indices].tolist()
        assert [one.point.id for one in decision.opponents] == train_ids[(-effects).topk(2).indices].tolist()
    chosen = test_ids[[3, 1]].tolist()
    assert [one.test.point.id for one in drawn(of, tmp_path, tests=tuple(chosen)).decisions] == chosen


def test_an_estimator_is_drawn_on_the_test_points_of_the_truth(tmp_path: Path) -> None:
    of = plan(["random", "same_label", "train_loss", "raises"], dataset=DIGITS)
    by_truth, found = drawn(of, tmp_path), drawn(of, tmp_path, by="random")
    assert [one.test.point.id for one in found.decisions] == [one.test.point.id for one in by_truth.decisions]
    scores = found.stored.estimates["random"]
    train_ids, column = scores["train_ids"], scores["test_ids"].tolist().index(found.decisions[0].test.point.id)
    best = scores["influence"][:, column].topk(2)
    assert [one.point.id for one in found.decisions[0].proponents] == train_ids[best.indices].tolist()
    assert [one.score for one in found.decisions[0].proponents] == best.values.tolist()
    assert found.most[0].point.id == int(train_ids[scores["memorization"].argmax()])
    words = [one.text for one in sheet(found).words]
    assert words[0] == "Memorization and influence by random"
    assert "Below each: the score of random, in units of its own, and its id." in words


@pytest.mark.parametrize(
    ("name", "title"), [("same_label", "Influence by same_label"), ("train_loss", "Memorization by train_loss")]
)
def test_what_an_estimator_does_not_tell_has_no_section(tmp_path: Path, name: str, title: str) -> None:
    made = sheet(drawn(plan(["same_label", "train_loss"], dataset=DIGITS), tmp_path, by=name))
    words = [one.text for one in made.words]
    assert words[0] == title
    assert ("Most memorized train points" in words) == (name == "train_loss")
    assert ("Who helps and who hurts a test point" in words) == (name == "same_label")
    assert draw(made).size == (made.width, made.height)


@pytest.mark.parametrize("k", [1, 5])
@pytest.mark.parametrize(
    ("shape", "longest_side"),
    [((8, 8), 96), ((1, 28, 20), 84), ((3, 5, 32), 96), ((3, 130, 100), 130), ((400, 390), 134)],
)
def test_nothing_covers_anything_whatever_the_shape(
    tmp_path: Path, shape: tuple[int, ...], longest_side: int, k: int
) -> None:
    found = sheet(drawn(plan(["random"], dataset=pictures(tmp_path, shape), model='"linear"'), tmp_path, k=k))
    every = boxes(found)
    for one, other in combinations(every, 2):
        apart = one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
        assert apart, (one, other)
    assert min(left for left, *_ in every) >= 39  # the ink of a letter may begin one pixel before its place
    assert max(right for _, _, right, _ in every) <= found.width - 40
    assert max(bottom for *_, bottom in every) <= found.height - 40
    assert draw(found).size == (found.width, found.height)
    tile = every[0]
    assert max(tile[2] - tile[0], tile[3] - tile[1]) == longest_side


def test_colours_keep_their_channels_and_other_ranges_are_told(tmp_path: Path) -> None:
    of = plan(["random"], dataset=pictures(tmp_path, (3, 6, 4), low=-2.0, high=3.0), model='"linear"')
    found = sheet(drawn(of, tmp_path))
    image = np.asarray(draw(found))
    inputs = np.load(tmp_path / "pictures.npz")["train_inputs"]
    tile = found.tiles[0]
    expected = np.round(255 * (inputs[tile.picture.point.id] + 2) / 5)
    shown = image[tile.top : tile.top + 96 : 16, tile.left : tile.left + 64 : 16].transpose(2, 0, 1)
    assert np.abs(shown - expected).max() <= 1
    assert shown.std() > 10
    assert found.words[-1].text == "Inputs of -2 are black, those of 3 white."


def test_of_regression_only_influence_is_drawn(tmp_path: Path) -> None:
    draws = torch.Generator().manual_seed(0)
    arrays = {
        f"{side}_{part}": values.numpy()
        for side, n, first in (("train", 12, 0), ("test", 4, 50))
        for inputs in [torch.rand(n, 1, 4, 4, generator=draws)]
        for part, values in (
            ("inputs", inputs), ("labels", inputs.sum((1, 2, 3))), ("ids", torch.arange(first, first + n))
        )
    }  # fmt: skip
    np.savez(tmp_path / "sums.npz", **arrays)  # type: ignore[arg-type]
    found = drawn(plan(["random"], dataset=f'"{tmp_path / "sums.npz"}"', model='"linear"'), tmp_path)
    assert (found.most, found.least) == ([], [])
    made = sheet(found)
    assert made.words[0].text == "Influence"
    assert not any("memorized" in words.text for words in made.words)
    assert len(made.tiles) >= 8


def test_what_cannot_be_drawn_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^blobs has inputs of shape \(5,\), which are not pictures; a gallery needs"):
        drawn(plan(["random"]), tmp_path)
    found = drawn(plan(["random"], dataset=pictures(tmp_path, (4, 4)), model='"linear"'), tmp_path / "pictures")
    with pytest.raises(
        UsageError, match=r"has no test point with the id 7 \(a train point has it\); there is, for instance, 7000"
    ):
        drawn(plan(["random"]), tmp_path / "pictures", tests=(7,))
    with pytest.raises(UsageError, match=r"^no scores of 'raises' are stored, as it failed: raises .* no luck today"):
        drawn(plan(["random", "raises"], dataset=DIGITS), tmp_path / "failed", by="raises")
    with pytest.raises(UsageError, match=r"^gallery\.svg must end in \.png$"):
        write_gallery(found, Path("gallery.svg"))
    with pytest.raises(UsageError, match=r"^cannot write /dev/null/x\.png: .*, or name another file"):
        write_gallery(found, Path("/dev/null/x.png"))


def test_data_that_changed_since_the_run_are_refused(tmp_path: Path) -> None:
    of = plan(["random"], dataset=pictures(tmp_path, (4, 4)), model='"linear"')
    drawn(of, tmp_path)
    arrays = dict(np.load(tmp_path / "pictures.npz"))
    for part, values in (("labels", 1 - arrays["train_labels"]), ("ids", arrays["train_ids"][::-1])):
        np.savez(tmp_path / "pictures.npz", **{**arrays, f"train_{part}": values})  # type: ignore[arg-type]
        with pytest.raises(UsageError, match=rf"has other train {part} than the scores in .*: the data or the plan"):
            drawn(of, tmp_path)
    renamed = (tmp_path / "out" / "plan.toml").read_text().replace("pictures.npz", "others.npz")
    (tmp_path / "out" / "plan.toml").write_text(renamed)
    with pytest.raises(UsageError, match=r"plan\.toml has no problem '.*pictures\.npz, linear': it changed since"):
        drawn(of, tmp_path)


def test_the_same_run_draws_the_same_bytes(tmp_path: Path) -> None:
    of = plan(["random"], dataset=DIGITS)
    for name in ("one.png", "two.png"):
        write_gallery(drawn(of, tmp_path), tmp_path / name)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    with Image.open(tmp_path / "one.png") as image:
        assert image.size == (sheet(drawn(of, tmp_path)).width, sheet(drawn(of, tmp_path)).height)
