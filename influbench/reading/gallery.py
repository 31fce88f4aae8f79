"""The pictures behind a run's scores: what is memorized, and who helps and hurts chosen test points."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from influbench.api import Data
from influbench.engine.preparation import problem_data
from influbench.errors import UsageError
from influbench.plan import read_plan
from influbench.reading.explanation import strongest
from influbench.reading.stored import TRUTH, Stored
from influbench.registry import Registry, installed
from influbench.results import Point, Side
from influbench.store.run_directory import PLAN, file_name

_DECISIONS = 4  # test points that are shown where none is named
_CHANNELS = (1, 3)  # gray, or red, green and blue


@dataclass(frozen=True, eq=False)
class Picture:
    """A point with what it looks like, and its memorization or its influence on a test point.

    `of_probability` is True if the score is a difference of probabilities, and not in another unit.
    """

    point: Point
    pixels: Tensor  # (height, width, 1 or 3) uint8
    score: float | None = None
    of_probability: bool = False


@dataclass(frozen=True, eq=False)
class Decision:
    """A test point with its strongest proponents and opponents, strongest first."""

    test: Picture
    proponents: Sequence[Picture]
    opponents: Sequence[Picture]


@dataclass(frozen=True, eq=False)
class Gallery:
    """The pictures of one problem of a run, by the truth or an estimator.

    `most` and `least` memorized, or `decisions`, are empty where that account lacks them.
    `black` and `white` are the values of inputs that are drawn so; what is between them is drawn in proportion.
    """

    stored: Stored
    by: str  # "truth", or an estimator's name
    most: Sequence[Picture]
    least: Sequence[Picture]
    decisions: Sequence[Decision]
    black: float
    white: float


def gallery(
    stored: Stored, *, by: str = TRUTH, tests: Sequence[int] = (), k: int = 5, registry: Registry | None = None
) -> Gallery:
    """The 2 k most and least memorized train points, and the k strongest proponents and opponents of test points.

    `by` is whose scores these are: "truth", or an estimator of the run. `tests` are ids; without them, the test points
    of the largest total absolute influence by the truth, whoever is drawn. The data are loaded again from the run's
    plan. UsageError if they are not pictures, or not the points that the scores cover.
    """
    scores = stored.account(by)
    columns = [stored.row("test", test_id) for test_id in tests] or stored.most_affected(_DECISIONS).tolist()
    data = _data(stored, registry or installed())
    look, black, white = _look(stored, data)

    def trained_on(rows: Tensor, of: Tensor) -> list[Picture]:
        return [
            Picture(stored.point("train", row), look("train", row), float(of[row]), of is memorization and by == TRUTH)
            for row in rows.tolist()
        ]

    memorization = scores.get("memorization", torch.empty(0))
    descending, n = memorization.argsort(descending=True, stable=True), min(2 * k, len(memorization) // 2)
    decisions = [
        Decision(
            Picture(stored.point("test", column), look("test", column)),
            proponents=trained_on(strongest(effects, k), effects),
            opponents=trained_on(strongest(-effects, k), effects),
        )
        for column in (columns if "influence" in scores else ())
        for effects in [scores["influence"][:, column]]
    ]
    return Gallery(
        stored,
        by,
        most=trained_on(descending[:n], memorization),
        least=trained_on(descending.flip(0)[:n], memorization),
        decisions=decisions,
        black=black,
        white=white,
    )


def gallery_file(directory: Path, by: str) -> Path:
    """The file of a gallery of the run in this directory, unless the user names another one."""
    return directory / ("gallery.png" if by == TRUTH else f"gallery-{file_name(by)}.png")


def _data(stored: Stored, registry: Registry) -> Data:
    """The problem's data, loaded again; UsageError unless they are the points that the scores are of."""
    plan = read_plan(str(stored.directory / PLAN))
    problem = next((one for one in plan.problems() if one.name == stored.name), None)
    if problem is None:
        raise UsageError(f"{stored.directory / PLAN} has no problem {stored.name!r}: it changed since that run")
    data, _ = problem_data(plan, problem, registry)
    for side, split in (("train", data.train), ("test", data.test)):
        for part, values in (("ids", split.ids), ("labels", split.labels)):
            if not torch.equal(values, stored.truth[f"{side}_{part}"]):
                raise UsageError(
                    f"{problem.dataset} has other {side} {part} than the scores in {stored.directory}: the data or the "
                    "plan changed since that run"
                )
    return data


def _look(stored: Stored, data: Data) -> tuple[Callable[[Side, int], Tensor], float, float]:
    """The pixels of a point, (height, width, channels) uint8, and the values that are drawn black and white."""
    splits = {"train": data.train.inputs, "test": data.test.inputs}
    shape = tuple(data.train.inputs.shape[1:])
    if not (len(shape) == 2 or (len(shape) == 3 and shape[0] in _CHANNELS)):
        raise UsageError(
            f"{stored.result.problem.dataset} has inputs of shape {shape}, which are not pictures; a gallery needs "
            "(height, width), (1, height, width) or (3, height, width)"
        )
    low = min(float(inputs.min()) for inputs in splits.values())
    high = max(float(inputs.max()) for inputs in splits.values())
    black, white = (0.0, 1.0) if low >= 0 and high <= 1 else (low, high)

    def look(side: Side, row: int) -> Tensor:
        pixels = (splits[side][row] - black) / max(white - black, 1e-12)
        pixels = pixels[..., None] if pixels.ndim == 2 else pixels.permute(1, 2, 0)
        return (255 * pixels).round().to(torch.uint8)

    return look, black, white
