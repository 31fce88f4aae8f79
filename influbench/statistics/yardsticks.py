"""Yardsticks, which scores are compared with: their reliability, and the agreement of an estimator's scores."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from influbench.results import UNKNOWN, Details, Statistic
from influbench.statistics.between_seeds import deleted_seed_contributions
from influbench.statistics.correlation import (
    Block,
    ColumnStatistic,
    double_centered,
    kendall,
    mean_over_columns,
    pearson,
    pooled,
    spearman,
    standard_ranks_within,
    whole_table,
)
from influbench.statistics.estimation import Estimation, repeated
from influbench.statistics.reliability import FEWEST_SEEDS, Reliability, reliability
from influbench.statistics.retrieval import auroc, overlap, sign_agreement
from influbench.statistics.significance import clear_effects, share_significant

TOP_SHARE = 0.05  # of the train points: k of the top-k overlap
MOST_MEMORIZED_SHARE = 0.2  # of the train points


StatisticName = Literal["spearman", "auroc"]


@dataclass(frozen=True)
class Measurement:
    """One way to compare scores with a truth, column by column. A `share` lies in [0, 1], not in [-1, 1]."""

    of: ColumnStatistic
    unit: str
    is_share: bool = False

    def interval(self, estimation: Estimation | None) -> Statistic:
        """A value of this kind with its 95% interval."""
        if estimation is None:
            return UNKNOWN
        return _share(estimation) if self.is_share else estimation.correlation_interval()


# A new statistic for columns is a line here; stored yardsticks know it by its name.
MEASUREMENTS: dict[StatisticName, Measurement] = {
    "spearman": Measurement(spearman, "Spearman's rank correlation"),
    "auroc": Measurement(auroc, "area under the ROC curve", is_share=True),
}


def statistic_named(name: str | None) -> StatisticName | None:
    """The statistic of this name; None if it is unknown, as in a file that a later influbench wrote."""
    return next((known for known in MEASUREMENTS if known == name), None)


@dataclass(frozen=True, eq=False)
class Agreement:
    """The agreement of an estimator's scores with the mean truth; None if undefined."""

    value: Estimation | None  # with the truth of these seeds
    of_ceiling: Statistic  # with the expected effects: value / ceiling, with seeds as a source of chance
    n_undefined: int  # columns of the table without a value, because scores or truth are constant there


