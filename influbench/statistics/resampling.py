"""Intervals of any statistic of means over examples and over seeds, by resampling both.

The method is the Bayesian bootstrap (Rubin 1981): in each resample, every example and every seed has a random weight
with an exponential distribution. Weights are drawn for an example's id, so an example has the same weight in every
group and row. Examples and seeds are resampled independently (the pigeonhole bootstrap of Owen 2007 with these
weights), which is conservative if every cell of the table has its own noise.
"""

from math import ceil, floor, isinf

import torch
from torch import Tensor

from influbench.results import UNKNOWN, Statistic
from influbench.seeds import derive, hash_integers, uniform

_AT_A_TIME = 2**24  # numbers


def weights(ids: Tensor, *, n_resamples: int, seed: int) -> Tensor:
    """Weights (1 + n_resamples, n) whose rows sum to 1; those of the first row are equal, and give the value itself."""
    resamples = torch.tensor([derive(seed, "resample", number) for number in range(n_resamples)])
    drawn = -uniform(hash_integers(resamples[:, None], ids[None])).log()
    together = torch.cat([torch.ones(1, len(ids), dtype=torch.float64), drawn])
    return together / together.sum(1, keepdim=True)


def weighted_means(values: Tensor, of_seeds: Tensor, of_examples: Tensor) -> Tensor:
    """Means (n_weights, n_steps) of values (n_seeds, n_steps, n) under each row of both tables of weights."""
    n_seeds, n_steps, n = values.shape
    at_a_time = max(1, _AT_A_TIME // (n_steps * n))
    flat = values.reshape(n_seeds, n_steps * n)
    return torch.cat(
        [
            ((seeds @ flat).reshape(-1, n_steps, n) * examples[:, None]).sum(-1)
            for seeds, examples in zip(of_seeds.split(at_a_time), of_examples.split(at_a_time), strict=True)
        ]
    )


def percentile_interval(resampled: Tensor) -> Statistic:
    """The first of the values (1 + n_resamples,) with the 95% interval of the others.

    A resample with an undefined statistic (nan) could have any value: it counts as the lowest at the low end and as the
    highest at the high end. If there are enough of these, the interval does not have that end.
    """
    value, others = float(resampled[0]), resampled[1:]
    if value != value:
        return UNKNOWN
    low = float(others.where(~others.isnan(), -torch.inf).sort().values[floor(0.025 * len(others))])
    high = float(others.where(~others.isnan(), torch.inf).sort().values[ceil(0.975 * len(others)) - 1])
    return Statistic(value=value, low=None if isinf(low) else low, high=None if isinf(high) else high)
