"""The report as text: golden at 80 and at 160 columns, without colour."""

from pathlib import Path

import pytest

from influbench.report import numbers
from influbench.report.content import notes
from influbench.report.details import print_details
from influbench.report.terminal import print_report
from influbench.results import (
    UNKNOWN,
    Agreement,
    ColumnRecord,
    Failure,
    JudgeRecord,
    Result,
    Results,
    Statistic,
    TracePoint,
    Trust,
)
from tests.report.printing import text_of

GOLDEN = Path(__file__).parent / "golden"
RESULT, ESTIMANDS = Results.model_validate_json((GOLDEN / "result.json").read_text()).results
ALL_POINTS = "influence"  # the only column outside of the headline
NAMES = ["leave_one_out[n_seeds=1]", "turn_over_dropout", "tracin", "same_label", "random"]


def results_of(*results: Result) -> Results:
    return Results(plan="golden", seed=0, results=results)


def printed(results: Result | Results, width: int) -> str:
    whole = results if isinstance(results, Results) else results_of(results)
    return text_of(lambda console: print_report(console, whole), width)


def changed(result: Result, name: str | None = None, **columns: dict[str, object]) -> Result:
    """The result with other fields of the agreements in these columns, of one cell or of all."""
    cells = []
    for cell in result.cells:
        if name not in (None, cell.name):
            cells.append(cell)
            continue
        found = {key: one.model_copy(update=columns.get(key, {})) for key, one in cell.columns.items()}
        cells.append(cell.model_copy(update={"columns": found}))
    return result.model_copy(update={"cells": tuple(cells)})


def value_of(result: Result, name: str, column: str) -> Statistic:
    (cell,) = (cell for cell in result.cells if cell.name == name)
    return cell.value(column)


def with_column(
    result: Result, column: ColumnRecord, values: dict[str, Agreement], *, trust: Trust | None = None
) -> Result:
    """The result with a further column, made by a judge of its own."""
    cells = [
        cell.model_copy(update={"columns": {**cell.columns, column.key: values[cell.name]}})
        if cell.name in values
        else cell
        for cell in result.cells
    ]
    judge = JudgeRecord(name=column.judge, status="ok", estimand=f"something of {column.name}", columns=(column.key,))
    return result.model_copy(
        update={
            "judges": (*result.judges, judge),
            "columns": (*result.columns, column),
            "trust": result.trust if trust is None else {**result.trust, column.key: trust},
            "cells": tuple(cells),
        }
    )


def with_subsets(result: Result) -> Result:
    """With a truth of random subsets: a column that has a ceiling, and another number of seeds."""
    column = ColumnRecord(
        key="lds", title="random\nsubsets (LDS)", quantity="influence", judge="subsets[n=64]", statistic="spearman",
        unit="Spearman's rank correlation", rows="subsets", n_rows=64, n_columns=200,
    )  # fmt: skip
    values = {
        cell.name: cell.columns["weighted"].model_copy(update={"details": None})
        for cell in result.cells
        if "weighted" in cell.columns
    }
    return with_column(result, column, values, trust=result.trust["weighted"].model_copy(update={"n_seeds": 2}))


def with_wrong_labels(result: Result) -> Result:
    """With labels that are known to be wrong: a column of another unit, without a ceiling."""
    column = ColumnRecord(
        key="wrong_labels", title="wrong labels\n(AUROC)", quantity="memorization", judge="wrong_labels",
        statistic="auroc", unit="area under the ROC curve", rows="train points", n_rows=300, n_columns=None,
    )  # fmt: skip
    found = {
        "leave_one_out[n_seeds=1]": (0.93, 0.85, 1.0),
        "turn_over_dropout": (0.9, 0.84, 0.96),
        "random": (0.5, 0.4, 0.6),
    }
    values = {
        name: Agreement(value=Statistic(value=value, low=low, high=high), letters=letters, n=300)
        for (name, (value, low, high)), letters in zip(found.items(), ("a", "a", "b"), strict=True)
    }
    return with_column(result, column, values)


EVERYTHING = with_wrong_labels(with_subsets(RESULT))


