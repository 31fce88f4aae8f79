"""The words of a run's report as plain records: rows, marks and notes. Terminal, notebook and exports draw them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from influbench.api import Recipe
from influbench.report.fit import fit_in_words, fit_warnings
from influbench.report.numbers import DASH, count, decimal, seconds
from influbench.results import (
    FEWEST_DRAWS,
    UNKNOWN,
    Agreement,
    Cell,
    ColumnRecord,
    JudgeRecord,
    OneSeed,
    Result,
    TracePoint,
    Trust,
)
from influbench.statistics.reliability import FEWEST_SEEDS
from influbench.statistics.yardsticks import LIKE_NOISE

FEW = 10  # train points or subsets; with fewer, intervals are not to be relied on
FEW_TEST_POINTS = 20  # with fewer, hardly any difference is clear
UNLIKE = 2.0  # times the median norm of the seeds, or one over it: a seed whose effects are unlike the others'
_NO_VALUE = -2.0  # sorts below every correlation and share

Tone = Literal["plain", "warning", "failure"]
_Sentence = tuple[str, ColumnRecord, str]  # a column, and the words before and after its name


@dataclass(frozen=True)
class Note:
    """A sentence of the report."""

    text: str
    tone: Tone = "plain"


def facts(result: Result) -> dict[str, str]:
    """The facts about training and judges, by a word for each."""
    problem = result.problem
    rows = {"problem": f"{problem.dataset}, {problem.model}", "training": _training(result)}
    if problem.fit is not None:
        rows[problem.fit.statistic] = fit_in_words(problem.fit)
    for judge in result.judges:
        if judge.status == "ok":
            rows[judge.name] = judge.estimand + _cost(judge)
    labels = problem.random_labels
    if labels.fraction:
        rows["labels"] = (
            f"{labels.n_drawn} of {problem.n_train} train labels drawn at random, {labels.n_wrong} of them wrong"
        )
    return rows


def without_noise(result: Result) -> Result:
    """The result without the figures of columns whose truth cannot be distinguished from noise.

    Failures remain, and so does the interval of a reliability, which shows that it may be 0.
    """
    one_seed = [_one_seed_without_noise(one, result.trust) for one in result.one_seed]
    update = {
        "trust": {key: _trust_without_noise(trust) for key, trust in result.trust.items()},
        "comparisons": tuple(one for one in result.comparisons if not _is_like_noise(result.trust, one.column)),
        "cells": _cells_without_noise(result.cells, result.trust),
        "one_seed": tuple(one for one in one_seed if one.columns),
        "trace": tuple(_point_without_noise(point) for point in result.trace),
    }
    return result.model_copy(update=update)


def in_order(result: Result) -> list[Cell]:
    """The estimators' cells, best agreement in the first column first, then in the next; what has none comes last.

    Estimators without a result come after those with one.
    """

    def values(cell: Cell) -> list[float]:
        found = [cell.value(column.key).value for column in result.headline]
        return [float(cell.status == "ok"), *(_NO_VALUE if value is None else value for value in found)]

    return sorted(result.cells, key=values, reverse=True)


def few(column: ColumnRecord) -> str:
    """The points that the column rests on, if they are fewer than ten, or twenty test points; empty otherwise."""
    sizes = [(column.n_rows, column.rows, FEW), (column.n_columns, "test points", FEW_TEST_POINTS)]
    return " and ".join(f"{n} {noun}" for n, noun, enough in sizes if n is not None and n < enough)


def one_seed_name(result: Result, one: OneSeed) -> str:
    """The name of the row of one seed: with its judge if there are several."""
    return "one seed of the truth" if len(result.one_seed) == 1 else f"one seed of {one.judge}"


def status(cell: Cell) -> str:
    """The cell's status; of one with few draws, how many."""
    return count(cell.n_repeats, "draw") if cell.status == "ok" and cell.has_few_draws else cell.status


def few_draws(names: Sequence[str]) -> str:
    """A sentence about estimators with few draws."""
    return (
        f"Fewer than {FEWEST_DRAWS} draws: {', '.join(names)}. Their intervals do not hold for other draws, so they "
        "have no letters and no clear differences."
    )


