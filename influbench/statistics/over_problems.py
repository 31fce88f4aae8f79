"""Values over several problems: their mean on these problems, and on problems with other data sets.

The two answer different questions. On *these* problems, only points, seeds, and draws are random. For problems
*elsewhere*, the data sets are a random sample. All problems on one data set (with other models, random labels, sizes)
depend on it, so the error follows from how much data sets differ from each other. These differences contain the noise
within each problem, so it is not added a second time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import hypot

import torch
from torch import Tensor

from influbench.results import Statistic
from influbench.statistics.differences import Difference
from influbench.statistics.estimation import Estimation, combined

FEWEST_DATASETS = 4  # with three, the t quantile exceeds 4, and intervals cover nearly all that is possible


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
        few_draws=any(table.few_draws for table in tables),
        unseen=hypot(*(table.unseen for table in tables)),
        rest_of_columns=_rest_of_columns(tables),
    )


def _rest_of_columns(tables: Sequence[Estimation]) -> Tensor | None:
    """The rest of the weight without each column, of all tables; None if no table has weights."""
    if all(table.rest_of_columns is None for table in tables):
        return None
    ones = [torch.ones(table.contributions.shape[1], dtype=torch.float64) for table in tables]
    return torch.cat(
        [
            one if table.rest_of_columns is None else table.rest_of_columns
            for table, one in zip(tables, ones, strict=True)
        ]
    )


def mean_elsewhere(values: Sequence[float], datasets: Sequence[str]) -> Estimation | None:
    """The mean over problems whose data sets are a random sample; None for fewer than `FEWEST_DATASETS`.

    `values` and `datasets` are in the order of the problems. Each problem counts equally, so data sets count by their
    number of problems. A squared deviation of a data set's mean is divided by what it is expected to be if all data
    sets vary alike, which makes the variance unbiased in that case; its degrees of freedom are Satterthwaite's (Bell,
    McCaffrey 2002). With one problem for each data set, this is Student's t.
    """
    weights, means = _by_dataset(values, datasets)
    n_datasets = len(weights)
    if n_datasets < FEWEST_DATASETS:
        return None
    value = (weights * means).sum()
    expected = 1 - 2 * weights + weights.square().sum()  # of squared deviations, in variances of a data set
    usual = 1 - 1 / n_datasets  # what an `Estimation` divides by
    return Estimation(
        float(value),
        contributions=(weights * (means - value) * (usual / expected).sqrt())[:, None],
        n_rows=n_datasets,
        n_columns=None,
        freedom=_degrees_of_freedom(weights, expected),
    )


def _by_dataset(values: Sequence[float], datasets: Sequence[str]) -> tuple[Tensor, Tensor]:
    """The share of each data set in all problems, and the mean of its values."""
    of_dataset: dict[str, list[float]] = {}
    for value, dataset in zip(values, datasets, strict=True):
        of_dataset.setdefault(dataset, []).append(value)
    shares = [len(some) / len(values) for some in of_dataset.values()]
    means = [sum(some) / len(some) for some in of_dataset.values()]
    return torch.tensor(shares, dtype=torch.float64), torch.tensor(means, dtype=torch.float64)


def _degrees_of_freedom(weights: Tensor, expected: Tensor) -> float:
    """Satterthwaite's degrees of freedom of the variance, a quadratic form in data sets that vary alike."""
    n_datasets = len(weights)
    deviations = torch.eye(n_datasets, dtype=torch.float64) - weights  # (n_datasets, n_datasets), of unit values
    form = deviations.T @ torch.diag(weights.square() / expected) @ deviations
    return float(form.trace() ** 2 / (form @ form).trace())


def widened(statistic: Statistic, other: Statistic) -> Statistic:
    """The statistic with an interval that contains the other's as well, where both are known."""
    if statistic.low is None or statistic.high is None or other.low is None or other.high is None:
        return statistic
    return Statistic(value=statistic.value, low=min(statistic.low, other.low), high=max(statistic.high, other.high))


def widened_differences(found: Sequence[Difference], others: Sequence[Difference]) -> list[Difference]:
    """Differences with intervals that contain those of the same pairs in `others`."""
    intervals = {(one.first, one.second): one.statistic for one in others}
    return [replace(one, statistic=widened(one.statistic, intervals[one.first, one.second])) for one in found]


def ranks(values: Mapping[str, float]) -> dict[str, float]:
    """Ranks by name: 1 for the highest value; ties share the mean rank."""
    return {
        name: 1 + sum(other > value for other in values.values()) + (list(values.values()).count(value) - 1) / 2
        for name, value in values.items()
    }


def reversed_without(first: Sequence[float], second: Sequence[float]) -> list[int]:
    """Places of the problems without any one of which the lower of two means becomes the higher one."""
    differences = [one - other for one, other in zip(first, second, strict=True)]
    total = sum(differences)
    return [place for place, difference in enumerate(differences) if total * (total - difference) < 0]
