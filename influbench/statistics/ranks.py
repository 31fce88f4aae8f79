"""Ranks of the columns of a table; ties share the mean rank."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Ranked:
    """The ranks of the columns of a table: `cdf` is the mid-distribution function, so that ties share the mean rank."""

    cdf: Tensor  # (n_columns, n_rows) in (0, 1)
    order: Tensor  # (n_columns, n_rows) rows in ascending order
    below: Tensor  # (n_columns, n_rows) number of smaller values
    upto: Tensor  # (n_columns, n_rows) number of smaller or equal values


def rank(table: Tensor) -> Ranked:
    """Ranks of each column of (n_rows, n_columns)."""
    values = table.T.contiguous()
    ascending, order = values.sort(dim=1)
    below = torch.searchsorted(ascending, values)
    upto = torch.searchsorted(ascending, values, right=True)
    return Ranked((below + upto).double() / (2 * values.shape[1]), order, below, upto)


def weight_above(ranked: Ranked, weights: Tensor) -> Tensor:
    """For each value, the mean over rows of `weights`, in full if the row's value is larger and by half if equal."""
    sums = torch.nn.functional.pad(weights.gather(1, ranked.order).cumsum(1), (1, 0))
    half_way = (sums.gather(1, ranked.below) + sums.gather(1, ranked.upto)) / 2
    return (sums[:, -1:] - half_way) / weights.shape[1]


def standard_ranks(table: Tensor) -> Tensor:
    """Ranks of each column of (n_rows, n_columns), with mean 0 and norm 1; nan in constant columns.

    The inner product of two such columns is Spearman's correlation.
    """
    values = table.T.contiguous()
    ascending, order = values.sort(dim=1)
    places = torch.arange(1.0, values.shape[1] + 1, dtype=torch.float64).expand_as(values)
    if (ascending[:, 1:] == ascending[:, :-1]).any():
        below = torch.searchsorted(ascending, values)
        ranks = (below + torch.searchsorted(ascending, values, right=True) + 1).double() / 2
    else:
        ranks = torch.empty_like(places, memory_format=torch.contiguous_format).scatter_(1, order, places)
    ranks -= (values.shape[1] + 1) / 2
    norms = ranks.norm(dim=1, keepdim=True)
    return (ranks / torch.where(norms > 0, norms, torch.nan)).T
