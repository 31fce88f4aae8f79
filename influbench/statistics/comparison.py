"""One estimator's scores against the truth."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from influbench.results import Statistic
from influbench.statistics.correlation import Block, mean_spearman, pooled_spearman
from influbench.statistics.estimation import Estimation
from influbench.statistics.reliability import Reliability

UNKNOWN = Statistic(value=None, low=None, high=None)


@dataclass(frozen=True)
class Agreement:
    """Agreement of scores with the mean truth, over all train points or within classes."""

    spearman: Statistic
    of_ceiling: Statistic  # agreement with the expected leave-one-out effect: spearman / ceiling
    n_undefined: int  # test points without a correlation, because scores or truth are constant there


def agreement(scores: Tensor, truth: Tensor, blocks: Sequence[Block], known: Reliability) -> Agreement:
    """Agreement of scores (n_train, n_test) with a truth (n_seeds, n_train, n_test) of this reliability."""
    mean = mean_spearman(scores, truth.mean(0), blocks)
    if mean.estimation is None:
        return Agreement(UNKNOWN, UNKNOWN, mean.n_undefined)
    of_ceiling = mean.estimation.over(known.ceiling).interval() if known.ceiling else UNKNOWN
    return Agreement(mean.estimation.correlation_interval(), of_ceiling, mean.n_undefined)


def pooled_agreement(scores: Tensor, truth: Tensor) -> Statistic:
    """Spearman's correlation of all pairs at once: it also rewards knowing which test points are easy to move."""
    return correlation(pooled_spearman(scores, truth.mean(0)))


def correlation(estimation: Estimation | None) -> Statistic:
    return UNKNOWN if estimation is None else estimation.correlation_interval()
