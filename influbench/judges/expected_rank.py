"""The expected rank of train points over seeds, as another estimand of leave-one-out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from influbench.api import Column, Judge, JudgedProblem, Truth, Work
from influbench.judges.influence import blocks_of_classes
from influbench.statistics.correlation import Block, whole_table
from influbench.statistics.ranks import rank
from influbench.statistics.yardsticks import Yardstick, correlations

ALL_POINTS = Column("rank", "expected rank\nall points", "influence")
WITHIN_CLASS = Column("rank_within_class", "expected rank\nwithin class", "influence", rows="train points in a class")


@dataclass(frozen=True)
class ExpectedRank(Judge):
    """The rank that a train point usually has: for each test point, the mean over seeds of ranks by effect.

    A few seeds in which an effect is large decide the mean effect, but not the mean rank. So the mean rank is the more
    reliable of the two; it is not what a mean effect predicts. The trainings are those of `leave_one_out`.
    """

    def columns(self, problem: JudgedProblem) -> Sequence[Column]:
        return (ALL_POINTS,) if problem.data.n_classes is None else (ALL_POINTS, WITHIN_CLASS)

    def trainings(self, problem: JudgedProblem) -> Sequence[Work[Truth]]:
        return [problem.leave_one_out]

    def yardsticks(self, problem: JudgedProblem, trained: Sequence[Truth], *, step: int) -> Mapping[str, Yardstick]:
        effects, data = trained[0].after(step).influence, problem.data
        blocks = {ALL_POINTS.key: whole_table(*effects.shape[1:])}
        if data.n_classes is not None:
            blocks[WITHIN_CLASS.key] = blocks_of_classes(data)
        found = {}
        for key, of_column in blocks.items():
            ranks = torch.stack([_ranks_within(effect, of_column) for effect in effects])
            found[key] = correlations(ranks, of_column)
        return found

    def estimand(self, problem: JudgedProblem, trained: Sequence[Truth]) -> str:
        return f"mean over {trained[0].n_seeds} seeds of ranks by {problem.measure} with and without a train point"


def _ranks_within(effect: Tensor, blocks: Sequence[Block]) -> Tensor:
    """Ranks (n_train, n_test) in each block, around 0; 0 outside of the blocks."""
    ranks = torch.zeros(effect.shape, dtype=torch.float64)
    for block in blocks:
        ranked = rank(effect[block.rows][:, block.columns])
        # halves of whole numbers have exact sums, so that equal mean ranks remain ties
        ranks[block.rows[:, None], block.columns] = (ranked.below + ranked.upto - len(block.rows)).T.double() / 2
    return ranks
