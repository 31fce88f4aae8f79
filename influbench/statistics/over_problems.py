"""Agreement over several problems: mean correlations and mean ranks."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import hypot

import torch

from influbench.results import Statistic
from influbench.statistics.differences import Difference
from influbench.statistics.estimation import Estimation, combined


def mean_over_problems(groups: Sequence[Sequence[Estimation]]) -> Estimation:
    """The mean over these fixed problems; their train and test points are random.

    Problems in one group share their points, so their common errors add up. Groups are independent of each other: their
    tables are blocks on the diagonal of one large table.
    """
    n_problems = sum(map(len, groups))
    tables = [
        combined(sum(part.value for part in parts) / n_problems, [(1 / n_problems, part) for part in parts])
        for parts in groups
    ]
    n_columns = [table.n_columns for table in tables if table.n_columns is not None]
    return replace(
        tables[0],
        value=sum(table.value for table in tables),
        contributions=torch.block_diag(*(table.contributions for table in tables)),
        n_rows=sum(table.n_rows for table in tables),
        n_columns=sum(n_columns) if n_columns else None,
        by_repeat=tuple(repeats for table in tables for repeats in table.by_repeat),
        unseen=hypot(*(table.unseen for table in tables)),
    )


def ranks(values: Mapping[str, float]) -> dict[str, float]:
    """Ranks by name: 1 for the highest value; ties share the mean rank."""
    return {
        name: 1 + sum(other > value for other in values.values()) + (list(values.values()).count(value) - 1) / 2
        for name, value in values.items()
    }


def rank_bounds(names: Sequence[str], found: Sequence[Difference]) -> dict[str, tuple[int, int]]:
    """The lowest and highest rank of each name, by the numbers that are clearly better and clearly worse.

    The bounds hold for all names at once with 95%, because the intervals of all differences are simultaneous (Mogstad,
    Romano, Shaikh, Wilhelm 2024, "Inference for ranks").
    """
    better = {name: sum(one.is_clear and one.second == name for one in found) for name in names}
    worse = {name: sum(one.is_clear and one.first == name for one in found) for name in names}
    return {name: (1 + better[name], len(names) - worse[name]) for name in names}


def mean_rank(of_problems: Sequence[float], bounds: Sequence[tuple[int, int]]) -> Statistic:
    """The mean over problems of one estimator's ranks and of their bounds."""
    n = len(of_problems)
    return Statistic(
        value=sum(of_problems) / n,
        low=sum(low for low, _ in bounds) / n,
        high=sum(high for _, high in bounds) / n,
    )
