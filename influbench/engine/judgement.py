"""Agreements made into cells, comparisons of estimators with each other, and reliabilities into the truth's record."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from influbench.api import Data, Estimate
from influbench.engine.obstacles import Obstacle
from influbench.results import (
    UNKNOWN,
    Cell,
    Comparison,
    CurvePoint,
    InfluenceTrust,
    Quantity,
    Status,
    SubsetTruth,
    TracePoint,
    Trust,
    TruthRecord,
    Where,
)
from influbench.statistics.comparison import Agreement, Yardstick, finding, influence_yardstick, statistic
from influbench.statistics.correlation import whole_table, within_classes
from influbench.statistics.differences import Difference, differences, letters
from influbench.statistics.estimation import Estimation
from influbench.truth.leave_one_out import Truth
from influbench.truth.linear_datamodeling import SubsetEffects

_WANTED = (0.5, 0.8, 0.9)  # reliabilities for which the record says how many seeds they take


@dataclass(frozen=True)
class _Column:
    """Where a cell keeps what one yardstick says."""

    where: Where
    quantity: Quantity
    value: str
    of_ceiling: str
    letters: str


_COLUMNS = (
    _Column("influence", "influence", "spearman", "of_ceiling", "letters"),
    _Column("within_class", "influence", "within_class", "within_class_of_ceiling", "within_class_letters"),
    _Column("lds", "influence", "lds", "lds_of_ceiling", "lds_letters"),
    _Column("memorization", "memorization", "spearman", "of_ceiling", "letters"),
)


class Judge:
    """Compares estimates of one problem with its truth, and estimators with each other."""

    def __init__(
        self, truth: Truth, data: Data, subsets: SubsetEffects | None = None, *, wrong: Tensor | None = None
    ) -> None:
        """`wrong` (n_train,) is True for the train labels that are not the true ones, where that is known."""
        self._truth, self._data, self._subsets = truth, data, subsets
        self._wrong = None if wrong is None or not wrong.any() else wrong
        self._agreements: dict[Where, dict[str, Estimation]] = {column.where: {} for column in _COLUMNS}

    def cells(self, estimator: str, name: str, estimates: Sequence[Estimate]) -> list[Cell]:
        """A cell for each quantity that the estimates, one for each repeat, speak of."""
        cells = []
        influence = [estimate.influence for estimate in estimates if estimate.influence is not None]
        if len(influence) == len(estimates):
            cell = unknown_cell(estimator, name, "influence", status="ok", n=influence[0].numel())
            overall = self._agreement("influence", name, influence)
            update: dict[str, object] = {"n_undefined": overall.n_undefined, **self._update("influence", overall)}
            if "within_class" in self.yardsticks:
                within = self._agreement("within_class", name, influence)
                update |= {"within_class_n_undefined": within.n_undefined, **self._update("within_class", within)}
            if self._subsets is not None:
                predicted = [self._subsets.predictions(scores) for scores in influence]
                update |= self._update("lds", self._agreement("lds", name, predicted))
            update |= {
                "pooled_spearman": self.yardsticks["influence"].pooled(influence),
                "details": self.yardsticks["influence"].details(influence),
            }
            cells.append(cell.model_copy(update={**update, "n_repeats": len(estimates), "notes": estimates[0].notes}))
        memorization = [one.memorization[:, None] for one in estimates if one.memorization is not None]
        if len(memorization) == len(estimates) and "memorization" in self.yardsticks:
            cell = unknown_cell(estimator, name, "memorization", status="ok", n=len(self._data.train))
            found = self._agreement("memorization", name, memorization)
            update = {
                "n_undefined": found.n_undefined,
                **self._update("memorization", found),
                "wrong_labels_auroc": UNKNOWN if self._wrong is None else finding(self._wrong, memorization),
                "details": self.yardsticks["memorization"].details(memorization),
            }
            cells.append(cell.model_copy(update={**update, "n_repeats": len(estimates), "notes": estimates[0].notes}))
        return cells

    def compared(self, cells: Iterable[Cell]) -> tuple[tuple[Cell, ...], tuple[Comparison, ...]]:
        """The cells with letters for what cannot be told apart, and all pairs of estimators."""
        comparisons: list[Comparison] = []
        written: dict[tuple[Quantity, str], dict[str, str]] = {}
        for column in _COLUMNS:
            found = differences(self._agreements[column.where])
            comparisons += recorded(column.where, found)
            names = sorted(self._agreements[column.where], key=lambda name: -self._agreements[column.where][name].value)
            for name, its_letters in letters(names, found).items():
                written.setdefault((column.quantity, name), {})[column.letters] = its_letters
        lettered = tuple(cell.model_copy(update=written.get((cell.quantity, cell.name), {})) for cell in cells)
        return lettered, tuple(comparisons)

    def truth_record(self) -> TruthRecord:
        """The truth's record, with its reliabilities."""
        truth, known = self._truth, {where: _trust(yardstick) for where, yardstick in self.yardsticks.items()}
        return TruthRecord(
            estimand=f"expected leave-one-out effect, {truth.n_seeds} seed{'s' * (truth.n_seeds != 1)}",
            n_seeds=truth.n_seeds,
            n_trainings=truth.n_trainings,
            seconds=truth.seconds,
            n_shards=truth.n_shards,
            n_shards_reused=truth.n_shards_reused,
            influence=InfluenceTrust(**known["influence"].model_dump(), within_class=known.get("within_class")),
            memorization=known.get("memorization"),
            subsets=None if self._subsets is None else _subset_truth(self._subsets, known["lds"]),
        )

    @cached_property
    def yardsticks(self) -> dict[Where, Yardstick]:
        """The truth as each column of the report looks at it."""
        n_train, n_test = len(self._data.train), len(self._data.test)
        found: dict[Where, Yardstick] = {"influence": influence_yardstick(self._truth.influence)}
        if self._data.n_classes is not None:
            classes = within_classes(self._data.train.labels.cpu(), self._data.test.labels.cpu())
            found["within_class"] = Yardstick(self._truth.influence, classes)
        if self._truth.memorization is not None:
            found["memorization"] = Yardstick(self._truth.memorization[:, :, None], whole_table(n_train, 1))
        if self._subsets is not None:
            found["lds"] = Yardstick(self._subsets.measured, whole_table(self._subsets.n_subsets, n_test))
        return found

    def _agreement(self, where: Where, name: str, repeats: Sequence[Tensor]) -> Agreement:
        found = self.yardsticks[where].agreement(repeats)
        if found.spearman is not None:
            self._agreements[where][name] = found.spearman
        return found

    def _update(self, where: Where, found: Agreement) -> dict[str, object]:
        column = next(column for column in _COLUMNS if column.where == where)
        of_ceiling = UNKNOWN if found.of_ceiling is None else found.of_ceiling.interval()
        return {column.value: statistic(found.spearman), column.of_ceiling: of_ceiling}


