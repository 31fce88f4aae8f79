"""Estimates held against what the judges ask for: cells, comparisons of estimators with each other, and trust."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from torch import Tensor

from influbench.api import Column, Estimate, Quantity
from influbench.engine.obstacles import Obstacle
from influbench.engine.seats import Seat, attempt, failure
from influbench.results import (
    UNKNOWN,
    Agreement,
    Cell,
    ColumnRecord,
    Comparison,
    CurvePoint,
    OneSeed,
    TracePoint,
    Trust,
)
from influbench.statistics.details import details
from influbench.statistics.differences import Difference, differences, letters
from influbench.statistics.estimation import Estimation
from influbench.statistics.yardsticks import Yardstick

_QUANTITIES = get_args(Quantity)
_WANTED = (0.5, 0.8, 0.9)  # reliabilities for which the record says how many seeds they take


@dataclass(frozen=True, eq=False)
class _Measured:
    """One column with the judge that made it and what scores are held against."""

    column: Column
    seat: Seat
    yardstick: Yardstick


class Bench:
    """All judges of one problem, after one step of training."""

    def __init__(self, seats: Sequence[Seat], trained: Mapping[str, Sequence[Any]], *, step: int) -> None:
        """`trained` holds the results of each judge's trainings, by its name. A judge that raises is a failure."""
        self.failures: dict[str, Obstacle] = {}
        self._measured: dict[str, _Measured] = {}
        for seat in seats:
            if seat.name not in trained:
                continue
            found = attempt(seat.supplied, lambda: seat.yardsticks(trained[seat.name], step))  # noqa: B023
            if isinstance(found, Obstacle):
                self.failures[seat.name] = found
                continue
            for column in seat.columns:
                if column.key in found:
                    self._measured[column.key] = _Measured(column, seat, found[column.key])
        self._agreements: dict[str, dict[str, Estimation]] = {key: {} for key in self._measured}

    @property
    def yardsticks(self) -> dict[str, Yardstick]:
        """The yardsticks that scores are held against, by column."""
        return {key: measured.yardstick for key, measured in self._measured.items()}

    def cell(
        self,
        estimator: str,
        name: str,
        estimates: Sequence[Estimate],
        *,
        draws: bool,
        handed: Mapping[int, Estimate] | Obstacle | None = None,
    ) -> Cell:
        """The agreement of the estimates, one for each repeat, in each column that they have scores for.

        With `draws`, another repeat would give other scores. `handed` are the estimates with a run in hand, by the
        truth's seed, or the reason why they are missing; columns of runs that are handed over have no others.
        """
        notes = tuple(dict.fromkeys(note for estimate in estimates for note in estimate.notes))
        empty = Cell(estimator=estimator, name=name, status="ok", draws=draws, n_repeats=len(estimates), notes=notes)
        if reason := _incomplete(estimates):
            return empty.model_copy(update={"status": "failed", "reason": reason})
        columns = {}
        for key, measured in self._measured.items():
            if measured.seat.runs and isinstance(handed, Obstacle):
                columns[key] = Agreement(n=measured.yardstick.n_pairs, failure=handed.reason)
                continue
            agreement = self._agreement(measured, name, _seen(measured, estimates, handed), draws=draws)
            if agreement is not None:
                columns[key] = agreement
        if not columns:
            reason = f"it predicts {_predicted(estimates)}, and no judge of this run asks for that; name one with -j"
            return empty.model_copy(update={"status": "unsupported", "reason": reason})
        return empty.model_copy(update={"columns": columns})

    @property
    def derived(self) -> frozenset[str]:
        """Columns whose scores are derived by a rule of the judge, or from estimates with a run in hand."""
        return frozenset(
            key for key, measured in self._measured.items() if measured.seat.derives_scores or measured.seat.runs
        )

    def held_apart(
        self, estimates: Sequence[Estimate], handed: Mapping[int, Estimate] | Obstacle | None = None
    ) -> dict[str, list[Tensor]]:
        """The scores of the `derived` columns, ready to be compared."""
        found = {}
        for key in self.derived:
            measured = self._measured[key]
            seen = _seen(measured, estimates, handed)
            held = attempt(measured.seat.supplied, lambda: self._held(measured, seen))  # noqa: B023
            if not isinstance(held, Obstacle) and held is not None:
                found[key] = held
        return found

    def compared(self, cells: Iterable[Cell]) -> tuple[tuple[Cell, ...], tuple[Comparison, ...]]:
        """The cells with letters for estimators that cannot be distinguished, and all pairs of estimators.

        Estimators of few draws have no letters.
        """
        comparisons: list[Comparison] = []
        written: dict[str, dict[str, str]] = {}
        for key, agreements in self._agreements.items():
            found = differences(agreements)
            comparisons += recorded(key, found)
            names = [name for name, one in agreements.items() if not one.few_draws]
            names.sort(key=lambda name: -agreements[name].value)
            written[key] = letters(names, found)
        return tuple(_lettered(cell, written) for cell in cells), tuple(comparisons)

    def columns(self) -> tuple[ColumnRecord, ...]:
        """The columns' records."""
        return tuple(_column_record(measured) for measured in self._measured.values())

    def trust(self) -> dict[str, Trust]:
        """The trust in each column's truth, for the columns where it can be known."""
        return {key: _trust(one.yardstick) for key, one in self._measured.items() if one.yardstick.has_reliability}

    def one_seed(self, seconds: Mapping[str, float]) -> tuple[OneSeed, ...]:
        """The agreement of one seed of each judge's truth with the others; `seconds` are what each judge trained.

        It leaves out columns in which several seeds make one effect: one of these does not have the cost of one seed.
        """
        found: dict[str, OneSeed] = {}
        n_of_judge = self._n_seeds
        for key, measured in self._measured.items():
            value, seat = measured.yardstick.one_seed, measured.seat
            n_seeds, is_leave_one_out = len(measured.yardstick.effects), _is_leave_one_out(seat)
            if value is None or n_seeds < n_of_judge[seat.name]:
                continue
            of_judge = OneSeed(
                judge=seat.name,
                n_seeds=n_seeds,
                columns={},
                seconds=seconds[seat.name] / n_seeds if is_leave_one_out else None,
                training_equivalents=len(seat.problem.data.train) + 1 if is_leave_one_out else None,
            )
            found.setdefault(seat.name, of_judge).columns[key] = measured.yardstick.measurement.interval(value)
        return tuple(found.values())

    @property
    def _n_seeds(self) -> dict[str, int]:
        """The most seeds that a column of each judge has."""
        found: dict[str, int] = {}
        for measured in self._measured.values():
            name = measured.seat.name
            found[name] = max(found.get(name, 0), len(measured.yardstick.effects))
        return found

    def _agreement(
        self, measured: _Measured, name: str, estimates: Sequence[Estimate], *, draws: bool
    ) -> Agreement | None:
        yardstick, seat = measured.yardstick, measured.seat
        unknown = Agreement(n=yardstick.n_pairs)
        try:
            held = self._held(measured, estimates)
        except Exception as error:
            return unknown.model_copy(update={"failure": failure(seat.supplied, error).reason})
        if held is None:
            return None
        found = yardstick.agreement(held, draws=draws)
        # details compare with the mean effect, which is not the truth of paired repeats
        has_details = measured.column.details and not yardstick.paired and found.value is not None
        if found.value is not None:
            self._agreements[measured.column.key][name] = found.value
        return Agreement(
            value=yardstick.measurement.interval(found.value),
            of_ceiling=found.of_ceiling,
            n=yardstick.n_pairs,
            n_undefined=found.n_undefined,
            n_silent=found.n_silent,
            details=details(yardstick, held) if has_details else None,
        )

    def _held(self, measured: _Measured, estimates: Sequence[Estimate]) -> list[Tensor] | None:
        """The scores of every repeat, ready to be compared; None if the estimates lack scores for this column."""
        found = [measured.seat.held(estimate, measured.column, measured.yardstick) for estimate in estimates]
        held = [one for one in found if one is not None]
        return held if held and len(held) == len(found) else None