def seeds_needed(trust: Trust) -> str:
    """ "2, 8, > 8": seeds for each reliability that the record has."""
    if trust.reliability.value is None or not trust.seeds_needed:
        return DASH
    most = max([point.n_seeds for point in trust.curve], default=trust.n_seeds)
    return ", ".join(f"> {most}" if n is None else str(n) for n in trust.seeds_needed.values())


def notes(result: Result) -> Iterator[Note]:
    """The notes below the tables: failures first, then limits, then how to read them."""
    yield from _failures(result)
    yield from _failed(result, result.headline)
    yield from _undefined(result, result.headline)
    yield from _of_estimators(result)
    yield from _limits(result)
    yield from _few_draws(result)
    yield from _legend(result)


def notes_of_details(result: Result) -> Iterator[Note]:
    """The notes about the columns that are shown with the details alone."""
    columns = [column for column in result.columns if not column.headline]
    yield from _failed(result, columns)
    yield from _undefined(result, columns)
    yield from _of_truth(result, columns)
    yield from _few_points(columns)


def _cells_without_noise(cells: Iterable[Cell], trust: Mapping[str, Trust]) -> tuple[Cell, ...]:
    found = []
    for cell in cells:
        columns = {
            key: Agreement(n=one.n, n_undefined=one.n_undefined, failure=one.failure)
            if _is_like_noise(trust, key)
            else one
            for key, one in cell.columns.items()
        }
        found.append(cell.model_copy(update={"columns": columns}))
    return tuple(found)


def _trust_without_noise(trust: Trust) -> Trust:
    if not trust.is_like_noise or trust.reliability.low is not None:
        return trust
    return trust.model_copy(update={"reliability": UNKNOWN, "single_seed_reliability": UNKNOWN})


def _one_seed_without_noise(one: OneSeed, trust: Mapping[str, Trust]) -> OneSeed:
    columns = {key: found for key, found in one.columns.items() if not _is_like_noise(trust, key)}
    return one.model_copy(update={"columns": columns})


def _point_without_noise(point: TracePoint) -> TracePoint:
    return point.model_copy(update={"cells": _cells_without_noise(point.cells, point.trust)})


def _is_like_noise(trust: Mapping[str, Trust], key: str) -> bool:
    return key in trust and trust[key].is_like_noise


def _training(result: Result) -> str:
    problem = result.problem
    recipe = problem.recipe
    momentum = f", momentum {recipe['momentum']:g}" if recipe.get("momentum") else ""
    on = "" if recipe.get("decay_norms_and_biases", True) else " without norms and biases"
    decay = f", weight decay {recipe['weight_decay']:g}{on}" if recipe["weight_decay"] else ""
    schedule = "" if recipe["schedule"] == Recipe.schedule else f", {recipe['schedule']} schedule"
    later = {"clip_norm": "gradients clipped at norm", "label_smoothing": "label smoothing", "ema": "averaged with ema"}
    settings = (
        decay + schedule + "".join(f", {words} {recipe[name]:g}" for name, words in later.items() if name in recipe)
    )
    return (
        f"{count(problem.n_parameters, 'parameter')}, {recipe['optimizer']} at {recipe['learning_rate']:g}{momentum}"
        f"{settings}, batches of {recipe['batch_size']}, {recipe['epochs']} epochs = {problem.n_steps:,} steps, "
        f"{problem.dtype} on {problem.device}"
    )


def _cost(judge: JudgeRecord) -> str:
    if not judge.n_trainings:
        return ""
    return f": {count(judge.n_trainings, 'training')}, {seconds(judge.seconds)}{_reuse(judge)}"


def _reuse(judge: JudgeRecord) -> str:
    if not judge.n_shards_reused:
        return ""
    if judge.n_shards_reused == judge.n_shards:
        return " (stored before, reused)"
    return f" ({judge.n_shards_reused} of {judge.n_shards} shards stored before, reused)"


def _failures(result: Result) -> Iterator[Note]:
    for judge in result.judges:
        if judge.status != "ok":
            name = "" if judge.status == "failed" else f"judge {judge.name}: "
            yield Note(f"{judge.status}: {name}{judge.reason}", _tone(judge.status))
    for cell in result.cells:
        if cell.status != "ok":
            name = "" if cell.status == "failed" else f"{cell.name}: "
            yield Note(f"{cell.status}: {name}{cell.reason}", _tone(cell.status))