@pytest.mark.parametrize("width", [80, 160])
@pytest.mark.parametrize(
    ("name", "result"), [("report", RESULT), ("three-judges", EVERYTHING), ("estimands", ESTIMANDS)]
)
def test_the_report_reads_as_it_did(name: str, result: Result, width: int) -> None:
    text = printed(result, width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    assert text == (GOLDEN / f"{name}-{width}.txt").read_text()


@pytest.mark.parametrize("width", [80, 160])
def test_the_details_read_as_they_did(width: int) -> None:
    text = text_of(lambda console: print_details(console, results_of(RESULT)), width)
    assert max(map(len, text.splitlines())) <= width
    assert text == (GOLDEN / f"details-{width}.txt").read_text()


def test_all_points_are_shown_with_the_details_alone() -> None:
    assert "all points" not in printed(RESULT, 80)
    details = text_of(lambda console: print_details(console, results_of(RESULT)), 80)
    assert details.count("all points") == 2  # trust and agreement
    for cell in RESULT.cells:
        for key in ("captured", "within_class", "weighted"):
            if (found := cell.value(key)).value is not None:
                assert numbers.interval(found) in printed(RESULT, 80)
        if (found := cell.value(ALL_POINTS)).value is not None:
            assert numbers.interval(found) in details


def test_columns_of_a_run_in_hand_are_said_to_be_no_match_for_the_others() -> None:
    said = (
        "this run: the estimators were handed the run whose effects they predict. These columns are not comparable "
        "with the others."
    )
    assert said in " ".join(printed(ESTIMANDS, 80).split())
    assert "this run" not in printed(RESULT, 80)


@pytest.mark.parametrize("width", [80, 160])
@pytest.mark.parametrize("letters", ["ab", "abcd", "abcdefgh"])
def test_the_widest_figures_fit_whatever_letters_stand_beside_them(letters: str, width: int) -> None:
    widest = Statistic(value=-1.0, low=-1.0, high=-0.99)
    every = {column.key: Agreement(value=widest, of_ceiling=widest, letters=letters, n=1) for column in RESULT.columns}
    update = {"columns": every, "training_equivalents": 12345.6, "seconds": 200.0}
    cells = [cell.model_copy(update=update) for cell in RESULT.cells]
    text = printed(RESULT.model_copy(update={"cells": tuple(cells)}), width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    n_tables = text.count("  Who predicts")
    assert text.count("12,345.6") == text.count("3 min 20 s") == n_tables * len(cells)
    assert n_tables == (1 if width == 160 else 2)
    n_values = len(RESULT.headline) * len(cells)
    assert text.count("[-1.00, -.99]") == text.count(f" {letters} ") + text.count(f" {letters}\n") == n_values


def test_a_cost_that_nobody_knows_is_a_dash_and_said_below() -> None:
    unknown = {"training_equivalents": None, "seconds": None}
    cells = [cell.model_copy(update=unknown) if cell.name == "tracin" else cell for cell in RESULT.cells]
    result = RESULT.model_copy(update={"cells": tuple(cells)})
    row = next(line for line in printed(result, 170).splitlines() if line.startswith("  tracin"))
    assert row.split()[-3:] == ["-", "-", "ok"]
    said = "- in trainings and time: scores from elsewhere, at a cost that is not known."
    assert said in " ".join(printed(result, 80).split())
    assert said not in " ".join(printed(RESULT, 80).split())


def test_estimators_are_sorted_by_agreement_and_failures_come_last() -> None:
    lines = printed(RESULT, 160).splitlines()
    names = ["leave_one_out", "turn_over_dropout", "tracin", "random", "mine", "needs_conv"]
    rows = [next(i for i, line in enumerate(lines) if line.startswith(f"  {name}")) for name in names]
    assert rows == sorted(rows)


def test_several_problems_stand_one_below_the_other_and_a_failed_one_keeps_its_place() -> None:
    failure = Failure(problem="line, linear", status="failed", reason="training diverged", traceback="Traceback ...")
    text = printed(Results(plan="two", seed=0, results=(RESULT, RESULT), failures=(failure,)), 80)
    assert text.count("Who predicts it?") == 2 * printed(RESULT, 80).count("Who predicts it?")
    assert text.count(f"─ {RESULT.problem.name} ─") == 2
    assert "─ line, linear ─" in text
    assert "failed: training diverged" in text
    assert f"─ {RESULT.problem.name} ─" not in printed(RESULT, 80)  # one problem needs no heading


def test_regression_shows_neither_classes_nor_memorization() -> None:
    said = "Regression has neither classes to look within nor a memorization score."
    assert said not in " ".join(printed(RESULT, 80).split())
    kept = ("captured", "weighted", ALL_POINTS)
    cells = [
        cell.model_copy(update={"columns": {key: one for key, one in cell.columns.items() if key in kept}})
        for cell in RESULT.cells
    ]
    regression = RESULT.model_copy(
        update={
            "problem": RESULT.problem.model_copy(update={"n_classes": None}),
            "columns": tuple(column for column in RESULT.columns if column.key in kept),
            "trust": {key: RESULT.trust[key] for key in kept if key in RESULT.trust},
            "cells": tuple(cells),
        }
    )
    text = printed(regression, 80)
    assert "within class" not in text
    assert "memorization" not in text.replace(said.rpartition(" score")[0].split()[-1] + " score", "")
    assert said in " ".join(text.split())


def test_one_seed_is_said_to_be_too_few() -> None:
    unknown = {"n_seeds": 1, "reliability": UNKNOWN, "ceiling": UNKNOWN, "single_seed_reliability": UNKNOWN}
    trust = {key: one.model_copy(update=unknown) for key, one in RESULT.trust.items()}
    words = " ".join(printed(RESULT.model_copy(update={"trust": trust}), 80).split())
    said = "One seed cannot show its own noise, so reliability and ceiling are unknown. Use at least two seeds."
    assert words.count(said) == 1
    assert "Nothing can be said" not in words
    assert said not in " ".join(printed(RESULT, 80).split())


def with_trust(key: str, **update: object) -> Result:
    """The result with other fields of the trust in one column."""
    return RESULT.model_copy(update={"trust": {**RESULT.trust, key: RESULT.trust[key].model_copy(update=update)}})


@pytest.mark.parametrize(
    ("key", "name"), [("within_class", "influence within class"), ("memorization", "memorization")]
)
@pytest.mark.parametrize("ceiling", [UNKNOWN, Statistic(value=0.1, low=-0.1, high=0.3)], ids=["new", "earlier"])
def test_nothing_is_said_about_a_truth_like_noise(key: str, name: str, ceiling: Statistic) -> None:
    noise = {"reliability": Statistic(value=0.1, low=-0.1, high=0.3), "ceiling": ceiling, "seeds_needed": {}}
    words = " ".join(printed(with_trust(key, **noise), 80).split())
    said = f"Nothing can be said about {name}: the truth cannot be distinguished from noise; add seeds."
    assert said in words
    assert words.count("Nothing can be said") == 1
    assert "Nothing can be said" not in printed(RESULT, 80)


NOISE = {"reliability": Statistic(value=0.1, low=-0.1, high=0.3), "ceiling": UNKNOWN, "seeds_needed": {}}


@pytest.mark.parametrize("width", [80, 160])
def test_a_truth_like_noise_has_neither_values_nor_letters_nor_a_chart(width: int) -> None:
    noisy, text = with_trust("within_class", **NOISE), printed(with_trust("within_class", **NOISE), width)
    for name in NAMES:
        for column in noisy.headline:
            found = value_of(noisy, name, column.key)
            if found.value is not None:
                assert (numbers.interval(found) in text) is (column.key != "within_class")
    assert numbers.interval(noisy.one_seed[0].columns["within_class"]) not in text
    assert "influence within class, against trainings" in printed(RESULT, width)
    assert "influence within class, against trainings" not in text


@pytest.mark.parametrize("width", [80, 160])
def test_truths_that_are_all_like_noise_have_rows_of_dashes_and_one_sentence(width: int) -> None:
    silence = "the truth cannot be distinguished from noise; add seeds"
    null = RESULT.model_copy(
        update={
            "trust": {key: trust.model_copy(update=NOISE) for key, trust in RESULT.trust.items()},
            "columns": tuple(
                column.model_copy(update={"silence": silence if column.key in ("captured", "weighted") else None})
                for column in RESULT.columns
            ),
            "one_seed": (),
            "comparisons": tuple(one for one in RESULT.comparisons if one.column not in ("captured", "weighted")),
        }
    )
    # as the engine leaves a silent column
    null = changed(null, captured={"value": UNKNOWN, "letters": None}, weighted={"value": UNKNOWN, "letters": None})
    text = printed(null, width)
    words = " ".join(text.split())
    names = "influence captured, influence within class, influence by signal, memorization"
    assert words.count("Nothing can be said") == 1
    assert f"Nothing can be said about {names}: {silence}." in words
    assert "against trainings" not in words
    assert "Letters:" not in words
    rows = [line.split() for line in text.splitlines() if line.startswith("  turn_over_dropout ")]
    assert [word for row in rows for word in row if word[0] in "-.[" or len(word) == 1] == ["-"] * len(null.headline)
    details = text_of(lambda console: print_details(console, results_of(null)), width)
    assert "tau-b" not in details
    assert f"Nothing can be said about influence all points: {silence}." in " ".join(details.split())


def test_a_reliability_without_an_interval_is_not_shown_where_the_truth_is_like_noise() -> None:
    bare = {"n_seeds": 3, "reliability": Statistic(value=-0.987, low=None, high=None), "seeds_needed": {}}
    bare["single_seed_reliability"] = Statistic(value=-0.234, low=None, high=None)
    text = printed(with_trust("memorization", **bare, ceiling=UNKNOWN), 160)
    assert "Nothing can be said about memorization" in text
    assert "-.99" not in text
    assert "-.23" not in text
    assert "are too few for intervals" not in text
    assert "-.99" in printed(with_trust("memorization", **bare), 160)  # with a ceiling
    assert numbers.interval(NOISE["reliability"]) in printed(with_trust("memorization", **NOISE), 160)


def test_a_step_whose_truth_is_like_noise_has_dashes_in_the_trace() -> None:
    (cell,) = (cell for cell in RESULT.cells if cell.name == "turn_over_dropout")
    noise = {key: trust.model_copy(update=NOISE) for key, trust in RESULT.trust.items()}
    points = (TracePoint(step=6, trust=noise, cells=(cell,)), TracePoint(step=12, trust=RESULT.trust, cells=(cell,)))
    lines = printed(RESULT.model_copy(update={"trace": points}), 80).splitlines()
    rows = [line.split() for line in lines if line.startswith("  step ")]
    of_memorization = rows[-2:]
    assert of_memorization[0] == ["step", "6", "-", "-"]
    assert numbers.decimal(cell.value("memorization").value) in of_memorization[1]


def test_notes_about_the_details_are_printed_with_the_details() -> None:
    noisy = with_trust(ALL_POINTS, **NOISE)
    said = "Nothing can be said about influence all points: the truth cannot be distinguished from noise; add seeds."
    assert "Nothing can be said" not in printed(noisy, 80)
    details = text_of(lambda console: print_details(console, results_of(noisy)), 80)
    assert " ".join(details.split()).count(said) == 1


def test_a_sentence_about_several_columns_is_printed_once() -> None:
    undefined = {"n_undefined": 3}
    silent = {"value": UNKNOWN, "n_silent": 200}
    result = changed(RESULT, "tracin", captured=undefined, within_class=undefined)
    result = changed(result, "random", weighted=silent, within_class=silent)
    result = changed(result, "same_label", captured={"failure": "no luck"}, weighted={"failure": "no luck"})
    words = " ".join(printed(result, 80).split())
    for sentence in (
        "tracin: no value in influence captured, influence within class on 3 of 200 test points: constant truth",
        "random: no value in influence within class, influence by signal, because all scores are equal",
        "failed: influence captured, influence by signal of same_label: no luck",
    ):
        assert words.count(sentence) == 1


def test_a_truth_like_noise_has_a_dash_for_the_seeds_needed() -> None:
    lines = printed(with_trust("within_class", seeds_needed={}, ceiling=UNKNOWN), 160).splitlines()
    row = next(line for line in lines if line.startswith("  seeds for"))
    assert row.split()[2:4] == [".5/.8/.9", "-"]
    row = next(line for line in lines if line.startswith("  ceiling"))
    assert row.split()[:2] == ["ceiling", "-"]


def test_too_few_seeds_for_an_interval_are_counted() -> None:
    few = {"n_seeds": 3, "reliability": Statistic(value=0.5, low=None, high=None)}
    words = " ".join(printed(with_trust("within_class", **few), 80).split())
    said = (
        "influence within class: 3 seeds are too few for intervals of reliability, ceiling, and share of the ceiling. "
        "Use at least 4 seeds."
    )
    assert words.count(said) == 1
    assert "are too few for intervals" not in printed(RESULT, 80)


@pytest.mark.parametrize(
    ("n_seeds", "said"),
    [
        (2, "2 seeds make one effect, which cannot show its own noise, so reliability and ceiling are unknown. Use at "
            "least 4 seeds."),
        (6, "6 seeds are too few for intervals of reliability, ceiling, and share of the ceiling. Use at least 8 "
            "seeds."),
    ],
)  # fmt: skip
def test_seeds_are_counted_where_two_make_one_effect(n_seeds: int, said: str) -> None:
    known = UNKNOWN if n_seeds == 2 else Statistic(value=0.5, low=None, high=None)
    pairs = {"n_seeds": n_seeds, "seeds_each": 2, "reliability": known}
    assert f"influence within class: {said}" in " ".join(printed(with_trust("within_class", **pairs), 80).split())


def test_the_reach_of_one_seed_is_a_row_of_the_trust() -> None:
    reach = Statistic(value=0.63, low=0.55, high=0.71)
    update = {"single_seed_reach": UNKNOWN}
    unknown = {key: trust.model_copy(update=update) for key, trust in RESULT.trust.items()}
    known = {**unknown, "within_class": unknown["within_class"].model_copy(update={"single_seed_reach": reach})}
    lines = printed(RESULT.model_copy(update={"trust": known}), 160).splitlines()
    (row,) = (line for line in lines if line.startswith("  one seed can reach"))
    assert row.split() == ["one", "seed", "can", "reach", ".63", "[.55,", ".71]", "-", "-"]
    assert "one seed can reach" not in printed(RESULT.model_copy(update={"trust": unknown}), 160)


@pytest.mark.parametrize("norms", [(1.0, 0.8, 2.5, 1.1), (1.0, 1.2, 0.4, 0.9)])
def test_seeds_that_differ_are_reported(norms: tuple[float, ...]) -> None:
    words = " ".join(printed(with_trust("memorization", norms=norms), 80).split())
    ends = {2.5: ".80 to 2.50", 0.9: ".40 to 1.20"}[norms[2] if norms[2] > 2 else norms[3]]
    assert f"the norms of their effects, over the median norm, are {ends} (memorization)." in words
    assert "The seeds differ" not in printed(with_trust("memorization", norms=(0.5, 1.0, 1.0, 2.0)), 80)


def test_each_column_has_its_own_number_of_seeds() -> None:
    lines = printed(with_subsets(RESULT), 160).splitlines()
    seeds = next(line for line in lines if line.startswith("  seeds  "))
    assert seeds.split() == ["seeds", "8", "8", "8", "2"]
    assert any(line.startswith("  all seeds ") for line in lines)
    assert not any(line.startswith("  seeds  ") for line in printed(RESULT, 160).splitlines())


def test_a_unit_that_is_no_correlation_is_named_below() -> None:
    said = (
        "All figures are Spearman's rank correlations (influence captured: captured effect of the 5% highest-scored "
        "train points; influence by signal: Spearman's rank correlation, test points weighted by signal; wrong labels "
        "(AUROC): area under the ROC curve), for influence"
    )
    assert said in " ".join(printed(EVERYTHING, 80).split())


def test_columns_of_one_unit_are_named_together() -> None:
    said = (
        "(influence captured, this run captured: captured effect of the 5% highest-scored train points; influence by "
        "signal, this run by signal: Spearman's"
    )
    both = RESULT.model_copy(update={"columns": (*RESULT.columns, *ESTIMANDS.columns)})
    assert said in " ".join(note.text for note in notes(both))


def test_a_judge_that_did_not_judge_is_said_below_and_an_agreement_that_failed_in_its_place() -> None:
    broken = JudgeRecord(name="mine", status="failed", reason="mine (strangers 1.0) raised RuntimeError: no luck")
    absent = JudgeRecord(name="wrong_labels", status="unsupported", reason="no train label is known to be wrong")
    result = RESULT.model_copy(update={"judges": (*RESULT.judges, broken, absent)})
    failed = {"value": UNKNOWN, "of_ceiling": UNKNOWN, "failure": "mine raised it"}
    result = changed(result, "tracin", captured=failed)
    text = printed(result, 160)
    words = " ".join(text.split())
    assert "failed: mine (strangers 1.0) raised RuntimeError: no luck" in words
    assert "unsupported: judge wrong_labels: no train label is known to be wrong" in words
    assert "failed: influence captured of tracin: mine raised it" in words
    row = next(line for line in text.splitlines() if line.startswith("  tracin"))
    assert row.split()[:3] == ["tracin", "failed", numbers.decimal(value_of(RESULT, "tracin", "within_class").value)]
    assert not any(line.startswith("  mine  ") for line in text.splitlines())


def test_few_points_are_marked_in_the_table_and_named_below() -> None:
    text = printed(RESULT, 80)
    assert "!" not in text
    sizes = dict.fromkeys(("captured", "weighted", ALL_POINTS), (300, 9))
    sizes |= {"within_class": (4, 9), "memorization": (300, None)}
    columns = [
        column.model_copy(update=dict(zip(("n_rows", "n_columns"), sizes[column.key], strict=True)))
        for column in RESULT.columns
    ]
    text = printed(RESULT.model_copy(update={"columns": tuple(columns)}), 80)
    assert text.count("by signal !") == text.count("within class !") == 2
    assert text.count("captured !") == 1  # which has no reliability
    assert "memorization !" not in text
    words = " ".join(text.split())
    said = (
        "! influence captured, influence by signal: only 9 test points; with fewer than twenty test points, intervals"
    )
    assert said in words
    assert (
        "! influence within class: only 4 train points in a class and 9 test points; do not rely on intervals from "
        "fewer than ten train points in a class." in words
    )


@pytest.mark.parametrize(("n_rows", "n_columns", "few"), [(10, 20, False), (9, 20, True), (10, 19, True)])
def test_ten_train_points_and_twenty_test_points_are_not_few(n_rows: int, n_columns: int, few: bool) -> None:
    update = {"n_rows": n_rows, "n_columns": n_columns}
    columns = (RESULT.columns[0].model_copy(update=update), *RESULT.columns[1:])
    assert ("!" in printed(RESULT.model_copy(update={"columns": columns}), 80)) is few


def test_duplicated_train_points_are_counted_in_a_note() -> None:
    def words(n: int) -> str:
        problem = RESULT.problem.model_copy(update={"n_duplicates": n})
        return " ".join(printed(RESULT.model_copy(update={"problem": problem}), 80).split())

    assert "equal an earlier one" not in words(0)
    assert "1 of 300 train points equals an earlier one in input and label." in words(1)
    assert "1,200 of 300 train points equal an earlier one in input and label. Intervals take train points" in words(
        1200
    )


@pytest.mark.parametrize("width", [80, 160])
def test_details_hold_every_statistic_and_fit(width: int) -> None:
    text = text_of(lambda console: print_details(console, results_of(RESULT)), width)
    assert max(map(len, text.splitlines())) <= width
    for title in ("quarters", "sig.", "centered", "pooled", "tau-b", "Pearson", "top k", "sign", "AUROC", "most"):
        assert title in text
    (cell,) = (cell for cell in RESULT.cells if cell.name == "turn_over_dropout")
    *_, of_memorization, of_influence = [line for line in text.splitlines() if line.startswith("  turn_over")]
    for key, row in (("memorization", of_memorization), ("influence", of_influence)):
        details = cell.columns[key].details
        assert details is not None
        of_this_table = details.pooled if key == "influence" else details.among_most
        for statistic in (details.kendall, details.pearson, details.top_k_overlap, of_this_table):
            assert statistic.value is not None
            assert numbers.decimal(statistic.value) in row.split()


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.5478, ".55"), (-0.034, "-.03"), (0.999, "1.00"), (-0.999, "-1.00"), (0.0, ".00"), (-0.001, ".00"), (None, "-")],
)
def test_correlations_have_two_digits_and_no_zero(value: float | None, text: str) -> None:
    assert numbers.decimal(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.01, "< 0.1 s"), (0.26, "0.3 s"), (9.96, "10 s"), (61, "61 s"), (200, "3 min 20 s"), (7500, "2 h 05 min")],
)
def test_durations_have_units(value: float, text: str) -> None:
    assert numbers.seconds(value) == text


