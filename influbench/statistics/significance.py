"""Effects and correlations that are not due to chance, at a false discovery rate of 5%."""

from math import sqrt

import torch
from scipy import stats
from torch import Tensor

_RATE = 0.05
_FEWEST_SEEDS = 3


def clear_effects(truth: Tensor) -> Tensor | None:
    """True where effects (n_seeds, n_train, n_test) are not 0, by a paired t test over seeds.

    The false discovery rate is controlled over the whole table (Benjamini and Hochberg 1995). None with fewer than
    three seeds, where the test has almost no power.
    """
    n_seeds = len(truth)
    if n_seeds < _FEWEST_SEEDS:
        return None
    mean, spread = truth.mean(0), truth.std(0)
    t = torch.where(spread > 0, mean / (spread / sqrt(n_seeds)), 0.0)
    p = torch.from_numpy(2 * stats.t.sf(t.abs().numpy(), n_seeds - 1))
    return _discoveries(p.flatten()).reshape(mean.shape)


def share_significant(correlations: Tensor, n: int) -> float | None:
    """Share of the defined correlations of n points that are not 0, by Student's t, as in scipy's spearmanr."""
    defined = correlations[~correlations.isnan()]
    if not len(defined) or n < _FEWEST_SEEDS:
        return None
    t = defined * ((n - 2) / (1 - defined.square()).clamp_min(1e-300)).sqrt()
    p = torch.from_numpy(2 * stats.t.sf(t.abs().numpy(), n - 2))
    return float(_discoveries(p).double().mean())


def _discoveries(p: Tensor) -> Tensor:
    return torch.from_numpy(stats.false_discovery_control(p.numpy()) <= _RATE)