def _failed(result: Result, columns: Sequence[ColumnRecord]) -> Iterator[Note]:
    """The agreements that could not be computed."""
    found = []
    for cell in result.cells:
        for column in columns:
            agreement = cell.columns.get(column.key)
            if agreement is not None and agreement.failure is not None:
                found.append(("failed: ", column, f" of {cell.name}: {agreement.failure}"))
    yield from (Note(sentence, "failure") for sentence in _together(found))


def _together(found: Iterable[_Sentence]) -> Iterator[str]:
    """Every sentence once, with the names of all columns that it is about."""
    names: dict[tuple[str, str], list[str]] = {}
    for before, column, after in found:
        names.setdefault((before, after), []).append(column.name)
    for (before, after), of_columns in names.items():
        yield f"{before}{', '.join(of_columns)}{after}"


def _tone(status: str) -> Tone:
    return "failure" if status == "failed" else "warning"


def _undefined(result: Result, columns: Sequence[ColumnRecord]) -> Iterator[Note]:
    """Values that are not defined are counted aloud."""
    found: list[_Sentence] = []
    for cell in result.cells:
        for column in columns:
            agreement = cell.columns.get(column.key)
            if agreement is not None and column.silence is None:
                found += _undefined_in(cell.name, column, agreement)
    yield from map(Note, _together(found))


def _undefined_in(name: str, column: ColumnRecord, agreement: Agreement) -> Iterator[_Sentence]:
    if column.n_columns is None:
        if agreement.n_undefined or agreement.n_silent:
            yield f"{name}: no value in ", column, ", because scores or truth are constant"
        return
    test_points = count(column.n_columns, "test point")
    if agreement.n_silent and agreement.value.value is None:
        yield f"{name}: no value in ", column, ", because all scores are equal"
    elif agreement.n_silent:
        yield (
            f"{name}: its scores in ",
            column,
            f" are constant on {agreement.n_silent} of {test_points}, which count as 0",
        )
    if agreement.n_undefined:
        after = f" on {agreement.n_undefined} of {test_points}: constant truth or too few points"
        yield f"{name}: no value in ", column, after


def _of_estimators(result: Result) -> Iterator[Note]:
    """The estimators' own notes; equal notes of several variants of one estimator are one note."""
    names: dict[tuple[str, str], set[str]] = {}
    for cell in result.cells:
        for note in cell.notes:
            names.setdefault((cell.estimator, note), set()).add(cell.name)
    for (estimator, note), variants in names.items():
        who = min(variants) if len(variants) == 1 else f"{estimator} ({len(variants)} variants)"
        yield Note(f"{who}: {note}.")


def _limits(result: Result) -> Iterator[Note]:
    yield from map(Note, result.problem.notes)
    if result.problem.fit is not None:
        yield from (Note(sentence, "warning") for sentence in fit_warnings(result.problem.fit))
    yield from _of_truth(result, result.headline)
    yield from _few_points(result.headline)
    if result.problem.n_test == 1:
        yield Note(
            "There is one test point: all figures of influence are about this point alone, and their intervals are "
            "over train points and draws.",
            "warning",
        )
    if (n := result.problem.n_duplicates) > 0:
        points = count(result.problem.n_train, "train point")
        yield Note(
            f"{n:,} of {points} {'equals' if n == 1 else 'equal'} an earlier one in input and label. Intervals take "
            "train points as independent, so they are too narrow where many are equal.",
            "warning",
        )
    if result.problem.n_classes is None:
        yield Note("Regression has neither classes to look within nor a memorization score.")


def _of_truth(result: Result, columns: Sequence[ColumnRecord]) -> Iterator[Note]:
    """The seeds that are missing, the truths that are like noise, and the seeds that differ."""
    trusts = [(column, result.trust[column.key]) for column in columns if column.key in result.trust]
    if any(trust.n_seeds == 1 for _, trust in trusts):
        yield Note(
            "One seed cannot show its own noise, so reliability and ceiling are unknown. Use at least two seeds.",
            "warning",
        )
    silent = [(column, _silence(result, column)) for column in columns]
    found = [
        *(("", column, _few_seeds(trust)) for column, trust in trusts if _few_seeds(trust)),
        *(("Nothing can be said about ", column, f": {reason}.") for column, reason in silent if reason),
    ]
    yield from (Note(sentence, "warning") for sentence in _together(found))
    yield from _unlike_seeds(trusts)