@dataclass(frozen=True, eq=False)
class Yardstick:
    """A truth (n_seeds, n_rows, n_columns), and the way in which scores are compared with it.

    Rows are train points, columns test points; memorization has one column. Each column is compared within its block
    of the table. With `weights` (n_rows, n_train), rows are sets of train points and scores are summed over each set.
    Known flags are a truth of one seed that is not `noisy`: they do not have a reliability or a ceiling.
    """

    effects: Tensor
    blocks: Sequence[Block]
    statistic: StatisticName = "spearman"
    weights: Tensor | None = None
    noisy: bool = True

    @property
    def measurement(self) -> Measurement:
        return MEASUREMENTS[self.statistic]

    @property
    def has_reliability(self) -> bool:
        """Whether the truth has noise whose share in it can be known: only of rank correlations."""
        return self.noisy and self.statistic == "spearman"

    @property
    def n_pairs(self) -> int:
        """Pairs of a row and a column that are compared."""
        return sum(len(block.rows) * len(block.columns) for block in self.blocks)

    @property
    def fewest_rows(self) -> int:
        """Rows of the smallest block."""
        return min(len(block.rows) for block in self.blocks)

    @property
    def n_columns(self) -> int:
        return self.effects.shape[2]

    def held(self, scores: Tensor) -> Tensor:
        """Scores of train points, (n_train, n_test) or (n_train,), in the form to compare: (n_rows, n_columns)."""
        table = scores[:, None] if scores.ndim == 1 else scores
        return table if self.weights is None else self.weights @ table.double()

    @cached_property
    def mean(self) -> Tensor:
        """The truth that scores are compared with."""
        return self.effects.mean(0)

    @cached_property
    def reliability(self) -> Reliability:
        """The reliability of the truth itself; empty unless `has_reliability`."""
        if not self.has_reliability:
            return Reliability(None, None, {}, len(self.effects))
        return reliability(self.effects, self.blocks)

    @cached_property
    def clear(self) -> Tensor | None:
        """True where effects are clearly not 0; see `clear_effects`."""
        return clear_effects(self.effects)

    def agreement(self, repeats: Sequence[Tensor]) -> Agreement:
        """The agreement of held scores of one or more repeats of an estimator; undefined unless defined for all."""
        found = [mean_over_columns(self.measurement.of, scores, self.mean, self.blocks) for scores in repeats]
        defined = [one.estimation for one in found if one.estimation is not None]
        n_undefined = max(one.n_undefined for one in found)
        if len(defined) < len(found):
            return Agreement(None, UNKNOWN, n_undefined)
        mean = repeated(defined)
        if not self.reliability.is_clear:
            return Agreement(mean, UNKNOWN, n_undefined)
        of_other_seeds = mean if len(self.effects) < FEWEST_SEEDS else replace(mean, by_seed=self._by_seed(repeats))
        return Agreement(mean, self.reliability.share_interval(of_other_seeds), n_undefined)

    def details(self, repeats: Sequence[Tensor]) -> Details:
        """Other views of the agreement, each the mean over repeats."""
        n_train, n_test = self.mean.shape
        k, clear = max(1, round(TOP_SHARE * n_train)), self.clear
        proponents = None if clear is None else clear & (self.mean > 0)
        return Details(
            **(self._over_test_points(repeats) if n_test > 1 else self._among_most(repeats)),
            kendall=self._by(kendall, repeats),
            pearson=self._by(pearson, repeats),
            top_k=k,
            top_k_overlap=self._by(overlap(k), repeats),
            n_clear=None if clear is None else int(clear.sum()),
            sign_agreement=UNKNOWN
            if clear is None
            else _over_repeats(repeats, lambda scores: sign_agreement(scores, self.mean, clear), share=True),
            n_proponents=None if proponents is None else int(proponents.sum()),
            proponents_auroc=UNKNOWN
            if proponents is None
            else self._by(auroc, repeats, truth=proponents.double(), share=True),
        )

    def _over_test_points(self, repeats: Sequence[Tensor]) -> dict[str, object]:
        """The agreement by test point, without the means of rows and columns, and over all pairs at once."""
        values = torch.stack(
            [mean_over_columns(spearman, scores, self.mean, self.blocks).values for scores in repeats]
        ).mean(0)
        defined = values[~values.isnan()]
        quartiles = defined.quantile(defined.new_tensor([0.25, 0.5, 0.75])).tolist() if len(defined) else None
        return {
            "quartiles": quartiles and tuple(quartiles),
            "share_significant": share_significant(values, len(self.mean)),
            "double_centered_spearman": self._by(
                spearman, [double_centered(scores) for scores in repeats], truth=double_centered(self.mean)
            ),
            "pooled": _over_repeats(repeats, lambda scores: pooled(spearman, scores, self.mean)),
        }

    def _among_most(self, repeats: Sequence[Tensor]) -> dict[str, object]:
        """The agreement among the train points that the truth ranks highest."""
        n_most = max(1, round(MOST_MEMORIZED_SHARE * len(self.mean)))
        most = self.mean[:, 0].topk(n_most).indices
        among = Yardstick(self.effects[:, most], whole_table(n_most, 1))
        return {"n_most": n_most, "among_most": among._by(spearman, [scores[most] for scores in repeats])}

    def _by(
        self, of: ColumnStatistic, repeats: Sequence[Tensor], *, truth: Tensor | None = None, share: bool = False
    ) -> Statistic:
        against = self.mean if truth is None else truth
        return _over_repeats(
            repeats, lambda scores: mean_over_columns(of, scores, against, self.blocks).estimation, share=share
        )

    def _by_seed(self, repeats: Sequence[Tensor]) -> Tensor:
        """The contribution of each of the truth's seeds to the agreement."""
        ranks = [standard_ranks_within(scores, self.blocks) for scores in repeats]
        without = [
            torch.stack([(of_scores * of_truth).sum(0).nanmean() for of_scores in ranks]).mean()
            for of_truth in self._without_each_seed
        ]
        return deleted_seed_contributions(torch.stack(without))

    @cached_property
    def _without_each_seed(self) -> list[Tensor]:
        """Standard ranks of the mean over all seeds but one."""
        total, n_seeds = self.effects.sum(0), len(self.effects)
        return [standard_ranks_within((total - one) / (n_seeds - 1), self.blocks) for one in self.effects]


def correlations(effects: Tensor, blocks: Sequence[Block] | None = None) -> Yardstick:
    """A truth (n_seeds, n_rows, n_columns) that scores should rank alike; without blocks, over the whole table."""
    return Yardstick(effects, blocks or whole_table(*effects.shape[1:]))


def flags(positive: Tensor) -> Yardstick:
    """A yardstick of train points (n_train,) that are known to be positive, and that should have high scores."""
    table = positive.double()[None, :, None]
    return Yardstick(table, whole_table(len(positive), 1), statistic="auroc", noisy=False)


def statistic(estimation: Estimation | None) -> Statistic:
    """A correlation with its interval."""
    return UNKNOWN if estimation is None else estimation.correlation_interval()


def _over_repeats(
    repeats: Sequence[Tensor], of: Callable[[Tensor], Estimation | None], *, share: bool = False
) -> Statistic:
    """The mean over repeats with its interval; the interval of a `share` is cut off at 0 and 1."""
    found = [of(scores) for scores in repeats]
    defined = [one for one in found if one is not None]
    if len(defined) < len(found):
        return UNKNOWN
    mean = repeated(defined)
    return _share(mean) if share else mean.correlation_interval()


def _share(estimation: Estimation) -> Statistic:
    """The value with its interval, cut off at 0 and 1."""
    interval = estimation.interval()
    if interval.low is None or interval.high is None:
        return interval
    return Statistic(value=interval.value, low=max(0.0, interval.low), high=min(1.0, interval.high))
