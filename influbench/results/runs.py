"""What a run found: the schema of result.json."""

from typing import Literal

from pydantic import Field

from influbench.results.records import UNKNOWN, Quantity, Record, Statistic, Status, Where


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
    seeds_needed: dict[str, int | None] = Field(default_factory=dict)


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
    fronts: dict[Where, tuple[str, ...]] = Field(default_factory=dict)
    trace: tuple[TracePoint, ...] = ()


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


def has_failed(result: Result | Results) -> bool:
    """Whether a cell failed, or a whole problem."""
    if isinstance(result, Results):
        return any(one.status == "failed" for one in result.failures) or any(map(has_failed, result.results))
    return any(cell.status == "failed" for cell in result.cells)