def _silence(result: Result, column: ColumnRecord) -> str | None:
    """The reason why nothing can be said about a column; None if something can."""
    if column.silence is not None:
        return column.silence
    return LIKE_NOISE if _is_like_noise(result.trust, column.key) else None


def _few_seeds(trust: Trust) -> str:
    """The end of a sentence about a truth whose seeds are too few for what a report shows; empty if they are enough."""
    n_seeds, each = count(trust.n_seeds, "seed"), trust.seeds_each
    if trust.n_effects == 1 and each > 1:
        return (
            f": {n_seeds} make one effect, which cannot show its own noise, so reliability and ceiling are unknown. "
            f"Use at least {2 * each} seeds."
        )
    if trust.n_effects > 1 and _is_without_interval(trust):
        return (
            f": {n_seeds} are too few for intervals of reliability, ceiling, and share of the ceiling. Use at least "
            f"{FEWEST_SEEDS * each} seeds."
        )
    return ""


def _few_points(columns: Sequence[ColumnRecord]) -> Iterator[Note]:
    """The columns that rest on few points."""
    found = [("! ", column, f": only {points}; {_too_few(column)}.") for column in columns if (points := few(column))]
    yield from (Note(sentence, "warning") for sentence in _together(found))


def _few_draws(result: Result) -> Iterator[Note]:
    names = [cell.name for cell in result.cells if cell.status == "ok" and cell.has_few_draws]
    if names:
        yield Note(few_draws(names), "warning")


def _too_few(column: ColumnRecord) -> str:
    """The consequence of too few points."""
    if column.n_rows < FEW:
        return f"do not rely on intervals from fewer than ten {column.rows}"
    return "with fewer than twenty test points, intervals are wide and hardly any difference is clear"


def _is_without_interval(trust: Trust) -> bool:
    return trust.reliability.value is not None and abs(trust.reliability.value) < 1 and trust.reliability.low is None


def _unlike_seeds(trusts: Sequence[tuple[ColumnRecord, Trust]]) -> Iterator[Note]:
    unlike = [
        f"{decimal(min(trust.norms))} to {decimal(max(trust.norms))} ({column.name})"
        for column, trust in trusts
        if trust.norms and (max(trust.norms) > UNLIKE or min(trust.norms) < 1 / UNLIKE)
    ]
    if unlike:
        yield Note(
            f"The seeds differ: the norms of their effects, over the median norm, are {', '.join(unlike)}. A few seeds "
            "may decide what the truth is.",
            "warning",
        )


def _legend(result: Result) -> Iterator[Note]:
    by_unit: dict[str, list[str]] = {}
    for column in result.headline:
        if column.statistic != "spearman":
            by_unit.setdefault(column.unit, []).append(column.name)
    others = "; ".join(f"{', '.join(names)}: {unit}" for unit, names in by_unit.items())
    except_for = f" ({others})" if others else ""
    yield Note(
        f"All figures are Spearman's rank correlations{except_for}, for influence the mean over test points; in "
        "brackets the 95% interval over train points, test points, and draws; % of the ceiling, the best that the "
        "truth's noise allows."
    )
    n_draws = sorted({cell.n_repeats for cell in result.cells if cell.status == "ok" and cell.n_repeats > 1})
    if n_draws:
        yield Note(
            f"Estimators that draw at random: means over {' or '.join(map(str, n_draws))} draws, with the cost of one."
        )
    if result.one_seed:
        yield Note(
            "One seed of the truth: a single retraining, compared with the mean of the other seeds; the mean over "
            "seeds, with its interval over points and seeds. It is not an estimator and has no letters."
        )
    if any(column.has_run for column in result.headline):
        yield Note(
            "this run: the estimators were handed the run whose effects they predict. These columns are not comparable "
            "with the others."
        )
    if result.comparisons:
        yield Note(
            "Letters: estimators that share one in a column cannot be distinguished there; those that share none can "
            "(all differences at once, with 95%, on the same points)."
        )
    yield Note(
        "trainings: what the estimator spent in training, in units of one ordinary training, stored or not. Examples "
        "that a training leaves out cost nothing. What it computes besides shows in seconds only."
    )
    if any(cell.status == "ok" and cell.training_equivalents is None for cell in result.cells):
        yield Note("- in trainings and time: scores from elsewhere, at a cost that is not known.")
