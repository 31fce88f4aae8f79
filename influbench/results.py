"""What a run found: the schema of result.json. Holds numbers and words, no tensors."""

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Quantity = Literal["influence", "memorization"]
Status = Literal["ok", "unsupported", "failed"]
Where = Literal["influence", "within_class", "memorization", "lds"]


class Record(BaseModel):
    """An immutable record that knows all its keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Statistic(Record):
    """A value with its 95 % interval; null for what is not known or not defined."""

    value: float | None
    low: float | None
    high: float | None


UNKNOWN = Statistic(value=None, low=None, high=None)


class Labels(Record):
    """Training labels drawn at random: how many were asked for, were drawn, and differ from the true label."""

    fraction: float
    n_drawn: int
    n_wrong: int


class ProblemRecord(Record):
    """What was trained, on what."""

    name: str
    dataset: str
    model: str
    n_train: int
    n_test: int
    n_classes: int | None
    fewest_in_class: int | None = Field(default=None, description="train points of a test point's class, at the least")
    n_parameters: int
    measure: str
    random_labels: Labels
    recipe: dict[str, str | int | float | tuple[float, ...]]
    n_steps: int
    dtype: str
    device: str


class CurvePoint(Record):
    """Reliability of the mean over so many seeds: measured between disjoint sets of them, or one doubling beyond."""

    n_seeds: int
    reliability: Statistic


class Trust(Record):
    """How far a truth can be trusted; see influbench.statistics.reliability.

    `seeds_needed` are for a reliability of .5, .8 and .9; null if more than there are.
    """

    reliability: Statistic
    ceiling: Statistic
    single_seed_reliability: Statistic
    curve: tuple[CurvePoint, ...] = ()
    seeds_needed: dict[str, int | None] = {}


class InfluenceTrust(Trust):
    """Over all train points, and within the test point's class (null for regression)."""

    within_class: Trust | None


class SubsetTruth(Record):
    """The second truth: what networks answer that were trained on random subsets (linear datamodeling score)."""

    estimand: str
    n_subsets: int
    ratio: float
    n_trainings: int
    trust: Trust


class TruthRecord(Record):
    """The ground truth. `seconds` is what its trainings took, whenever they were run.

    Truths with one `key` are of the same problem, down to the bytes of data and initial parameters.
    """

    estimand: str
    key: str | None = None
    n_seeds: int
    n_trainings: int
    seconds: float
    n_shards: int
    n_shards_reused: int
    influence: InfluenceTrust
    memorization: Trust | None
    subsets: SubsetTruth | None = None


class Details(Record):
    """Other views of an agreement. Correlations are means over test points, unless they say otherwise.

    `quartiles` and `share_significant` (not 0, at a false discovery rate of 5 %) are of the test points' correlations;
    `top_k_overlap` is corrected for chance; pairs that are clear are those whose effect is not 0 by a paired test over
    seeds, proponents those above 0; `among_most` is the agreement among the `n_most` most memorised train points.
    """

    quartiles: tuple[float, float, float] | None = None
    share_significant: float | None = None
    double_centred_spearman: Statistic = UNKNOWN
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


class Cell(Record):
    """One estimator's agreement with the truth on one quantity.

    `spearman` is the mean over test points (one correlation for memorization); `n` the number of pairs, or of train
    points; `n_undefined` counts test points without a correlation because scores or truth are constant there.
    `wrong_labels_auroc` tells how well memorization scores find the train labels that were drawn at random and are
    wrong. Estimators that share a letter cannot be told apart there. `lds` is the agreement with the truth of random
    subsets.
    With several `n_repeats`, statistics are means over repeats of the estimator, and costs are those of one. Costs are
    null for scores that were computed elsewhere.
    """

    estimator: str
    name: str
    quantity: Quantity
    status: Status
    reason: str | None = None
    spearman: Statistic
    within_class: Statistic
    of_ceiling: Statistic
    within_class_of_ceiling: Statistic
    pooled_spearman: Statistic
    lds: Statistic = UNKNOWN
    lds_of_ceiling: Statistic = UNKNOWN
    letters: str | None = None
    within_class_letters: str | None = None
    lds_letters: str | None = None
    details: Details | None = None
    n_repeats: int = 1
    n: int
    n_undefined: int = 0
    within_class_n_undefined: int = 0
    wrong_labels_auroc: Statistic = UNKNOWN
    seconds: float | None = None
    training_equivalents: float | None = None
    scores: str | None = Field(default=None, description="file of the scores, below the run directory")
    traceback: str | None = None
    notes: tuple[str, ...] = ()

    def agreement(self, where: Where) -> Statistic | None:
        """What stands in this column of the report; None where the cell does not speak of it."""
        if self.quantity != ("memorization" if where == "memorization" else "influence"):
            return None
        return {"within_class": self.within_class, "lds": self.lds}.get(where, self.spearman)


class Comparison(Record):
    """One estimator's agreement minus another's, with an interval that holds at once for all pairs of this column."""

    where: Where
    first: str
    second: str
    difference: Statistic
    is_clear: bool


class TracePoint(Record):
    """Agreement after a step of training, with the truth of that step, of those estimators that can be traced."""

    step: int
    truth: TruthRecord
    cells: tuple[Cell, ...]


