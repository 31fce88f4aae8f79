"""Statistics of how well scores find the train points that matter: the top k, the clear proponents, the sign."""

from math import sqrt

import torch
from torch import Tensor

from influbench.results import Statistic
from influbench.statistics.correlation import Columns, ColumnStatistic
from influbench.statistics.estimation import Estimation
from influbench.statistics.ranks import rank, weight_above

FEWEST_OF_CLASS = 10  # positives, and negatives, that an area under the ROC curve needs; pairs that signs need


def overlap(k: int) -> ColumnStatistic:
    """Share of the truth's k highest that are among the scores' k highest, (found - k/n) / (1 - k/n): 0 by chance.

    Points tied at the threshold share the remaining places.
    """

    def of(x: Tensor, y: Tensor) -> Columns:
        share = k / len(x)
        a, b = membership(x, k), membership(y, k)
        found = (a * b).mean(0) / share
        defined = ~((x == x[:1]).all(0) | (y == y[:1]).all(0)) & (share < 1)
        values = torch.where(defined, (found - share) / (1 - share), torch.nan)
        at_x, at_y = mean_near_threshold(x, b, k), mean_near_threshold(y, a, k)
        influence = a * b / share - found - (at_x * (a - share) + at_y * (b - share)) / share
        shown = influence.square().sum(0) / (len(x) * (len(x) - 1))
        unseen = (_binomial(found, k, k) - shown).clamp_min(0)
        return Columns(
            values,
            (influence / (1 - share)).where(defined, 0.0),
            (unseen / (1 - share) ** 2).where(defined, 0.0),
        )

    return of


def overlap_interval(estimation: Estimation, share: float) -> Statistic:
    """An overlap with its 95% interval, by way of the share of the truth's k highest that are found."""
    found = estimation.apply(lambda value: share + (1 - share) * value, 1 - share).share_interval()
    if found.low is None or found.high is None:
        return Statistic(value=estimation.value, low=None, high=None)
    return Statistic(
        value=estimation.value, low=(found.low - share) / (1 - share), high=(found.high - share) / (1 - share)
    )


def auroc(x: Tensor, y: Tensor) -> Columns:
    """Area under the ROC curve: the probability that a row with y = 1 scores above one with y = 0, ties by half.

    Undefined with fewer than ten rows of either class, where no interval can be relied on. Each class is a sample of
    its own (DeLong, DeLong, Clarke-Pearson 1988), and the variance is at least Hanley and McNeil's (1982).
    """
    n, ranked = len(x), rank(x)
    positive = y.T.double()
    n_positive = positive.sum(1, keepdim=True)
    n_negative = n - n_positive
    negatives_below = 1 - n * weight_above(ranked, 1 - positive) / n_negative
    positives_above = n * weight_above(ranked, positive) / n_positive
    values = (positive * negatives_below).sum(1, keepdim=True) / n_positive
    of_positive = (negatives_below - values) * _by_class(n_positive, n)
    of_negative = (positives_above - values) * _by_class(n_negative, n)
    influence = torch.where(positive > 0, of_positive, of_negative)
    defined = (n_positive >= FEWEST_OF_CLASS) & (n_negative >= FEWEST_OF_CLASS)
    influence = influence.where(defined, 0.0)
    shown = influence.square().sum(1, keepdim=True) / (n * (n - 1))
    unseen = (_hanley_mcneil(values, n_positive, n_negative) - shown).clamp_min(0).where(defined, 0.0)
    return Columns(torch.where(defined, values, torch.nan)[:, 0], influence.T, unseen[:, 0])


def _by_class(n_class: Tensor, n: int) -> Tensor:
    """The factor from a deviation to its influence on the mean of a class.

    With it, the variance n / (n - 1) times the sum over all rows is the sum of n_class / (n_class - 1) times the sum
    over each class.
    """
    return n / n_class * (n_class / (n_class - 1) * (n - 1) / n).sqrt()


def _hanley_mcneil(values: Tensor, n_positive: Tensor, n_negative: Tensor) -> Tensor:
    """The variance of areas whose scores are exponential in both classes.

    Areas are shrunk as if one more comparison of 2 n, with n the smaller class, were undecided. An area of 1 has a
    variance above 0 by that.
    """
    n_compared = 2 * torch.minimum(n_positive, n_negative)
    area = (n_compared * values + 0.5) / (n_compared + 1)
    two_positives, two_negatives = area / (2 - area), 2 * area.square() / (1 + area)
    spread = area * (1 - area)
    spread = spread + (n_positive - 1) * (two_positives - area.square())
    spread = spread + (n_negative - 1) * (two_negatives - area.square())
    return spread / (n_positive * n_negative)


def sign_agreement(scores: Tensor, truth: Tensor, clear: Tensor) -> Estimation | None:
    """Share of the `clear` pairs whose score has the sign of the truth; a score of 0 counts half.

    None with fewer than ten clear pairs.
    """
    n_clear = int(clear.sum())
    if n_clear < FEWEST_OF_CLASS:
        return None
    agreeing = (1 + scores.sign() * truth.sign()) / 2
    value = agreeing[clear].mean()
    n_rows, n_columns = int(clear.any(1).sum()), int(clear.any(0).sum())
    contributions = (agreeing - value).where(clear, 0.0) / n_clear
    n_independent = min(n_rows, n_columns) if clear.shape[1] > 1 else n_rows
    unseen = float(_binomial(value, n_independent, n_clear) - contributions.square().sum())
    return Estimation(
        float(value),
        contributions,
        n_rows=n_rows,
        n_columns=n_columns if clear.shape[1] > 1 else None,
        unseen=sqrt(max(0.0, unseen)),
    )


def _binomial(share: Tensor, n_independent: int, n: int) -> Tensor:
    """The variance of a share of n, shrunk as if one more of the independent ones were undecided: never 0."""
    shrunk = (n_independent * share + 0.5) / (n_independent + 1)
    return shrunk * (1 - shrunk) / n


def membership(table: Tensor, k: int) -> Tensor:
    """Membership of each value in the k highest of its column, (n_rows, n_columns) in [0, 1]; each column sums to k."""
    threshold = table.topk(k, dim=0).values[-1]
    above, tied = (table > threshold).double(), (table == threshold).double()
    return above + tied * (k - above.sum(0)) / tied.sum(0)


def mean_near_threshold(table: Tensor, other: Tensor, k: int) -> Tensor:
    """Mean of `other` over about k rows whose ranks are closest to k, half of them on either side."""
    half = max(1, k // 2)
    near = table.argsort(dim=0, descending=True)[max(0, k - half) : k + half]
    return other.gather(0, near).mean(0)
