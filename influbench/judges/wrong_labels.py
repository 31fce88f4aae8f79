"""Train labels that are known to be wrong, as a judge of memorization scores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from influbench.api import Column, Judge, JudgedProblem
from influbench.statistics.retrieval import FEWEST_OF_CLASS
from influbench.statistics.yardsticks import Yardstick, flags

WRONG_LABELS = Column("wrong_labels", "wrong labels\n(AUROC)", "memorization")


@dataclass(frozen=True)
class WrongLabels(Judge):
    """The ability of memorization scores to find train labels that were drawn at random and are not the true labels.

    The column is the area under the ROC curve: the probability that a wrong label has a higher score than a right one.
    """

    def unsupported(self, problem: JudgedProblem) -> str | None:
        n_wrong, n = int(problem.wrong.sum()), len(problem.wrong)
        if n_wrong in (0, n):
            which = "every" if n_wrong else "no"
            return f"{which} train label is known to be wrong; ask with random_labels above 0 and below 1"
        fewest, which = min((n_wrong, "wrong"), (n - n_wrong, "right"))
        if fewest < FEWEST_OF_CLASS:
            verb = "is" if fewest == 1 else "are"
            return f"only {fewest} of {n:,} train labels {verb} {which}; an AUROC needs ten on either side"
        return None

    def columns(self, problem: JudgedProblem) -> Sequence[Column]:
        return (WRONG_LABELS,)

    def yardsticks(self, problem: JudgedProblem, trained: Sequence[Any], *, step: int) -> Mapping[str, Yardstick]:
        return {WRONG_LABELS.key: flags(problem.wrong)}

    def estimand(self, problem: JudgedProblem, trained: Sequence[Any]) -> str:
        return f"{int(problem.wrong.sum()):,} of {len(problem.wrong):,} train labels, which were drawn at random"