class Trace:
    """Judges estimators that can be traced by the truth after each of several steps."""

    def __init__(self, benches: Mapping[int, Bench]) -> None:
        self._benches = dict(sorted(benches.items()))
        self._cells: dict[int, list[Cell]] = {step: [] for step in self._benches}

    @property
    def steps(self) -> tuple[int, ...]:
        return tuple(self._benches)

    def add(self, estimator: str, name: str, repeats: Sequence[Sequence[Estimate]], *, draws: bool) -> None:
        """Judge one estimator's estimates after each step, for each repeat."""
        for place, (step, bench) in enumerate(self._benches.items()):
            of_step = [of_repeat[place] for of_repeat in repeats]
            self._cells[step].append(bench.cell(estimator, name, of_step, draws=draws))

    def points(self) -> tuple[TracePoint, ...]:
        """The agreements after each step; empty if no estimator was traced."""
        if not any(self._cells.values()):
            return ()
        return tuple(
            TracePoint(step=step, trust=bench.trust(), cells=tuple(self._cells[step]))
            for step, bench in self._benches.items()
        )


def _seen(
    measured: _Measured, estimates: Sequence[Estimate], handed: Mapping[int, Estimate] | Obstacle | None
) -> Sequence[Estimate]:
    """The estimates that a column compares; none where it needs runs in hand and nothing was estimated with them."""
    if not measured.seat.runs:
        return estimates
    return [handed[run] for run in measured.seat.runs] if isinstance(handed, Mapping) else []


