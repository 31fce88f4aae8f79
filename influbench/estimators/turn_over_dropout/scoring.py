"""Scores from trained networks: the measure under an example's own mask minus that under the flipped one."""

import torch
from torch import Tensor

from influbench.api import Masks, Problem, Runs, Split

_OUTPUTS = 2**18  # (replica, train point, test point) triples evaluated at a time


def influence_scores(problem: Problem, runs: Runs, own: Masks, flipped: Masks) -> Tensor:
    """`measure_j(f with own_i) - measure_j(f with flipped_i)`, averaged over replicas: (n_train, n_test) float64.

    Kobayashi et al. 2020, with the measure in place of minus the loss.
    """
    data = problem.data
    at_a_time = max(1, _OUTPUTS // (runs.n_replicas * len(data.test)))
    rows = [
        _mean_measure(problem, runs, data.test, ids, own) - _mean_measure(problem, runs, data.test, ids, flipped)
        for ids in data.train.ids.split(at_a_time)
    ]
    return torch.cat(rows)


def memorization_scores(problem: Problem, runs: Runs, own: Masks, flipped: Masks) -> Tensor:
    """`p_correct_i(f with own_i) - p_correct_i(f with flipped_i)`, averaged over replicas: (n_train,) float64."""
    train = problem.data.train
    return (runs.p_correct(train, masks=own) - runs.p_correct(train, masks=flipped)).mean(0)


def _mean_measure(problem: Problem, runs: Runs, test: Split, ids: Tensor, masks: Masks) -> Tensor:
    """Measure of every test point under the mask of each id, averaged over replicas: (len(ids), n_test)."""
    outputs = runs.crossed_outputs(test, ids=ids, masks=masks)  # (n_replicas, len(ids), n_test, ...)
    return problem.measured(outputs, test.labels[None, None]).mean(0)
