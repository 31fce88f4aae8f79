"""Files of one problem besides its result: the mean truth, the scores, and the yardsticks they are held against."""

from collections.abc import Collection, Mapping, Sequence

import torch
from torch import Tensor

from influbench.api import Data, Estimate, Truth
from influbench.engine.labels import RandomLabels
from influbench.statistics.correlation import Block
from influbench.statistics.yardsticks import Yardstick, statistic_named
from influbench.store.files import Arrays
from influbench.store.run_directory import RunDirectory

TRUTH, YARDSTICKS = "truth", "yardsticks"
_DERIVED = "derived"
_OWN = "column "  # before the key of a column in the names of scores that its judge derived


def write_truth(target: RunDirectory, problem: str, data: Data, labels: RandomLabels, truth: Truth | None) -> None:
    """The labels, which of them are random, and the mean truth of leave-one-out where there is one."""
    dtype = data.train.inputs.dtype
    tensors = {
        **_ids(data),
        "train_labels": data.train.labels,
        "test_labels": data.test.labels,
        "label_drawn": labels.drawn,
        "label_wrong": labels.wrong,
    }
    if truth is not None:
        tensors["influence"] = truth.influence.mean(0).to(dtype)
        if truth.memorization is not None:
            tensors["memorization"] = truth.memorization.mean(0).to(dtype)
    target.write_scores(problem, TRUTH, tensors)


def score_tensors(
    data: Data, estimates: Sequence[Estimate], held_apart: Mapping[str, Sequence[Tensor]]
) -> dict[str, Tensor]:
    """The stored tensors of the estimates, in the problem's dtype, with the ids of rows and columns.

    Those of further repeats are named `influence@1`, `influence@2` and so on; scores that a judge derived by its own
    rule are named `column KEY`.
    """
    scores: dict[str, Tensor] = {}
    for repeat, estimate in enumerate(estimates):
        for quantity, values in (("influence", estimate.influence), ("memorization", estimate.memorization)):
            if values is not None:
                scores[_in_repeat(quantity, repeat)] = values.to(data.train.inputs.dtype)
    for key, held in held_apart.items():
        for repeat, values in enumerate(held):
            scores[_in_repeat(f"{_OWN}{key}", repeat)] = values
    return {**_ids(data), **scores}


def held_scores(
    tensors: Mapping[str, Tensor], key: str, quantity: str, yardstick: Yardstick, *, derived: bool
) -> list[Tensor]:
    """The scores of every repeat, ready to be compared in a column, from stored tensors; empty without scores.

    Those that are `derived` by a judge's own rule were stored as it derived them.
    """
    if derived:
        return [one.double() for one in _repeats(tensors, f"{_OWN}{key}")]
    return [yardstick.held(one.double()) for one in _repeats(tensors, quantity)]


def yardstick_arrays(yardsticks: Mapping[str, Yardstick], dtype: torch.dtype, derived: Collection[str]) -> Arrays:
    """Every yardstick that scores can have a value with, and the mean of its truth, for `read_yardstick`.

    No truth is stored twice. `derived` are the columns whose scores follow a rule of the judge.
    """
    tensors: dict[str, Tensor] = {}
    notes: dict[str, str] = {}
    for key, yardstick in yardsticks.items():
        if yardstick.silence is not None:
            continue
        mean = (yardstick.effects if yardstick.paired else yardstick.mean).to(dtype)
        same = [name for name, stored in tensors.items() if name.endswith("/truth") and torch.equal(stored, mean)]
        notes[key] = yardstick.statistic
        notes[f"{key}/scores"] = _DERIVED if key in derived else ""
        notes[f"{key}/truth"] = same[0] if same else f"{key}/truth"
        if not same:
            tensors[f"{key}/truth"] = mean
        if yardstick.weights is not None:
            tensors[f"{key}/weights"] = yardstick.weights
        if yardstick.stakes is not None:
            tensors[f"{key}/stakes"] = yardstick.stakes
        for number, block in enumerate(yardstick.blocks):
            tensors[f"{key}/rows/{number:05d}"] = block.rows
            tensors[f"{key}/columns/{number:05d}"] = block.columns
    return Arrays(tensors, notes)


def read_yardstick(arrays: Arrays, key: str) -> Yardstick | None:
    """One yardstick, with the mean truth as its only seed unless it is paired; None where the column is not stored."""
    statistic = statistic_named(arrays.notes.get(key))
    if statistic is None:
        return None
    tensors = arrays.tensors
    rows = sorted(name for name in tensors if name.startswith(f"{key}/rows/"))
    blocks = [Block(tensors[name], tensors[name.replace("/rows/", "/columns/")]) for name in rows]
    truth = tensors[arrays.notes[f"{key}/truth"]].double()
    paired = truth.ndim == 3
    return Yardstick(
        truth if paired else truth[None],
        blocks,
        statistic,
        weights=tensors.get(f"{key}/weights"),
        noisy=False,
        paired=paired,
        known_stakes=tensors.get(f"{key}/stakes"),
    )


def has_derived_scores(arrays: Arrays, key: str) -> bool:
    """True if the scores that a column compares follow a rule of its judge."""
    return arrays.notes.get(f"{key}/scores") == _DERIVED


def _repeats(tensors: Mapping[str, Tensor], name: str) -> list[Tensor]:
    """The tensors of this name and of its further repeats, in order."""
    found: list[Tensor] = []
    while (key := _in_repeat(name, len(found))) in tensors:
        found.append(tensors[key])
    return found


def _in_repeat(name: str, repeat: int) -> str:
    """The name of a tensor in this repeat of an estimator."""
    return f"{name}@{repeat}" if repeat else name


def _ids(data: Data) -> dict[str, Tensor]:
    return {"train_ids": data.train.ids, "test_ids": data.test.ids}
