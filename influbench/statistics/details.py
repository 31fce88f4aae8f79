"""Other views of an agreement, for the details of a report: other correlations, the top k, the sign."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from influbench.results import UNKNOWN, Details, Statistic
from influbench.statistics.captured import n_highest
from influbench.statistics.correlation import (
    ColumnStatistic,
    double_centered,
    kendall,
    mean_over_columns,
    pearson,
    pooled,
    spearman,
    whole_table,
)
from influbench.statistics.estimation import Estimation, repeated
from influbench.statistics.retrieval import auroc, overlap, overlap_interval, sign_agreement
from influbench.statistics.significance import share_significant
from influbench.statistics.yardsticks import TOP_SHARE, Yardstick

MOST_MEMORIZED_SHARE = 0.2  # of the train points

Interval = Callable[[Estimation], Statistic]


def details(yardstick: Yardstick, repeats: Sequence[Tensor]) -> Details:
    """Other views of the agreement of held scores with a yardstick's mean truth, each the mean over repeats."""
    n_train, n_test = yardstick.mean.shape
    k, clear = n_highest(TOP_SHARE, n_train), yardstick.clear
    proponents = None if clear is None else clear & (yardstick.mean > 0)
    return Details(
        **(_over_test_points(yardstick, repeats) if n_test > 1 else _among_most(yardstick, repeats)),
        kendall=_by(yardstick, kendall, repeats),
        pearson=_by(yardstick, pearson, repeats),
        top_k=k,
        top_k_overlap=_by(yardstick, overlap(k), repeats, interval=partial(overlap_interval, share=k / n_train)),
        n_clear=None if clear is None else int(clear.sum()),
        sign_agreement=UNKNOWN
        if clear is None
        else _over_repeats(
            repeats, lambda scores: sign_agreement(scores, yardstick.mean, clear), Estimation.share_interval
        ),
        n_proponents=None if proponents is None else int(proponents.sum()),
        proponents_auroc=UNKNOWN
        if proponents is None
        else _by(yardstick, auroc, repeats, truth=proponents.double(), interval=Estimation.share_interval),
    )


def _over_test_points(yardstick: Yardstick, repeats: Sequence[Tensor]) -> dict[str, object]:
    """The agreement by test point, without the means of rows and columns, and over all pairs at once."""
    truth = yardstick.mean
    values = torch.stack(
        [mean_over_columns(spearman, scores, truth, yardstick.blocks).values for scores in repeats]
    ).mean(0)
    defined = values[~values.isnan()]
    quartiles = defined.quantile(defined.new_tensor([0.25, 0.5, 0.75])).tolist() if len(defined) else None
    centered = [double_centered(scores) for scores in repeats]
    return {
        "quartiles": quartiles and tuple(quartiles),
        "share_significant": share_significant(values, len(truth)),
        "double_centered_spearman": _by(yardstick, spearman, centered, truth=double_centered(truth)),
        "pooled": _over_repeats(repeats, lambda scores: pooled(spearman, scores, truth)),
    }


def _among_most(yardstick: Yardstick, repeats: Sequence[Tensor]) -> dict[str, object]:
    """The agreement among the train points that the truth ranks highest."""
    n_most = n_highest(MOST_MEMORIZED_SHARE, len(yardstick.mean))
    most = yardstick.mean[:, 0].topk(n_most).indices
    among = Yardstick(yardstick.effects[:, most], whole_table(n_most, 1))
    return {"n_most": n_most, "among_most": _by(among, spearman, [scores[most] for scores in repeats])}


def _by(
    yardstick: Yardstick,
    of: ColumnStatistic,
    repeats: Sequence[Tensor],
    *,
    truth: Tensor | None = None,
    interval: Interval = Estimation.correlation_interval,
) -> Statistic:
    against = yardstick.mean if truth is None else truth
    return _over_repeats(
        repeats, lambda scores: mean_over_columns(of, scores, against, yardstick.blocks).estimation, interval
    )


def _over_repeats(
    repeats: Sequence[Tensor],
    of: Callable[[Tensor], Estimation | None],
    interval: Interval = Estimation.correlation_interval,
) -> Statistic:
    """The mean over repeats with its interval; unknown unless it is defined for all."""
    found = [of(scores) for scores in repeats]
    defined = [one for one in found if one is not None]
    return UNKNOWN if len(defined) < len(found) else interval(repeated(defined))
