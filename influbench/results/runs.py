"""The findings of a run: the schema of result.json."""

from typing import Literal

from pydantic import Field

from influbench.api import Quantity
from influbench.results.fits import Fit
from influbench.results.records import UNKNOWN, Record, Statistic, Status

FEWEST_DRAWS = 4
"""Draws of an estimator from which its interval and its letters hold for other draws: with 2 or 3, 95% intervals cover
too little where draws differ more than points do."""


class LabelNoise(Record):
    """Training labels drawn at random: how many were asked for, were drawn, and differ from the true label."""

    fraction: float
    n_drawn: int
    n_wrong: int


class ProblemRecord(Record):
    """The problem: what was trained, on what.

    Problems with one `key` are the same, down to the bytes of data and initial parameters. `n_duplicates` counts train
    points that equal an earlier one, in input and label. `fit` is the accuracy of the truth's ordinary trainings; null
    in results of an influbench that did not measure it. `class_names` are null where labels are numbers alone, and
    `notes` are the data set's sentences about itself.
    """

    name: str
    key: str | None = None
    dataset: str
    model: str
    n_train: int
    n_test: int
    n_duplicates: int = 0
    n_classes: int | None
    n_parameters: int
    measure: str
    random_labels: LabelNoise
    recipe: dict[str, str | bool | int | float | tuple[float, ...]]
    n_steps: int
    dtype: str
    device: str
    fit: Fit | None = None
    class_names: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()


class CurvePoint(Record):
    """Reliability of the mean over this many seeds: measured between disjoint sets of them, or extrapolated."""

    n_seeds: int
    reliability: Statistic


class Trust(Record):
    """The trust in a column's truth; see influbench.statistics.reliability.

    A truth whose reliability is not clearly above 0 cannot be distinguished from noise: then `ceiling`,
    `single_seed_reach` and `seeds_needed` are unknown. `seeds_needed` are for a reliability of .5, .8 and .9; null if
    more than there are. `single_seed_reach` is the correlation of one seed's effects with the expected effects. `norms`
    are those of the effects, over their median. Each effect is made of `seeds_each` seeds, a variance of two; if they
    are more than one, the fields about a single seed are unknown.
    """

    n_seeds: int
    seeds_each: int = 1
    reliability: Statistic
    ceiling: Statistic
    single_seed_reliability: Statistic
    curve: tuple[CurvePoint, ...] = ()
    seeds_needed: dict[str, int | None] = Field(default_factory=dict)
    single_seed_reach: Statistic = UNKNOWN
    norms: tuple[float, ...] = ()

    @property
    def n_effects(self) -> int:
        """The number of effects that the seeds make, which are what the reliability is about."""
        return self.n_seeds // self.seeds_each

    @property
    def is_like_noise(self) -> bool:
        """True if the truth cannot be distinguished from noise; earlier versions stored ceilings of all truths."""
        has_ceiling = self.ceiling.value is not None and (self.ceiling.low is None or self.ceiling.low > 0)
        return self.n_effects > 1 and not has_ceiling


class ColumnRecord(Record):
    """One column of the tables: what estimates are compared in, and by which judge.

    `n_rows` counts what a statistic is taken over (`rows`: train points, subsets, ...), in the smallest block;
    `n_columns` counts the test points that it is averaged over, null where it is one statistic; `n_effective` is the
    number of test points of equal weight that they amount to, null where all weigh the same. A column that is not in
    the `headline` is shown with the details. With `has_run`, estimators were handed the run whose effects they predict.
    `silence` says why no estimator has a value here, if none can.
    """

    key: str
    title: str
    quantity: Quantity
    judge: str
    statistic: str
    unit: str
    rows: str
    n_rows: int
    n_columns: int | None
    n_effective: float | None = None
    chart: bool = True
    headline: bool = True
    has_run: bool = False
    silence: str | None = None

    @property
    def name(self) -> str:
        """The title on one line."""
        return " ".join(self.title.split())


class JudgeRecord(Record):
    """Something that estimates were held against. `seconds` is what its trainings took, whenever they were run.

    Trainings that several judges share are counted for each of them.
    """

    name: str
    status: Status
    reason: str | None = None
    traceback: str | None = None
    estimand: str = ""
    columns: tuple[str, ...] = ()
    n_trainings: int = 0
    seconds: float = 0.0
    n_shards: int = 0
    n_shards_reused: int = 0


class Details(Record):
    """Other views of an agreement. Correlations are means over test points, unless they say otherwise.

    `quartiles` and `share_significant` (not 0, at a false discovery rate of 5%) are of the test points' correlations;
    `pooled` is over all pairs at once; `top_k_overlap` is corrected for chance; pairs that are clear are those whose
    effect is not 0 by a paired test over seeds, proponents those above 0; `among_most` is the agreement among the
    `n_most` most memorized train points.
    """

    quartiles: tuple[float, float, float] | None = None
    share_significant: float | None = None
    double_centered_spearman: Statistic = UNKNOWN
    pooled: Statistic = UNKNOWN
    kendall: Statistic = UNKNOWN
    pearson: Statistic = UNKNOWN
    top_k: int
    top_k_overlap: Statistic = UNKNOWN
    n_clear: int | None = None
    sign_agreement: Statistic = UNKNOWN
    n_proponents: int | None = None
    proponents_auroc: Statistic = UNKNOWN
    n_most: int | None = None
    among_most: Statistic = UNKNOWN