def recorded(where: Where, found: Iterable[Difference]) -> list[Comparison]:
    """Differences in one column as the result holds them."""
    return [
        Comparison(where=where, first=one.first, second=one.second, difference=one.statistic, is_clear=one.is_clear)
        for one in found
    ]


class Trace:
    """Judges estimators that can be traced by the truth after each of several steps."""

    def __init__(self, truths: Mapping[int, Truth], data: Data) -> None:
        self.steps = tuple(sorted(truths))
        self._judges = {step: Judge(truths[step], data) for step in self.steps}
        self._cells: dict[int, list[Cell]] = {step: [] for step in self.steps}

    def add(self, estimator: str, name: str, repeats: Sequence[Sequence[Estimate]]) -> None:
        """Judge one estimator's estimates after each step, for each repeat."""
        for place, step in enumerate(self.steps):
            self._cells[step] += self._judges[step].cells(estimator, name, [of_repeat[place] for of_repeat in repeats])

    def points(self) -> tuple[TracePoint, ...]:
        """What was found; nothing if no estimator was traced."""
        if not any(self._cells.values()):
            return ()
        return tuple(
            TracePoint(step=step, truth=self._judges[step].truth_record(), cells=tuple(self._cells[step]))
            for step in self.steps
        )


def unjudged(estimator: str, name: str, data: Data, obstacle: Obstacle) -> tuple[Cell, ...]:
    """The cells of an estimator that did not run or failed: one for each quantity it might have spoken of."""
    sizes: dict[Quantity, int] = {"influence": len(data.train) * len(data.test)}
    if data.n_classes is not None:
        sizes["memorization"] = len(data.train)
    return tuple(
        unknown_cell(estimator, name, quantity, status=obstacle.status, n=n).model_copy(
            update={"reason": obstacle.reason, "traceback": obstacle.traceback}
        )
        for quantity, n in sizes.items()
    )


def unknown_cell(estimator: str, name: str, quantity: Quantity, *, status: Status, n: int) -> Cell:
    """A cell of which no statistic is known yet."""
    return Cell(
        estimator=estimator,
        name=name,
        quantity=quantity,
        status=status,
        spearman=UNKNOWN,
        within_class=UNKNOWN,
        of_ceiling=UNKNOWN,
        within_class_of_ceiling=UNKNOWN,
        pooled_spearman=UNKNOWN,
        n=n,
    )


def _trust(yardstick: Yardstick) -> Trust:
    known = yardstick.reliability
    curve = dict(known.curve)
    if known.reliability is not None:
        curve[known.n_seeds] = known.reliability
    return Trust(
        reliability=statistic(known.reliability),
        ceiling=statistic(known.ceiling),
        single_seed_reliability=statistic(known.single_seed),
        curve=tuple(CurvePoint(n_seeds=n, reliability=statistic(one)) for n, one in sorted(curve.items())),
        seeds_needed={f"{wanted:g}": known.seeds_needed(wanted) for wanted in _WANTED},
    )


def _subset_truth(subsets: SubsetEffects, trust: Trust) -> SubsetTruth:
    return SubsetTruth(
        estimand=(
            f"measure after training on a random subset, {subsets.n_subsets} subsets with a share of "
            f"{subsets.ratio:g}, {subsets.n_seeds} seeds each"
        ),
        n_subsets=subsets.n_subsets,
        ratio=subsets.ratio,
        n_trainings=subsets.n_subsets * subsets.n_seeds,
        trust=trust,
    )