def test_a_trace_has_a_table_for_each_kind_of_agreement() -> None:
    (cell,) = (cell for cell in EVERYTHING.cells if cell.name == "turn_over_dropout")
    others = [cell.model_copy(update={"name": f"{cell.name}, a {n} one"}) for n in ("second", "third")]
    steps = (6, 12, 30, 60, 120)
    points = tuple(TracePoint(step=step, trust=EVERYTHING.trust, cells=(cell, *others)) for step in steps)
    text = printed(EVERYTHING.model_copy(update={"trace": points}), 80)
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    assert text.count("\n  step 6 ") == text.count("\n  step 120") == len(EVERYTHING.headline) == 6
    heads = [line for line in text.splitlines() if " ceiling " in line and "% of the" not in line]
    assert len(heads) - sum(line.startswith("  ceiling") for line in heads) == 4  # known labels have none
    for column in EVERYTHING.headline:
        assert text.count(numbers.interval(cell.value(column.key))) >= len(steps) * 3, column.key


@pytest.mark.parametrize("width", [50, 60, 70, 80, 100, 160])
@pytest.mark.parametrize("result", [RESULT, with_subsets(RESULT), EVERYTHING], ids=["four columns", "five", "six"])
def test_nothing_is_cut_where_the_terminal_is_narrow(result: Result, width: int) -> None:
    text = printed(result, width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    for cell in result.cells:
        for column in result.headline:
            assert numbers.interval(cell.value(column.key)) in text
    for key, trust in result.trust.items():
        assert key == ALL_POINTS or numbers.interval(trust.reliability) in text
    details = text_of(lambda console: print_details(console, results_of(result)), width)
    assert max(map(len, details.splitlines())) <= width
    assert "…" not in details


@pytest.mark.parametrize("width", [80, 100, 120, 150, 166, 167])
def test_no_column_is_dropped_at_any_width(width: int) -> None:
    head = next(line for line in printed(RESULT, width).splitlines() if "Who predicts it?" in line)
    assert ("status" in head) == (width >= 167)
    assert "time" in printed(RESULT, width)
    text = printed(EVERYTHING, width)
    for column in EVERYTHING.headline:
        assert text.count(column.title.split("\n")[-1]) >= 2


@pytest.mark.parametrize("width", [80, 170])
def test_few_draws_are_in_the_row_and_in_a_note(width: int) -> None:
    once = {"n_repeats": 1}
    cells = [cell.model_copy(update=once) if cell.name in ("tracin", "random") else cell for cell in RESULT.cells]
    lines = printed(RESULT.model_copy(update={"cells": tuple(cells)}), width).splitlines()
    row = next(place for place, line in enumerate(lines) if line.startswith("  tracin"))
    assert lines[row].endswith("1 draw") if width == 170 else lines[row + 1].startswith("  1 draw")
    said = (
        "Fewer than 4 draws: tracin, random. Their intervals do not hold for other draws, so they have no letters and "
        "no clear differences."
    )
    assert said in " ".join(" ".join(lines).split())
    assert "Fewer than" not in printed(RESULT, width)


def test_one_seed_of_several_truths_is_named_by_its_judge() -> None:
    (one,) = RESULT.one_seed
    found = Statistic(value=0.123, low=0.1, high=0.14)
    other = one.model_copy(update={"judge": "mine[n=3]", "columns": {"memorization": found}, "seconds": None})
    text = printed(RESULT.model_copy(update={"one_seed": (one, other)}), 190)
    assert "  one seed of leave_one_out " in text
    (row,) = (line for line in text.splitlines() if "one seed of mine[n=3]" in line)
    assert row.split()[4:] == ["-", "-", "-", ".12", "[.10,", ".14]", "301", "-"]


def test_one_seed_has_no_row_in_a_table_without_its_columns() -> None:
    of_runs, of_ranks, of_spread = printed(ESTIMANDS, 80).split("Who predicts it?")[1:]
    for table, judges in ((of_runs, []), (of_ranks, ["expected_rank"]), (of_spread, ["spread"])):
        lines = table.partition("against trainings")[0].split("\n")
        assert sum(line.startswith("  one seed of") for line in lines) == len(judges)
        for judge in judges:
            assert judge in " ".join(lines)
