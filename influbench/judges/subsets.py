"""Training on random subsets as a judge: the linear datamodeling score (Park et al. 2023, arXiv 2303.14186).

The score measures how well the sum of influence over a subset ranks the measures of networks trained on such subsets.
Estimators do not receive these networks. Every subset is trained with two seeds, so that this truth has a reliability.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from influbench.api import Bank, Column, Judge, JudgedProblem, Work
from influbench.statistics.correlation import whole_table
from influbench.statistics.yardsticks import Yardstick

N_SEEDS = 2  # the fewest with a reliability; each further seed adds the cost of the first
USUAL_RATIO = 0.5


@dataclass(frozen=True)
class Subsets(Judge):
    """The linear datamodeling score over `n` random subsets, each a share `ratio` of the train points.

    For each test point, it is Spearman's correlation over subsets of the summed influence with the measure after
    training on the subset; the column is the mean over test points. Judges of several ratios make several columns.
    """

    n: int = 256
    ratio: float = USUAL_RATIO

    def __post_init__(self) -> None:
        if self.n < 3:
            raise ValueError(f"n must be at least 3, got {self.n}: a correlation needs three subsets")
        if not 0 < self.ratio < 1:
            raise ValueError(f"ratio must be above 0 and below 1, got {self.ratio}")

    def unsupported(self, problem: JudgedProblem) -> str | None:
        if round(self.ratio * len(problem.data.train)) < 1:
            return f"a share of {self.ratio:g} of {len(problem.data.train)} train points is less than one"
        return None

    def columns(self, problem: JudgedProblem) -> Sequence[Column]:
        return (self._column,)

    def trainings(self, problem: JudgedProblem) -> Sequence[Work[Bank]]:
        return [problem.subsets(n_models=self.n, ratio=self.ratio, repeat=repeat) for repeat in range(N_SEEDS)]

    def yardsticks(self, problem: JudgedProblem, trained: Sequence[Bank], *, step: int) -> Mapping[str, Yardstick]:
        banks = [bank.after(step) for bank in trained]
        measured = torch.stack([bank.on_test for bank in banks])  # (n_seeds, n_subsets, n_test)
        blocks = whole_table(*measured.shape[1:])
        return {self._column.key: Yardstick(measured, blocks, weights=banks[0].weights.double())}

    def estimand(self, problem: JudgedProblem, trained: Sequence[Bank]) -> str:
        return (
            f"{problem.measure} after training on {self.n:,} random subsets of a share of {self.ratio:g}, "
            f"{N_SEEDS} seeds each"
        )

    @property
    def _column(self) -> Column:
        if self.ratio == USUAL_RATIO:
            return Column("lds", "random\nsubsets (LDS)", "influence", rows="subsets")
        return Column(f"lds_{self.ratio:g}", f"subsets of\n{self.ratio:g} (LDS)", "influence", rows="subsets")
