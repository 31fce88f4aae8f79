"""Scores from trained networks: the measure under an example's own mask minus the measure under the flipped mask."""

import torch
from torch import Tensor

from influbench.api import MeasureName, Problem, Runs, SplitMasks


def influence_scores(
    problem: Problem, runs: Runs, masks: SplitMasks, *, step: int | None = None, measure: MeasureName | None = None
) -> Tensor:
    """`measure_j(f with own_i) - measure_j(f with flipped_i)`, averaged over replicas: (n_train, n_test) float64.

    This is Kobayashi et al. 2020 with the measure in place of minus the loss.
    """
    train, test = problem.data.train, problem.data.test
    total = torch.zeros(len(train), len(test), dtype=torch.float64, device=problem.device)
    for part in runs.crossed_outputs(test, ids=train.ids, masks=masks, step=step):
        total[part.rows] += problem.measured(part.own, test.labels[None], measure=measure)
        total[part.rows] -= problem.measured(part.flipped, test.labels[None], measure=measure)
    return total / runs.n_replicas


def memorization_scores(problem: Problem, runs: Runs, masks: SplitMasks, *, step: int | None = None) -> Tensor:
    """`p_correct_i(f with own_i) - p_correct_i(f with flipped_i)`, averaged over replicas: (n_train,) float64."""
    train = problem.data.train
    own, flipped = (runs.p_correct(train, masks=half, step=step) for half in (masks, masks.flipped()))
    return (own - flipped).mean(0)
