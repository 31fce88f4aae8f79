"""Yardsticks, which scores are compared with: their reliability, and the agreement of an estimator's scores."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from influbench.results import FEWEST_DRAWS, UNKNOWN, Statistic
from influbench.statistics.between_seeds import deleted_seed_contributions
from influbench.statistics.captured import Largest, captured, known_largest, largest, n_highest
from influbench.statistics.correlation import (
    Block,
    ColumnMean,
    ColumnStatistic,
    mean_over_columns,
    spearman,
    standard_ranks_within,
    whole_table,
)
from influbench.statistics.estimation import Estimation, repeated
from influbench.statistics.one_seed import captured_by_one_seed, correlation_of_one_seed
from influbench.statistics.reliability import Reliability, reliability
from influbench.statistics.retrieval import auroc, membership
from influbench.statistics.signal import FEWEST_SEEDS, effective_number, is_above_noise, signal
from influbench.statistics.significance import clear_effects

LIKE_NOISE = "the truth cannot be distinguished from noise; add seeds"
TOP_SHARE = 0.05  # of the train points: k of the captured effect and of the top-k overlap

StatisticName = Literal["spearman", "weighted_spearman", "captured", "auroc"]


@dataclass(frozen=True)
class Measurement:
    """One way to compare scores with a yardstick. A `share` lies in [0, 1], a correlation in [-1, 1], all at most 1."""

    of: Callable[["Yardstick", Tensor], ColumnMean]
    unit: str
    is_share: bool = False
    is_correlation: bool = True

    def interval(self, estimation: Estimation | None) -> Statistic:
        """A value of this kind with its 95% interval."""
        if estimation is None:
            return UNKNOWN
        if self.is_share:
            return estimation.share_interval()
        return estimation.correlation_interval() if self.is_correlation else estimation.interval(most=1.0)


def _mean_over_columns(of: ColumnStatistic) -> Callable[["Yardstick", Tensor], ColumnMean]:
    def measured(yardstick: "Yardstick", scores: Tensor) -> ColumnMean:
        return mean_over_columns(of, scores, yardstick.mean, yardstick.blocks, yardstick.weights_of_columns)

    return measured


def _captured(yardstick: "Yardstick", scores: Tensor) -> ColumnMean:
    unknown = torch.full((yardstick.n_columns,), torch.nan, dtype=torch.float64)
    if yardstick.most is None:
        return ColumnMean(None, unknown, unknown)
    if _is_constant(scores):
        return ColumnMean(None, torch.zeros_like(unknown), unknown, n_silent=yardstick.n_columns)
    found = captured(scores, yardstick.effects, yardstick.most)
    if found is None:
        return ColumnMean(None, unknown, unknown)
    # a ratio of sums: every test point is part of it with what its own train points are worth
    worth = (membership(scores, yardstick.most.k) * yardstick.mean).sum(0)
    return ColumnMean(found, worth, unknown)


# A new statistic for columns is a line here; stored yardsticks know it by its name.
MEASUREMENTS: dict[StatisticName, Measurement] = {
    "spearman": Measurement(_mean_over_columns(spearman), "Spearman's rank correlation"),
    "weighted_spearman": Measurement(
        _mean_over_columns(spearman), "Spearman's rank correlation, test points weighted by signal"
    ),
    "captured": Measurement(
        _captured, f"captured effect of the {TOP_SHARE:.0%} highest-scored train points", is_correlation=False
    ),
    "auroc": Measurement(_mean_over_columns(auroc), "area under the ROC curve", is_share=True),
}


def statistic_named(name: str | None) -> StatisticName | None:
    """The statistic of this name; None if it is unknown, as in a file that a later influbench wrote."""
    return next((known for known in MEASUREMENTS if known == name), None)


@dataclass(frozen=True, eq=False)
class Agreement:
    """The agreement of an estimator's scores with the mean truth; None if undefined.

    `n_undefined` counts columns of the table without a value, because the truth is constant there; `n_silent` those in
    which only the scores are constant, which count as 0.
    """

    value: Estimation | None  # with the truth of these seeds
    of_ceiling: Statistic  # with the expected effects: value / ceiling, with seeds as a source of chance
    n_undefined: int
    n_silent: int = 0


@dataclass(frozen=True, eq=False)
class Yardstick:
    """A truth (n_seeds, n_rows, n_columns), and the way in which scores are compared with it.

    Rows are train points, columns test points; memorization has one column. Each column is compared within its block
    of the table. With `weights` (n_rows, n_train), rows are sets of train points and scores are summed over each set.
    Known flags are a truth of one seed that is not `noisy`: they do not have a reliability or a ceiling. If it is
    `paired`, each of the "seeds" is a truth of its own, with which only the estimator's repeat of the same number is
    compared. `known_stakes` are `stakes` that do not follow from the effects, as where these are means over seeds. Each
    of the effects is made of `seeds_each` seeds: a variance of two.
    """

    effects: Tensor
    blocks: Sequence[Block]
    statistic: StatisticName = "spearman"
    weights: Tensor | None = None
    noisy: bool = True
    paired: bool = False
    known_stakes: Tensor | None = None
    seeds_each: int = 1

    @property
    def measurement(self) -> Measurement:
        return MEASUREMENTS[self.statistic]

    @property
    def has_reliability(self) -> bool:
        """Whether the truth has noise whose share in it can be known: only of rank correlations."""
        return self.noisy and self.statistic in ("spearman", "weighted_spearman")

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

    @property
    def stakes(self) -> Tensor | None:
        """Cells (n_rows, n_columns) whose sums are what test points count by: signal, or the largest possible effect.

        None where all test points count alike, or where each paired truth has its own.
        """
        if self.paired:
            return None
        if self.statistic == "captured":
            return None if self.most is None else self.most.cells
        return self.weights_of_columns

    @property
    def n_effective(self) -> float | None:
        """The number of equal columns that these amount to; None if all weigh the same, or none has a weight."""
        weights = None if self.stakes is None else self.stakes.sum(0).clamp_min(0)
        return None if weights is None or not bool(weights.any()) else effective_number(weights)

    def held(self, scores: Tensor) -> Tensor:
        """Scores of train points, (n_train, n_test) or (n_train,), in the form to compare: (n_rows, n_columns)."""
        table = scores[:, None] if scores.ndim == 1 else scores
        return table if self.weights is None else self.weights @ table.double()

    @cached_property
    def mean(self) -> Tensor:
        """The truth that scores are compared with."""
        return self.effects.mean(0)

    @cached_property
    def most(self) -> Largest | None:
        """The largest possible effect, for "captured"; None if it is not known or not clearly above 0."""
        k = n_highest(TOP_SHARE, self.effects.shape[1])
        if self.known_stakes is not None:
            return Largest(k, self.known_stakes, self.effects.new_zeros(1))
        if not self.noisy:
            return known_largest(self.mean, k)
        return largest(self.effects, k) if self.is_above_noise else None

    @cached_property
    def weights_of_columns(self) -> Tensor | None:
        """Cells whose sums weigh the columns; None if all columns weigh the same."""
        if self.statistic != "weighted_spearman":
            return None
        if self.known_stakes is not None:
            return self.known_stakes
        if not self.noisy:
            return self.mean.square()
        return signal(self.effects) if self.is_above_noise else torch.zeros_like(self.mean)

    @cached_property
    def is_above_noise(self) -> bool:
        """Whether the seeds of the truth agree more than chance allows."""
        return is_above_noise(self.effects)

    @property
    def silence(self) -> str | None:
        """The reason why no scores have a value here, in a sentence; None if scores can have one."""
        if self.statistic not in ("weighted_spearman", "captured") or not self.noisy:
            return None
        if len(self.effects) < FEWEST_SEEDS:
            return f"it needs the truth of at least {FEWEST_SEEDS} seeds"
        return None if self.is_above_noise else LIKE_NOISE

    @cached_property
    def reliability(self) -> Reliability:
        """The reliability of the truth itself; empty unless `has_reliability`."""
        if not self.has_reliability:
            return Reliability(None, None, {}, len(self.effects))
        return reliability(self.effects, self.blocks, self.weights_of_columns)

    @cached_property
    def one_seed(self) -> Estimation | None:
        """The agreement of one seed of the truth with the mean of the others; None if there are fewer than three."""
        if not self.noisy or self.silence is not None:
            return None
        if self.statistic == "captured":
            return None if self.most is None else captured_by_one_seed(self.effects, self.most)
        return correlation_of_one_seed(self.effects, self.blocks, self.weights_of_columns)

    @cached_property
    def clear(self) -> Tensor | None:
        """True where effects are clearly not 0; see `clear_effects`."""
        return clear_effects(self.effects)

    def agreement(self, repeats: Sequence[Tensor], *, draws: bool = False) -> Agreement:
        """The agreement of held scores of one or more repeats of an estimator; undefined unless defined for all.

        With `draws`, another repeat would give other scores.
        """
        found = [
            truth.measurement.of(truth, scores) for truth, scores in zip(self._truths(repeats), repeats, strict=True)
        ]
        defined = [one.estimation for one in found if one.estimation is not None]
        counts = max(one.n_undefined for one in found), max(one.n_silent for one in found)
        if len(defined) < len(found):
            return Agreement(None, UNKNOWN, *counts)
        few_draws = (draws or self.paired) and len(repeats) < FEWEST_DRAWS
        mean = replace(repeated(defined), few_draws=few_draws)
        if not self.reliability.is_clear:
            return Agreement(mean, UNKNOWN, *counts)
        of_other_seeds = replace(mean, by_seed=self._by_seed(repeats))
        return Agreement(mean, self.reliability.share_interval(of_other_seeds), *counts)

    def _truths(self, repeats: Sequence[Tensor]) -> Sequence["Yardstick"]:
        """The truth that each repeat is compared with."""
        return self._each_alone if self.paired else [self] * len(repeats)

    @cached_property
    def _each_alone(self) -> list["Yardstick"]:
        return [replace(self, effects=effect[None], paired=False) for effect in self.effects]

    def _by_seed(self, repeats: Sequence[Tensor]) -> Tensor:
        """The contribution of each of the truth's seeds to the agreement."""
        ranks = [standard_ranks_within(scores, self.blocks) for scores in repeats]
        column_weights = self._column_weights
        without = []
        for of_truth in self._without_each_seed:
            products = torch.stack([(of_scores * of_truth).sum(0) for of_scores in ranks]).nan_to_num(0.0)
            without.append((products * column_weights).sum(1).mean() / column_weights.sum())
        return deleted_seed_contributions(torch.stack(without))

    @cached_property
    def _column_weights(self) -> Tensor:
        """Weights (n_columns,): the signal of each, or 1 for all; 0 where the truth has no ranks."""
        cells = self.weights_of_columns
        equal = torch.ones(self.n_columns, dtype=torch.float64)
        has_ranks = ~standard_ranks_within(self.mean, self.blocks).isnan().any(0)
        return (equal if cells is None else cells.sum(0)) * has_ranks

    @cached_property
    def _without_each_seed(self) -> list[Tensor]:
        """Standard ranks of the mean over all seeds but one."""
        total, n_seeds = self.effects.sum(0), len(self.effects)
        return [standard_ranks_within((total - one) / (n_seeds - 1), self.blocks) for one in self.effects]


def correlations(
    effects: Tensor,
    blocks: Sequence[Block] | None = None,
    *,
    statistic: StatisticName = "spearman",
    noisy: bool = True,
    paired: bool = False,
    seeds_each: int = 1,
) -> Yardstick:
    """A truth (n_seeds, n_rows, n_columns) that scores should rank alike; without blocks, over the whole table.

    Where several seeds make one effect, as two make a variance, `seeds_each` says how many.
    """
    of = blocks or whole_table(*effects.shape[1:])
    return Yardstick(effects, of, statistic, noisy=noisy, paired=paired, seeds_each=seeds_each)


def flags(positive: Tensor) -> Yardstick:
    """A yardstick of train points (n_train,) that are known to be positive, and that should have high scores."""
    table = positive.double()[None, :, None]
    return Yardstick(table, whole_table(len(positive), 1), statistic="auroc", noisy=False)


def statistic(estimation: Estimation | None) -> Statistic:
    """A correlation with its interval."""
    return UNKNOWN if estimation is None else estimation.correlation_interval()


def _is_constant(scores: Tensor) -> bool:
    return bool((scores == scores[:1]).all())
