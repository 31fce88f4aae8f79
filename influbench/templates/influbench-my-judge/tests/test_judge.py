"""The effects and scores of my_judge, against its definition computed by hand."""

import torch
from influbench import Column, Estimate, Truth
from influbench.testing import small_judged_problem

from influbench_my_judge.judge import MyJudge


def test_effects_are_means_over_test_points() -> None:
    effects = torch.arange(24.0, dtype=torch.float64).reshape(2, 4, 3)
    problem = small_judged_problem()
    yardstick = MyJudge().yardsticks(problem, [Truth(effects, None)], step=problem.n_steps)["my_judge"]
    assert yardstick.effects.tolist() == [[[1.0], [4.0], [7.0], [10.0]], [[13.0], [16.0], [19.0], [22.0]]]


def test_scores_are_means_over_test_points() -> None:
    (column,) = MyJudge().columns(small_judged_problem())
    scores = MyJudge().scores(Estimate(influence=torch.tensor([[1.0, 3.0], [0.0, 5.0]])), column)
    assert isinstance(column, Column)
    assert scores is not None
    assert scores.tolist() == [2.0, 2.5]
