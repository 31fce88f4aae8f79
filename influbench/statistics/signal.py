"""Signal of the truth: whether its seeds agree at all, and its squared effects without the noise of the seeds."""

from itertools import combinations
from math import sqrt

import torch
from scipy import stats
from torch import Tensor

FEWEST_SEEDS = 3  # of two, there is one pair, which cannot show whether its agreement is chance
_LEVEL = 0.975  # one-sided, as the lower end of a 95% interval


def is_above_noise(effects: Tensor) -> bool:
    """True if the seeds of a truth (n_seeds, n_rows, n_columns) agree with each other more than chance allows.

    The statistic is the mean cosine between the effects of two seeds. Without any expected effect, the cosines of
    different pairs are uncorrelated with mean 0, whatever depends on what within a seed, so Student's t over pairs
    applies. False with fewer than three seeds.
    """
    if len(effects) < FEWEST_SEEDS:
        return False
    flat = effects.flatten(1)
    norms = flat.norm(dim=1, keepdim=True)
    directions = flat / torch.where(norms > 0, norms, 1.0)
    cosines = torch.stack([directions[a] @ directions[b] for a, b in combinations(range(len(effects)), 2)])
    error = float(cosines.std()) / sqrt(len(cosines))
    critical = float(stats.t.ppf(_LEVEL, len(cosines) - 1))
    return float(cosines.mean()) > critical * error


def signal(effects: Tensor) -> Tensor:
    """Squared expected effects (n_rows, n_columns) of a truth (n_seeds, n_rows, n_columns), up to an unbiased error.

    Each is the mean product of two different seeds, over all pairs of seeds, so the noise of a seed never meets itself.
    Columns in which these products sum to 0 or less have no signal that can be seen, and get 0 throughout. The column
    sums weigh test points in proportion to the sum of their squared effects. At least two seeds.
    """
    n_seeds = len(effects)
    products = (effects.sum(0).square() - effects.square().sum(0)) / (n_seeds * (n_seeds - 1))
    return products.where(products.sum(0) > 0, 0.0)


def effective_number(weights: Tensor) -> float:
    """The number of equal weights that would vary as much as these do: (sum w)^2 / sum w^2 (Kish 1965)."""
    return float(weights.sum().square() / weights.square().sum())
