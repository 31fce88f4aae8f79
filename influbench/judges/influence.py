"""Columns in which influence scores are compared with one table of effects, and their yardsticks."""

from collections.abc import Mapping, Sequence

from torch import Tensor

from influbench.api import Column, Data
from influbench.statistics.correlation import Block, within_classes
from influbench.statistics.yardsticks import Yardstick, correlations

CAPTURED, WITHIN_CLASS, WEIGHTED, ALL_POINTS = "captured", "within_class", "weighted", "influence"


def influence_columns(data: Data, *, prefix: str = "", of: str = "influence") -> Sequence[Column]:
    """Captured effect, correlation within classes, weighted by signal and, in the details, over all points alike.

    Regression has no column within classes.
    """
    columns = [Column(f"{prefix}{CAPTURED}", f"{of}\ncaptured", "influence")]
    if data.n_classes is not None:
        within = Column(f"{prefix}{WITHIN_CLASS}", f"{of}\nwithin class", "influence", rows="train points in a class")
        columns.append(within)
    # the charts leave out the last two: in both, an estimator that only recognizes the class can be high
    columns.append(Column(f"{prefix}{WEIGHTED}", f"{of}\nby signal", "influence", chart=data.n_classes is None))
    columns.append(
        Column(f"{prefix}{ALL_POINTS}", f"{of}\nall points", "influence", details=True, headline=False, chart=False)
    )
    return columns


def influence_yardsticks(
    effects: Tensor, data: Data, *, prefix: str = "", noisy: bool = True, paired: bool = False
) -> Mapping[str, Yardstick]:
    """The yardsticks of `influence_columns` for effects (n_seeds, n_train, n_test)."""
    found = {
        f"{prefix}{CAPTURED}": correlations(effects, statistic="captured", noisy=noisy, paired=paired),
        f"{prefix}{WEIGHTED}": correlations(effects, statistic="weighted_spearman", noisy=noisy, paired=paired),
        f"{prefix}{ALL_POINTS}": correlations(effects, noisy=noisy, paired=paired),
    }
    if data.n_classes is not None:
        within = blocks_of_classes(data)
        found[f"{prefix}{WITHIN_CLASS}"] = correlations(effects, within, noisy=noisy, paired=paired)
    return found


def blocks_of_classes(data: Data) -> list[Block]:
    """One block for each class: its train points, by the labels that they are trained with, with its test points."""
    return within_classes(data.train.labels.cpu(), data.test.labels.cpu())
