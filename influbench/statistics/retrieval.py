"""Statistics of how well scores find the train points that matter: the top k, the clear proponents, the sign."""

import torch
from torch import Tensor

from influbench.statistics.correlation import Columns, ColumnStatistic
from influbench.statistics.estimation import Estimation
from influbench.statistics.ranks import rank, weight_above


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
        return Columns(values, (influence / (1 - share)).where(defined, 0.0))

    return of


def auroc(x: Tensor, y: Tensor) -> Columns:
    """Area under the ROC curve: the probability that a row with y = 1 scores above one with y = 0, ties by half."""
    n, ranked = len(x), rank(x)
    positive = y.T.double()
    n_positive = positive.sum(1, keepdim=True)
    n_negative = n - n_positive
    negatives_below = 1 - n * weight_above(ranked, 1 - positive) / n_negative
    positives_above = n * weight_above(ranked, positive) / n_positive
    values = (positive * negatives_below).sum(1, keepdim=True) / n_positive
    of_positive, of_negative = (negatives_below - values) * n / n_positive, (positives_above - values) * n / n_negative
    influence = torch.where(positive > 0, of_positive, of_negative)
    defined = ((n_positive > 0) & (n_negative > 0))[:, 0]
    return Columns(torch.where(defined, values[:, 0], torch.nan), influence.where(defined[:, None], 0.0).T)


def sign_agreement(scores: Tensor, truth: Tensor, clear: Tensor) -> Estimation | None:
    """Share of the `clear` pairs whose score has the sign of the truth; a score of 0 counts half."""
    n_clear = int(clear.sum())
    if not n_clear:
        return None
    agreeing = (1 + scores.sign() * truth.sign()) / 2
    value = float(agreeing[clear].mean())
    return Estimation(
        value,
        (agreeing - value).where(clear, 0.0) / n_clear,
        n_rows=int(clear.any(1).sum()),
        n_columns=int(clear.any(0).sum()) if clear.shape[1] > 1 else None,
    )


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