class Agreement(Record):
    """The agreement of one estimator in one column.

    `value` is the mean over test points (one statistic where there is one column); `n` counts pairs (null where an
    earlier version did not), `n_undefined` test points without a value because the truth is constant there, and
    `n_silent` those in which only the scores are constant, which count as 0.
    Estimators that share a letter cannot be distinguished in this column. `failure` says what the judge raised on these
    scores.
    """

    value: Statistic = UNKNOWN
    of_ceiling: Statistic = UNKNOWN
    letters: str | None = None
    n: int | None
    n_undefined: int = 0
    n_silent: int = 0
    details: Details | None = None
    failure: str | None = None


class Cell(Record):
    """One estimator on one problem: its agreement in each column that it has scores for.

    With several `n_repeats`, statistics are means over repeats of the estimator, and costs are those of one. `draws` is
    false if every repeat would have the same scores (always true where an earlier version did not know). Costs are null
    for scores that were computed elsewhere. `notes` are those of all repeats, each once.
    """

    estimator: str
    name: str
    status: Status
    reason: str | None = None
    columns: dict[str, Agreement] = Field(default_factory=dict)
    draws: bool = True
    n_repeats: int = 1
    seconds: float | None = None
    training_equivalents: float | None = None
    scores: str | None = Field(default=None, description="file of the scores, below the run directory")
    traceback: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def has_few_draws(self) -> bool:
        """True if intervals do not hold for other draws of the estimator; it then has no letters."""
        return self.draws and self.n_repeats < FEWEST_DRAWS

    def value(self, column: str) -> Statistic:
        """The value in this column; unknown where the cell has none."""
        found = self.columns.get(column)
        return UNKNOWN if found is None else found.value


class Comparison(Record):
    """One estimator's agreement minus another's, with an interval that holds at once for all pairs of this column."""

    column: str
    first: str
    second: str
    difference: Statistic
    is_clear: bool


class OneSeed(Record):
    """The agreement of one seed of a judge's truth with the mean of the other seeds, by column: the mean over seeds.

    It is the score of a single retraining, and not an estimator. Its intervals are over points and seeds. Costs are
    those of one seed, null where the truth is not of leave-one-out.
    """

    judge: str
    n_seeds: int
    columns: dict[str, Statistic]
    seconds: float | None = None
    training_equivalents: float | None = None


class TracePoint(Record):
    """Agreement after a step of training, with the truth of that step, of those estimators that can be traced."""

    step: int
    trust: dict[str, Trust]
    cells: tuple[Cell, ...]


class Result(Record):
    """Everything that was found on one problem; `trace` in the order of the steps, the last one included.

    `trust` is by column, for those whose truth is noisy; `one_seed` by judge, for truths of three seeds or more.
    `fronts` names, by column, the estimators that nothing as cheap agrees better than, cheapest first.
    """

    problem: ProblemRecord
    judges: tuple[JudgeRecord, ...]
    columns: tuple[ColumnRecord, ...]
    trust: dict[str, Trust]
    cells: tuple[Cell, ...]
    one_seed: tuple[OneSeed, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    fronts: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    trace: tuple[TracePoint, ...] = ()

    @property
    def headline(self) -> tuple[ColumnRecord, ...]:
        """The columns that every table shows; the others are shown with the details."""
        return tuple(column for column in self.columns if column.headline)

    def column(self, key: str) -> ColumnRecord:
        """The column of this key; KeyError if there is none."""
        return {column.key: column for column in self.columns}[key]


class Failure(Record):
    """A problem whose ground truth could not be had, and why: its model cannot be paired, or something failed."""

    problem: str
    status: Literal["unsupported", "failed"]
    reason: str
    traceback: str | None = None


class Results(Record):
    """The findings of a run: the results of its problems, in the plan's order, and the problems that failed."""

    schema_name: Literal["influbench.results/2"] = Field(default="influbench.results/2", alias="schema")
    plan: str
    seed: int
    results: tuple[Result, ...]
    failures: tuple[Failure, ...] = ()

    @property
    def has_failed(self) -> bool:
        """True if a cell, a judge, a column of a cell or a whole problem failed."""
        return any(one.status == "failed" for one in self.failures) or any(map(_has_failed, self.results))


def _has_failed(result: Result) -> bool:
    if any(cell.status == "failed" for cell in result.cells) or any(one.status == "failed" for one in result.judges):
        return True
    return any(agreement.failure is not None for cell in result.cells for agreement in cell.columns.values())