class Result(Record):
    """All that one problem's run found; `trace` in the order of the steps, the last one included.

    `fronts` names the estimators that nothing as cheap agrees better than, by trainings and value, cheapest first.
    """

    schema_name: Literal["influbench.result/1"] = Field(default="influbench.result/1", alias="schema")
    plan: str
    seed: int
    problem: ProblemRecord
    truth: TruthRecord
    cells: tuple[Cell, ...]
    comparisons: tuple[Comparison, ...] = ()
    fronts: dict[Where, tuple[str, ...]] = {}
    trace: tuple[TracePoint, ...] = ()


@dataclass(frozen=True)
class Forecast:
    """What a problem's ground truth will take, before it is trained. Seconds and bytes are predictions."""

    problem: str
    n_trainings: int
    n_shards: int
    n_shards_stored: int
    seconds: float
    memory_bytes: int  # of each process that trains, at its peak
    disk_bytes: int
    stack_width: int
    path: str


class Failure(Record):
    """A problem whose ground truth could not be had, and why: its model cannot be paired, or something failed."""

    problem: str
    status: Literal["unsupported", "failed"]
    reason: str
    traceback: str | None = None


class Results(Record):
    """The results of a plan with several problems, in the plan's order, and the problems that failed."""

    schema_name: Literal["influbench.results/1"] = Field(default="influbench.results/1", alias="schema")
    plan: str
    seed: int
    results: tuple[Result, ...]
    failures: tuple[Failure, ...] = ()


class Term(Record):
    """A part of turn-over dropout's scores: its share of their variance, its Spearman correlation with the truth."""

    name: str
    share_of_variance: Statistic
    spearman: Statistic


class Estimand(Record):
    """A leave-one-out effect that turn-over dropout may predict: the scores' Spearman correlation with it."""

    name: str
    spearman: Statistic
    ceiling: Statistic


class Decomposed(Record):
    """An estimator's scores on one problem, taken apart; influbench.studies.decomposition explains the terms."""

    problem: str
    estimator: str
    sealed_share: float
    n_trainings: int
    influence: tuple[Term, ...]
    memorization: tuple[Term, ...]
    estimands: dict[Where, tuple[Estimand, ...]] = {}


class DecompositionStudy(Record):
    """What `influbench study decomposition` finds."""

    schema_name: Literal["influbench.decomposition/1"] = Field(default="influbench.decomposition/1", alias="schema")
    plan: str
    seed: int
    n_seeds: int
    decomposed: tuple[Decomposed, ...]


class ComparedProblem(Record):
    """A problem of compared runs, with the truth that scores of all runs are held against."""

    name: str
    key: str
    n_seeds: int
    runs: tuple[str, ...]
    ceilings: dict[Where, Statistic]


class OverProblems(Record):
    """One estimator over several problems. `by_problem` is in the order of the problems, with null where it has none.

    `mean` is the mean agreement over the problems in common. `rank` is its mean rank there, 1 the best; its interval
    counts who is clearly better and who is clearly worse (Mogstad, Romano, Shaikh, Wilhelm 2024). Estimators that share
    a letter cannot be told apart by their means. `not_clearly_behind` is where none is clearly better.
    """

    name: str
    mean: Statistic
    rank: Statistic
    letters: str | None
    by_problem: tuple[Statistic | None, ...]
    not_clearly_behind: tuple[bool, ...]


class ComparedColumn(Record):
    """Who agrees better, in one column of the report; `in_common` are places of the problems on which all have a value.

    `comparisons` are all pairs, by their means over the problems in common, with intervals that hold at once.
    """

    where: Where
    in_common: tuple[int, ...]
    estimators: tuple[OverProblems, ...]
    comparisons: tuple[Comparison, ...]


class ComparedRuns(Record):
    """What `influbench compare` finds. `versions` holds the labels of one estimator's scores in different runs."""

    schema_name: Literal["influbench.comparison/1"] = Field(default="influbench.comparison/1", alias="schema")
    runs: tuple[str, ...]
    problems: tuple[ComparedProblem, ...]
    columns: tuple[ComparedColumn, ...]
    versions: tuple[tuple[str, ...], ...] = ()


class CheckOutcome(Record):
    """Whether a plugin keeps one promise of the contract; `detail` is what was seen, or why it does not apply."""

    name: str
    promise: str
    status: Literal["passed", "failed", "exempt", "not applicable"]
    detail: str = ""
    remedy: str = ""


class CheckedPlugin(Record):
    """What `influbench check` finds about one plugin."""

    schema_name: Literal["influbench.check/1"] = Field(default="influbench.check/1", alias="schema")
    kind: str
    name: str
    distribution: str
    outcomes: tuple[CheckOutcome, ...]


def result_json(result: Result | Results | ComparedRuns | DecompositionStudy | CheckedPlugin) -> str:
    """The text of result.json, or of a comparison."""
    return result.model_dump_json(indent=2, by_alias=True)


def has_failed(result: Result | Results) -> bool:
    """Whether a cell failed, or a whole problem."""
    if isinstance(result, Results):
        return any(one.status == "failed" for one in result.failures) or any(map(has_failed, result.results))
    return any(cell.status == "failed" for cell in result.cells)