def recorded(column: str, found: Iterable[Difference]) -> list[Comparison]:
    """Differences in one column as the result holds them."""
    return [
        Comparison(column=column, first=one.first, second=one.second, difference=one.statistic, is_clear=one.is_clear)
        for one in found
    ]


def unjudged(estimator: str, name: str, obstacle: Obstacle) -> Cell:
    """The cell of an estimator that did not run or failed."""
    return Cell(
        estimator=estimator,
        name=name,
        status=obstacle.status,
        reason=obstacle.reason,
        traceback=obstacle.traceback,
    )


def _is_leave_one_out(seat: Seat) -> bool:
    """True if the judge trains the ground truth alone, so that one seed costs a retraining without each point."""
    return [work.folder for work in seat.works] == [seat.problem.leave_one_out.folder]


def _incomplete(estimates: Sequence[Estimate]) -> str | None:
    """The reason why repeats cannot be combined: a quantity that only some of them have."""
    for quantity in _QUANTITIES:
        n_given = sum(getattr(estimate, quantity) is not None for estimate in estimates)
        if 0 < n_given < len(estimates):
            return f"returned {quantity} in {n_given} of {len(estimates)} repeats, expected in all of them or in none"
    return None


def _predicted(estimates: Sequence[Estimate]) -> str:
    given = [quantity for quantity in _QUANTITIES if getattr(estimates[0], quantity) is not None]
    return " and ".join(given)


def _lettered(cell: Cell, written: Mapping[str, Mapping[str, str]]) -> Cell:
    columns = {
        key: agreement.model_copy(update={"letters": written.get(key, {}).get(cell.name)})
        for key, agreement in cell.columns.items()
    }
    return cell.model_copy(update={"columns": columns})


def _column_record(measured: _Measured) -> ColumnRecord:
    column, yardstick = measured.column, measured.yardstick
    return ColumnRecord(
        key=column.key,
        title=column.title,
        quantity=column.quantity,
        judge=measured.seat.name,
        statistic=yardstick.statistic,
        unit=yardstick.measurement.unit,
        rows=column.rows,
        chart=column.chart,
        headline=column.headline,
        has_run=bool(measured.seat.runs),
        n_effective=yardstick.n_effective,
        silence=yardstick.silence,
        n_rows=yardstick.fewest_rows,
        n_columns=yardstick.n_columns if yardstick.n_columns > 1 else None,
    )


def _trust(yardstick: Yardstick) -> Trust:
    known, each = yardstick.reliability, yardstick.seeds_each
    curve = {n: known.interval_at(n) for n in known.curve}
    if known.reliability is not None:
        curve[known.n_seeds] = known.interval()
    needed = {f"{wanted:g}": known.seeds_needed(wanted) for wanted in _WANTED} if known.is_clear else {}
    return Trust(
        n_seeds=each * known.n_seeds,
        seeds_each=each,
        reliability=known.interval(),
        ceiling=known.ceiling_interval(),
        # one seed alone does not have an effect that is made of several
        single_seed_reliability=known.interval_at(1) if each == 1 else UNKNOWN,
        curve=tuple(CurvePoint(n_seeds=each * n, reliability=one) for n, one in sorted(curve.items())),
        seeds_needed={wanted: None if n is None else each * n for wanted, n in needed.items()},
        single_seed_reach=known.reach_interval() if each == 1 else UNKNOWN,
        norms=known.norms,
    )
