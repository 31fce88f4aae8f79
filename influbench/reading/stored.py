"""The stored truth of one problem and the scores of every estimator, on the same points."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from influbench.errors import StoreError, UnknownNameError, UsageError, did_you_mean
from influbench.results import Point, Result, Results, Side, Trust
from influbench.store.run_directory import read_result, read_scores, scores_place

TRUTH = "truth"  # its name among the estimators'
_IDS = ("train_ids", "test_ids")


@dataclass(frozen=True, eq=False)
class Stored:
    """One problem of a run.

    `truth` holds ids, labels, `influence` (n_train, n_test) and, but for regression, `memorization` (n_train,), means
    over seeds; each of `estimates` holds those of the two that it predicts, with further repeats as `influence@1`.
    """

    directory: Path
    result: Result
    truth: Mapping[str, Tensor]
    estimates: Mapping[str, Mapping[str, Tensor]]  # by estimator, in the order of the run

    @property
    def name(self) -> str:
        """The problem's name."""
        return self.result.problem.name

    @property
    def trust(self) -> Trust:
        """The trust in the truth of influence."""
        return self.result.trust["influence"]

    @property
    def accounts(self) -> dict[str, Mapping[str, Tensor]]:
        """The truth and every estimator, by name."""
        return {TRUTH: self.truth, **self.estimates}

    def account(self, name: str) -> Mapping[str, Tensor]:
        """The scores of an estimator, or of "truth". UsageError, with why, where none are stored."""
        place_of_scores(self.result, name)
        return self.accounts[name]

    def point(self, side: Side, row: int) -> Point:
        """The train or test point of this row."""
        wrong = side == "train" and bool(self.truth["label_wrong"][row])
        label = self.truth[f"{side}_labels"][row].item()
        names = self.result.problem.class_names
        return Point(
            id=int(self.truth[f"{side}_ids"][row]),
            label=label,
            label_name=None if names is None else names[int(label)],
            wrong=wrong,
        )

    def row(self, side: Side, point_id: int) -> int:
        """The row of the train or test point of this id. UsageError, with a known id, if no point has it."""
        ids = self.truth[f"{side}_ids"].tolist()
        if point_id in ids:
            return int(ids.index(point_id))
        other: Side = "test" if side == "train" else "train"
        elsewhere = f" (a {other} point has it)" if point_id in self.truth[f"{other}_ids"].tolist() else ""
        raise UsageError(
            f"{self.name} has no {side} point with the id {point_id}{elsewhere}; there is, for instance, "
            f"{self.example(side)}"
        )

    def example(self, side: Side) -> int:
        """The id of a point that is worth a look: the most affected test point, the most memorized train point."""
        (row,) = (self.most_affected() if side == "test" else self.most_affecting()).tolist()
        return self.point(side, row).id

    def most_affected(self, n: int = 1) -> Tensor:
        """Rows of the test points of the largest total absolute influence, largest first, (n,) or fewer."""
        return self.truth["influence"].abs().sum(0).argsort(descending=True, stable=True)[:n]

    def most_affecting(self, n: int = 1) -> Tensor:
        """Rows of the most memorized train points, or of those of most influence for regression, likewise."""
        values = self.truth.get("memorization", self.truth["influence"].abs().sum(1))
        return values.argsort(descending=True, stable=True)[:n]


def place_of_scores(result: Result, name: str) -> str:
    """The place of an estimator's scores, or of "truth", in a run directory. UsageError, with the reason, if none."""
    if name == TRUTH:
        return scores_place(result.problem.name, TRUTH)
    cells = [cell for cell in result.cells if cell.name == name]
    for cell in cells:
        if cell.scores:
            return cell.scores
        if cell.status != "ok":
            why = "it failed" if cell.status == "failed" else "it is unsupported"
            raise UsageError(f"no scores of {name!r} are stored, as {why}: {cell.reason}")
    known = list(dict.fromkeys([TRUTH, *(cell.name for cell in result.cells if cell.scores)]))
    hint = did_you_mean(name, known) or f"; there are those of {', '.join(map(repr, known))}"
    raise UnknownNameError(f"no scores of {name!r} are stored{hint}")


def read_stored(directory: Path, problem: str | None = None) -> Stored:
    """The stored tensors of this problem of the run in this directory; a run of one problem needs no name.

    UsageError where no scores are stored, as in a run of which only the result was kept.
    """
    result = _chosen(directory, read_result(directory), problem)
    name = result.problem.name
    truth_place = scores_place(name, TRUTH)
    if not (directory / truth_place).is_file():
        raise UsageError(
            f"{directory} holds no scores of {name}, only what was found; run its plan.toml again with -o NEW_DIRECTORY"
        )
    truth = read_scores(directory, truth_place)
    if "influence" not in truth:
        raise UsageError(f"{directory} has no leave-one-out truth of {name}; run its plan with -j leave_one_out")
    places = {cell.name: cell.scores for cell in result.cells if cell.scores}
    estimates = {estimator: read_scores(directory, place) for estimator, place in places.items()}
    for estimator, scores in estimates.items():
        if not all(torch.equal(scores[ids], truth[ids]) for ids in _IDS):
            raise StoreError(f"{directory / places[estimator]} is of other points than the truth beside it")
    return Stored(directory, result, truth, estimates)


def _chosen(directory: Path, whole: Results, name: str | None) -> Result:
    results = {one.problem.name: one for one in whole.results}
    if name is None and len(results) > 1:
        known = " or ".join(map(repr, results))
        raise UsageError(f"{directory} has several problems; choose one with --problem: {known}")
    if not results:
        raise UsageError(f"{directory} holds no scores: all of its problems failed")
    if name is None:
        (only,) = results.values()
        return only
    if name not in results:
        hint = did_you_mean(name, list(results)) or f"; it has {', '.join(map(repr, results))}"
        raise UnknownNameError(f"{directory} has no problem {name!r}{hint}")
    return results[name]
