"""Judges: what a stranger's makes is everywhere, and what it breaks is its own columns alone."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

import influbench
from influbench.api import Spec
from influbench.engine import forecast, run
from influbench.engine.events import Event, ProblemFailed, ShardDone, WorkExtended
from influbench.engine.preparation import prepare
from influbench.errors import InflubenchError, JudgeError, PluginError, TrainingError, UnknownNameError, UsageError
from influbench.executors.processes import LocalProcesses
from influbench.plan import Plan
from influbench.reading.comparison import compare
from influbench.reading.stored import read_stored
from influbench.registry import Entry, Registry
from influbench.report.terminal import print_report
from influbench.results import UNKNOWN, Result, Results
from influbench.seeds import derive
from influbench.shards import trained
from influbench.store.files import read_arrays
from influbench.store.run_directory import read_result
from tests.engine.test_run import agreement_of, cell_of, judge_of, plan, result_in, results_in
from tests.plugins import STRANGERS, registry_with
from tests.problems import stored_in
from tests.report.printing import text_of

LEAVE_ONE_OUT = ["captured", "within_class", "weighted", "memorization", "influence"]
NAMES = ("Doubled", "Total", "Noise", "EvenIds", "Doubt", "Faulty", "Odd", "Absent")


def known(**estimators: str) -> Registry:
    """All that is installed, with the strangers' judges by their names in lower case."""
    entries = (Entry("judge", Spec(name.lower(), f"tests.engine.judges:{name}", ""), STRANGERS) for name in NAMES)
    return registry_with(*entries, **estimators)


def judged_by(
    *judges: str, estimators: Sequence[str] = ("random", "subset"), steps: tuple[int, ...] = (), **how: str
) -> Plan:
    of = plan(estimators, **how).changed(judges=judges)
    return of.model_copy(update={"truth": of.truth.model_copy(update={"steps": steps})})


def events_of(of: Plan, tmp_path: Path, *, out: str = "out", required: Sequence[str] = (), **names: str) -> list[Event]:
    resources = stored_in(tmp_path / "cache")
    return list(run(of, directory=tmp_path / out, resources=resources, registry=known(**names), required=required))


def result_of(of: Plan, tmp_path: Path, *, out: str = "out", **names: str) -> Result:
    return result_in(events_of(of, tmp_path, out=out, **names))


def keys_of(result: Result) -> list[str]:
    return [column.key for column in result.columns]


# ---------------------------------------------------------------- columns are things


def test_a_judge_that_asks_for_the_same_in_other_words_finds_the_same_everywhere(tmp_path: Path) -> None:
    estimators = ("random", "subset", "same_label", "turn_over_dropout[n_masks=2]")
    of = judged_by("doubled", "leave_one_out", estimators=estimators, steps=(2,))
    events = events_of(of, tmp_path)
    assert [(event.judge, event.n_done, event.n_shards) for event in events if isinstance(event, ShardDone)] == [
        ("doubled", 1, 2),
        ("doubled", 2, 2),
    ]  # what both ask for is trained once, for the first
    result = result_in(events)
    assert keys_of(result) == ["doubled", *LEAVE_ONE_OUT]
    doubled, left_out = (judge_of(result, name) for name in of.judges)
    assert (doubled.columns, doubled.estimand, doubled.status) == (("doubled",), "twice the effect", "ok")
    assert (doubled.n_trainings, doubled.n_shards) == (left_out.n_trainings, left_out.n_shards) == (42, 2)
    column = result.column("doubled")
    assert (column.name, column.judge, column.unit) == ("twice the effect", "doubled", "Spearman's rank correlation")
    assert (column.n_rows, column.rows, column.n_columns) == (20, "train points", 8)

    for cell in result.cells:
        mine, theirs = cell.columns["doubled"], cell.columns["influence"]
        assert mine == theirs.model_copy(update={"details": None})
        assert mine.value.value is not None
        assert mine.of_ceiling.value is not None
        assert mine.letters
    assert result.trust["doubled"] == result.trust["influence"]
    of_columns = {
        key: [one.model_copy(update={"column": ""}) for one in result.comparisons if one.column == key]
        for key in ("doubled", "influence")
    }
    assert of_columns["doubled"] == of_columns["influence"]
    assert len(of_columns["doubled"]) == 4 * 3 / 2
    assert result.fronts["doubled"] == result.fronts["influence"]
    assert [point.step for point in result.trace] == [2, 4]
    for point in result.trace:
        (cell,) = point.cells
        assert cell.value("doubled") == cell.value("influence") != UNKNOWN
        assert point.trust["doubled"] == point.trust["influence"]
    assert result.trace[0].cells[0].value("doubled") != result.trace[1].cells[0].value("doubled")

    stored = read_result(tmp_path / "out")
    assert stored == results_in(events)
    for width in (80, 160):
        text = text_of(lambda console, width=width: print_report(console, stored), width)  # type: ignore[misc]
        assert text.count("twice the") >= 4  # trust, agreement, trace, chart
        assert "doubled        twice the effect: 42 trainings" in text
        assert max(map(len, text.splitlines())) <= width

    compared = {one.key: one for one in compare([tmp_path / "out"]).columns}
    assert list(compared) == ["doubled", "within_class", "memorization", "influence"]  # the others need three seeds
    for one, other in zip(compared["doubled"].estimators, compared["influence"].estimators, strict=True):
        assert one == other
        assert one.by_problem[0] is not None
        assert one.by_problem[0].value == pytest.approx(cell_of(result, one.name).value("doubled").value, abs=1e-5)

    frame = influbench.read(tmp_path / "out").frame().set_index(["estimator", "column"])
    for name in estimators:
        mine, theirs = frame.loc[name, "doubled"], frame.loc[name, "influence"]
        same = ["value", "low", "high", "of_ceiling", "letters", "ceiling", "reliability", "n", "trainings"]
        assert mine[same].to_dict() == theirs[same].to_dict()
        assert mine["judge"] == "doubled"
        assert not mine[same].isna().any()


def test_known_flags_have_no_ceiling_and_are_found_as_scikit_learn_says(tmp_path: Path) -> None:
    digits = '"digits[n_train=40,n_test=5]"'
    result = result_of(judged_by("evenids", estimators=("train_loss", "random"), dataset=digits), tmp_path)
    assert keys_of(result) == ["even"]
    assert result.trust == {}
    assert (result.column("even").statistic, result.column("even").unit) == ("auroc", "area under the ROC curve")
    for cell in result.cells:
        scores = read_arrays(tmp_path / "out" / str(cell.scores)).tensors
        found = cell.columns["even"]
        repeats = [scores["memorization"], *(scores[f"memorization@{repeat}"] for repeat in range(1, 4))]
        expected = np.mean([roc_auc_score(scores["train_ids"] % 2 == 0, repeat.double()) for repeat in repeats])
        assert found.value.value == pytest.approx(expected, abs=1e-6)
        assert (found.of_ceiling, found.n, cell.columns.keys()) == (UNKNOWN, 40, {"even"})
        assert found.letters
    text = text_of(lambda console: print_report(console, read_result(tmp_path / "out")), 80)
    assert "Is the truth reliable?" not in text
    assert "(even ids (AUROC): area under the ROC curve)" in " ".join(text.split())
    assert "Nothing can be said" not in text


def test_several_subsets_are_several_columns_wherever_a_column_is(tmp_path: Path) -> None:
    judges = ("subsets[n=20]", "subsets[n=24,ratio=0.25]")
    estimators = ("subset", "random", "turn_over_dropout[n_masks=2]")
    result = result_of(judged_by(*judges, estimators=estimators, steps=(2,)), tmp_path)
    assert keys_of(result) == ["lds", "lds_0.25"]
    assert [column.judge for column in result.columns] == list(judges)
    assert [column.name for column in result.columns] == ["random subsets (LDS)", "subsets of 0.25 (LDS)"]
    (prepared,), _ = prepare(judged_by(*judges, steps=(2,)), known())
    (traced,) = (cell for cell in result.cells if cell.name.startswith("turn"))
    for key, n, ratio in (("lds", 20, 0.5), ("lds_0.25", 24, 0.25)):
        works = [prepared.judged.subsets(n_models=n, ratio=ratio, repeat=repeat) for repeat in range(2)]
        banks = [trained(work, stored_in(tmp_path / "cache")) for work in works]
        assert result.trust[key].n_seeds == 2
        assert result.trust[key].ceiling.value is not None
        for cell in result.cells:
            tensors = read_arrays(tmp_path / "out" / str(cell.scores)).tensors
            measured, of_points = (banks[0].on_test + banks[1].on_test) / 2, []
            for suffix in ("", "@1", "@2", "@3"):
                predicted = banks[0].weights.double() @ tensors[f"influence{suffix}"].double()
                of_points += [spearmanr(predicted[:, j], measured[:, j]).statistic for j in range(8)]
            found = cell.columns[key]
            assert found.value.value == pytest.approx(np.mean(of_points), abs=1e-4)
            assert found.value.low is not None
            assert (found.n, bool(found.letters)) == (8 * n, True)
        assert [point.trust[key] == result.trust[key] for point in result.trace] == [False, True]
        values = [point.cells[0].value(key) for point in result.trace]
        assert values[0] != values[1] == traced.value(key)
    assert agreement_of(result, "subset", "lds").value != agreement_of(result, "subset", "lds_0.25").value

    compared = {one.key: one for one in compare([tmp_path / "out"]).columns}
    assert list(compared) == ["lds", "lds_0.25"]
    for key, column in compared.items():
        for one in column.estimators:
            reported, here = cell_of(result, one.name).value(key), one.by_problem[0]
            assert here is not None
            assert here.value == pytest.approx(reported.value, abs=1e-5)
            assert here.low == pytest.approx(reported.low, abs=1e-4)
            assert one.letters
    rows = [row for row in influbench.read(tmp_path / "out").cells if row.column == "lds_0.25"]
    assert [row.estimator for row in rows] == list(estimators)
    for row in rows:
        assert None not in (row.value, row.low, row.high, row.of_ceiling, row.letters, row.ceiling, row.reliability)


def test_the_judges_are_leave_one_out_and_wrong_labels_where_some_are_drawn(tmp_path: Path) -> None:
    of = plan(["train_loss"], dataset='"digits[n_train=40,n_test=5]"', more="random_labels = [0, 0.5]")
    clean, noisy = results_in(events_of(of, tmp_path)).results
    assert keys_of(clean) == LEAVE_ONE_OUT
    assert keys_of(noisy) == [*LEAVE_ONE_OUT, "wrong_labels"]
    assert agreement_of(noisy, "train_loss", "wrong_labels").value.value is not None
    assert judge_of(clean, "wrong_labels").status == "unsupported"


def test_a_share_of_random_labels_that_draws_none_is_no_error(tmp_path: Path) -> None:
    of = plan(["train_loss"], more="random_labels = 0.01")  # of 20 points
    result = result_of(of, tmp_path)
    assert result.problem.random_labels.n_wrong == 0
    assert keys_of(result) == LEAVE_ONE_OUT
    reason = "no train label is known to be wrong; ask with random_labels above 0 and below 1"
    assert judge_of(result, "wrong_labels").reason == reason


# ---------------------------------------------------------------- trainings of a judge's own


def test_a_judge_has_trainings_of_its_own_that_are_stored_and_reused(tmp_path: Path) -> None:
    of = judged_by("doubt[n=3]", estimators=("train_loss", "random")).changed(repeats=1)
    first, again = (events_of(of, tmp_path, out=out) for out in ("first", "again"))
    for events, reused in ((first, False), (again, True)):
        shards = [event for event in events if isinstance(event, ShardDone)]
        assert [(event.judge, event.n_done, event.n_shards, event.reused) for event in shards] == [
            ("doubt[n=3]", n, 3, reused) for n in (1, 2, 3)
        ]
    result = result_in(again)
    assert [cell.columns for cell in result.cells] == [cell.columns for cell in result_in(first).cells]
    judge = judge_of(result, "doubt[n=3]")
    assert (judge.n_trainings, judge.n_shards, judge.n_shards_reused) == (3, 3, 3)
    assert (result.trust["doubt"].n_seeds, result.column("doubt").n_columns) == (3, None)
    stored = sorted((tmp_path / "cache" / "fits").rglob("seed-??.safetensors"))
    doubts = -torch.stack([read_arrays(path).tensors["p_correct"].double() for path in stored]).mean(0)
    for cell in result.cells:
        scores = read_arrays(tmp_path / "again" / str(cell.scores)).tensors["memorization"]
        assert cell.value("doubt").value == pytest.approx(spearmanr(scores, doubts).statistic, abs=1e-6)
    (told,), _ = forecast(of.changed(judges=("doubt[n=5]",)), resources=stored_in(tmp_path / "cache"), registry=known())
    assert (told.n_shards, told.n_shards_stored, told.n_trainings) == (5, 3, 2)


def test_trainings_of_a_judge_may_run_elsewhere_and_be_extended(tmp_path: Path) -> None:
    of = judged_by("doubt[n=2,enough=4]", estimators=("train_loss", "random"))
    with closing(LocalProcesses(1)) as executor:
        resources = stored_in(tmp_path / "cache", executor=executor)
        events = list(run(of, directory=tmp_path / "out", resources=resources, registry=known()))
    assert [event.standing for event in events if isinstance(event, WorkExtended)] == ["2 of 4", "3 of 4"]
    shards = [(event.n_done, event.n_shards) for event in events if isinstance(event, ShardDone)]
    assert shards == [(1, 2), (2, 2), (3, 3), (4, 4)]
    assert result_in(events).trust["doubt"].n_seeds == 4


def test_of_a_step_at_which_a_judge_knows_nothing_there_is_no_column(tmp_path: Path) -> None:
    estimators = ("turn_over_dropout[n_masks=2]", "random")
    result = result_of(judged_by("doubt", "leave_one_out", estimators=estimators, steps=(2,)), tmp_path)
    assert ["doubt" in point.cells[0].columns for point in result.trace] == [False, True]
    assert ["doubt" in point.trust for point in result.trace] == [False, True]
    assert judge_of(result, "doubt").status == "ok"


# ---------------------------------------------------------------- scores by a judge's own rule


def test_scores_that_a_judge_derives_are_compared_as_it_derived_them(tmp_path: Path) -> None:
    estimators = ("random", "subset", "same_label")
    result = result_of(judged_by("total", "leave_one_out", estimators=estimators).changed(repeats=1), tmp_path)
    truth = read_arrays(tmp_path / "out" / str(result.cells[0].scores)).tensors
    truth = read_arrays((tmp_path / "out" / str(result.cells[0].scores)).with_name("truth.safetensors")).tensors
    for name in ("random", "subset"):
        scores = read_arrays(tmp_path / "out" / str(cell_of(result, name).scores)).tensors["influence"].double()
        expected = spearmanr(scores.abs().sum(1), truth["influence"].double().sum(1)).statistic
        assert agreement_of(result, name, "total").value.value == pytest.approx(expected, abs=1e-5)
    assert "total" not in cell_of(result, "same_label").columns  # it has influence, and the judge wants both
    compared = {one.key: one for one in compare([tmp_path / "out"]).columns}
    assert {one.name for one in compared["influence"].estimators} == set(estimators)
    found = {one.name: one.by_problem[0] for one in compared["total"].estimators}
    assert found.keys() == {"random", "subset"}
    for name, value in found.items():
        assert value is not None
        assert value.value == pytest.approx(agreement_of(result, name, "total").value.value, abs=1e-5)

    without = judged_by("leave_one_out", estimators=("random", "leave_one_out")).changed(repeats=1)
    result_of(without, tmp_path, out="without")
    both = {
        one.key: {each.name for each in one.estimators}
        for one in compare([tmp_path / "out", tmp_path / "without"]).columns
    }
    assert both["influence"] == {*estimators, "leave_one_out"}
    assert both["total"] == {"random", "subset"}  # nothing was derived from the other run's scores


def test_derived_scores_of_every_repeat_are_stored(tmp_path: Path) -> None:
    of = judged_by("total", estimators=("random", "subset")).changed(repeats=2)
    result = result_of(of, tmp_path)
    tensors = read_arrays(tmp_path / "out" / str(cell_of(result, "random").scores)).tensors
    for suffix in ("", "@1"):
        expected = tensors[f"influence{suffix}"].abs().sum(1)
        torch.testing.assert_close(tensors[f"column total{suffix}"][:, 0].float(), expected.float())
    (column,) = compare([tmp_path / "out"]).columns
    found = {one.name: one.by_problem[0] for one in column.estimators}
    value = found["random"]
    assert value is not None
    assert value.value == pytest.approx(agreement_of(result, "random", "total").value.value, abs=1e-5)


# ---------------------------------------------------------------- a judge that fails, fails alone


def alone(tmp_path: Path, *more: str) -> Result:
    """The run without the judge, of these estimators as well: letters depend on who is compared."""
    return result_of(judged_by("leave_one_out", estimators=("random", "subset", *more)), tmp_path, out="alone")


def assert_others_are(expected: Result, found: Result) -> None:
    """Whatever the broken judge did, leave-one-out is what it is without it."""
    for key in LEAVE_ONE_OUT:
        assert found.trust.get(key) == expected.trust.get(key)
        for cell in expected.cells:
            mine, theirs = cell.columns.get(key), cell_of(found, cell.name).columns.get(key)
            assert mine == theirs


@pytest.mark.parametrize("how", ["raises", "writes"])
@pytest.mark.parametrize(
    "where", ["unsupported", "columns", "trainings", "folder", "compute", "assemble", "yardsticks"]
)
def test_a_judge_that_fails_loses_its_own_columns_alone(where: str, how: str, tmp_path: Path) -> None:
    name = f"faulty[where={where},how={how}]"
    results = results_in(events_of(judged_by(name, "leave_one_out"), tmp_path))
    (result,) = results.results
    judge = judge_of(result, name)
    training = "training blobs, mlp[hidden=[8]] for " if where in ("compute", "assemble") else ""
    what = {"compute": "a training", "assemble": "a training", "folder": "trainings"}.get(where, where)
    told = {
        "raises": f"{training}{name} (strangers 1.0) raised RuntimeError: no luck today",
        "writes": f"{training}{name} (strangers 1.0): {what} wrote into the data it was given; work on a copy",
    }
    assert (judge.status, judge.reason, judge.columns) == ("failed", told[how], ())
    assert "Traceback" in str(judge.traceback)
    assert keys_of(result) == LEAVE_ONE_OUT
    assert results.has_failed
    assert {cell.status for cell in result.cells} == {"ok"}
    assert_others_are(alone(tmp_path), result)
    text = text_of(lambda console: print_report(console, results), 160)
    assert f"failed: {told[how]}" in " ".join(text.split())


@pytest.mark.parametrize("how", ["raises", "writes"])
def test_a_judge_that_fails_on_scores_has_a_column_in_which_every_cell_says_so(how: str, tmp_path: Path) -> None:
    name = f"faulty[where=scores,how={how}]"
    results = results_in(
        events_of(judged_by("leave_one_out", name, estimators=("random", "subset", "same_label")), tmp_path)
    )
    (result,) = results.results
    told = {
        "raises": f"{name} (strangers 1.0) raised RuntimeError: no luck today",
        "writes": f"{name} (strangers 1.0): scores wrote into the data it was given; work on a copy",
    }[how]
    assert keys_of(result) == [*LEAVE_ONE_OUT, "faulty"]
    for cell in result.cells:
        found = cell.columns["faulty"]
        assert (found.value, found.failure, found.letters) == (UNKNOWN, told, None)
        assert cell.status == "ok"
    assert results.has_failed
    assert_others_are(alone(tmp_path, "same_label"), result)
    text = text_of(lambda console: print_report(console, results), 160)
    assert f"failed: faulty of random: {told}" in " ".join(text.split())
    rows = [row for row in influbench.read(tmp_path / "out").cells if row.column == "faulty"]
    assert [(row.status, row.reason, row.value) for row in rows] == 3 * [("failed", told, None)]
    assert "faulty" not in {column.key for column in compare([tmp_path / "out"]).columns}


@pytest.mark.parametrize("how", ["raises", "writes"])
def test_a_judge_that_cannot_say_what_it_asks_keeps_its_values(how: str, tmp_path: Path) -> None:
    name = f"faulty[where=estimand,how={how}]"
    results = results_in(events_of(judged_by(name, "leave_one_out"), tmp_path))
    (result,) = results.results
    judge = judge_of(result, name)
    assert (judge.status, judge.estimand, judge.columns) == ("failed", "", ("faulty",))
    assert agreement_of(result, "random", "faulty").value.value is not None
    assert results.has_failed


def test_a_judge_that_fails_at_an_earlier_step_alone_is_said_to_have_failed(tmp_path: Path) -> None:
    name = "faulty[where='yardsticks after 2']"
    of = judged_by(name, "leave_one_out", estimators=("turn_over_dropout[n_masks=2]",), steps=(2,))
    results = results_in(events_of(of, tmp_path))
    (result,) = results.results
    assert results.has_failed
    assert judge_of(result, name).reason == f"{name} (strangers 1.0) raised RuntimeError: no luck today"
    assert ["faulty" in point.cells[0].columns for point in result.trace] == [False, True]


SENTENCES = {
    "no column": "columns returned no column; return at least one, or a reason in `unsupported`",
    "a str": "columns returned a str, expected influbench.Column",
    "a quantity": "column 'odd' has the quantity 'attribution'; write influence or memorization",
    "a key": "a column has the key 'odd/truth'; write letters, digits, '_', '-' and '.' alone",
    "a key twice": "columns returned 'odd' twice; each key must be unique",
    "no work": "trainings returned a str, expected influbench.Work",
    "no folder": "_Nowhere.folder is '', expected the path of a folder in the cache",
    "no names": "Fits.names is [], expected at least one name, each once",
    "a list": "yardsticks returned a list, expected a mapping of keys to Yardsticks",
    "another key": "yardsticks returned the column 'even', which is not one of ['odd']",
    "nothing": "yardsticks returned nothing for the column 'odd' after the last step",
    "a tensor": "yardsticks returned a Tensor for 'odd', expected a Yardstick",
    "nan": "the yardstick of 'odd' holds effects that are not finite",
    "a matrix": "the yardstick of 'odd' must hold floating-point effects (n_seeds, n_rows, n_columns)",
    "integers": "the yardstick of 'odd' must hold floating-point effects (n_seeds, n_rows, n_columns)",
    "no rows": "the yardstick of 'odd' has effects of shape (2, 0, 8), expected at least one of each",
    "a statistic": "the yardstick of 'odd' has the statistic 'accuracy'; known are spearman, weighted_spearman, "
    "captured, auroc",
    "no flags": "the yardstick of 'odd' is for the area under the ROC curve, and its effects are not all 0 or 1",
    "no blocks": "the yardstick of 'odd' has no blocks; whole_table(n_rows, n_columns) is one of all rows and columns",
    "a block": "the yardstick of 'odd' has a block with row 20, and there are 20 rows",
    "weights": "the yardstick of 'odd' has weights of shape (19, 20), expected finite ones of shape (n_rows, n_train), "
    "with 20 rows",
}


@pytest.mark.parametrize("what", list(SENTENCES))
def test_what_a_judge_returns_and_must_not_is_one_sentence(what: str, tmp_path: Path) -> None:
    name = f"odd[what={what!r}]" if " " in what else f"odd[what={what}]"
    results = results_in(events_of(judged_by(name, "leave_one_out", estimators=("random",)), tmp_path))
    (result,) = results.results
    (judge,) = (judge for judge in result.judges if judge.name.startswith("odd"))
    assert (judge.status, judge.reason) == ("failed", f"{name} (strangers 1.0): {SENTENCES[what]}")
    assert keys_of(result) == LEAVE_ONE_OUT
    assert results.has_failed


@pytest.mark.parametrize(
    ("what", "sentence"),
    [
        ("a list of scores", "scores returned a list, expected a torch.Tensor or None"),
        ("half a yardstick", "scores for 'odd' have shape (20, 8), and the yardstick has (10, 8)"),
    ],
)
def test_scores_that_do_not_fit_are_one_sentence(what: str, sentence: str, tmp_path: Path) -> None:
    result = result_of(judged_by(f"odd[what={what!r}]", "leave_one_out", estimators=("random",)), tmp_path)
    (cell,) = result.cells
    assert cell.columns["odd"].failure == f"odd[what={what!r}] (strangers 1.0): {sentence}"
    assert cell.columns["odd"].n == (80 if "half" in what else 160)
    assert cell.value("influence").value is not None


def test_an_empty_reason_fails(tmp_path: Path) -> None:
    name = "faulty[where='empty reason']"
    result = result_of(judged_by(name, "leave_one_out", estimators=("random",)), tmp_path)
    assert (
        judge_of(result, name).reason == f"{name} (strangers 1.0): unsupported returned '', expected a sentence or None"
    )


@pytest.mark.parametrize("where", ["columns", "compute", "yardsticks"])
def test_where_the_only_judge_fails_the_run_does(where: str, tmp_path: Path) -> None:
    with pytest.raises(
        (JudgeError, PluginError), match=rf"faulty\[where={where}\] .*raised RuntimeError: no luck"
    ) as caught:
        events_of(judged_by(f"faulty[where={where}]"), tmp_path)
    assert not isinstance(caught.value, UsageError)
    assert not (tmp_path / "out" / "result.json").exists()


def test_a_problem_on_which_the_only_judge_fails_does_not_stop_the_others(tmp_path: Path) -> None:
    of = judged_by("faulty[where=columns]", dataset='["blobs", "blobs[n_train=24]"]')
    with pytest.raises(JudgeError, match="no judge of the plan can judge on blobs, mlp"):
        events_of(of, tmp_path)
    of = judged_by("absent", dataset='["blobs", "line"]', model='"linear"', estimators=("random",))
    events = events_of(of, tmp_path)
    (failure,) = (event.failure for event in events if isinstance(event, ProblemFailed))
    assert (failure.problem, failure.status) == ("blobs, linear", "unsupported")
    assert failure.reason == "no judge of the plan can judge on blobs, linear (absent: not today)"
    results = results_in(events)
    assert [one.problem.name for one in results.results] == ["line, linear"]


def test_a_training_of_the_truth_that_diverges_is_an_error_of_the_problem(tmp_path: Path) -> None:
    of = judged_by("leave_one_out", dataset='"line"', model='"linear"')
    explosive = of.model_copy(update={"training": of.training.model_copy(update={"learning_rate": 1e30})})
    with pytest.raises(TrainingError, match="diverged: leave-one-out effects are not finite"):
        events_of(explosive, tmp_path)


# ---------------------------------------------------------------- what is refused before anything is trained


@pytest.mark.parametrize(
    ("judges", "estimators", "error", "sentence"),
    [
        (
            ("leave_one_ou",),
            ("random",),
            UnknownNameError,
            "unknown judge 'leave_one_ou'; did you mean 'leave_one_out'?",
        ),
        (("subsets[m=3]",), ("random",), UsageError, "subsets has no parameter 'm'"),
        (
            ("subsets[n=2]",),
            ("random",),
            UsageError,
            "subsets[n=2]: n must be at least 3, got 2: a correlation needs three subsets",
        ),
        (
            ("subsets[ratio=1.0]",),
            ("random",),
            UsageError,
            "subsets[ratio=1.0]: ratio must be above 0 and below 1, got 1.0",
        ),
        (
            ("leave_one_out", "doubled[key=influence]"),
            ("random",),
            UsageError,
            "judges leave_one_out and doubled[key=influence] both make the column 'influence'; name one of them",
        ),
        (
            ("subsets[n=8]", "subsets[n=9]"),
            ("random",),
            UsageError,
            "judges subsets[n=8] and subsets[n=9] both make the column 'lds'; name one of them",
        ),
        (
            ("subsets[n=8]", "subsets[ n = 8 ]"),
            ("random",),
            UsageError,
            "judge subsets[n=8] is named twice; name it once",
        ),
        (
            ("leave_one_out", "wrong_labels"),
            ("random",),
            UsageError,
            "judge wrong_labels cannot run on any problem of the plan: no train label is known to be wrong; ask with "
            "random_labels above 0 and below 1",
        ),
        (
            ("wrong_labels", "absent"),
            ("random",),
            UsageError,
            "no judge of the plan can judge on blobs, mlp[hidden=[8]] (wrong_labels: no train label is known to be "
            "wrong; ask with random_labels above 0 and below 1; absent: not today)",
        ),
        (
            ("subsets[ratio=0.02]", "leave_one_out"),
            ("random",),
            UsageError,
            "judge subsets[ratio=0.02] cannot run on any problem of the plan: a share of 0.02 of 20 train points is "
            "less than one",
        ),
        (
            ("evenids",),
            ("random", "same_label"),
            UsageError,
            "same_label cannot run on any problem of the plan: it predicts influence, and the judges of the plan ask "
            "for memorization alone",
        ),
        (
            ("doubled",),
            ("train_loss",),
            UsageError,
            "train_loss cannot run on any problem of the plan: it predicts memorization, and the judges of the plan "
            "ask for influence alone",
        ),
    ],
)
def test_what_cannot_be_judged_is_one_sentence_before_anything_is_trained(
    judges: tuple[str, ...], estimators: tuple[str, ...], error: type[InflubenchError], sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(error) as caught:
        events_of(judged_by(*judges, estimators=estimators), tmp_path, required=estimators)
    assert str(caught.value).startswith(sentence)
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, UsageError)
    assert not (tmp_path / "cache").exists()
    assert not (tmp_path / "out").exists()


def test_an_estimator_that_predicts_nothing_asked_for_is_a_row_where_it_is_not_named(tmp_path: Path) -> None:
    result = result_of(
        judged_by("evenids", estimators=("random", "same_label", "foretells")), tmp_path, foretells="NotesAlone"
    )
    cell = cell_of(result, "same_label")
    assert (cell.status, cell.columns, cell.seconds) == ("unsupported", {}, None)
    assert cell.reason == "it predicts influence, and the judges of the plan ask for memorization alone"
    undeclared = cell_of(result, "foretells")  # it does not say what it predicts, and is asked
    assert (undeclared.status, undeclared.columns) == ("unsupported", {})
    assert undeclared.reason == "it predicts influence, and no judge of this run asks for that; name one with -j"


def test_a_run_without_leave_one_out_cannot_be_explained(tmp_path: Path) -> None:
    result_of(judged_by("evenids", estimators=("random", "train_loss")), tmp_path)
    with pytest.raises(
        UsageError, match=r"out has no leave-one-out truth of blobs, .*; run its plan with -j leave_one_"
    ):
        read_stored(tmp_path / "out")


# ---------------------------------------------------------------- repeats


def test_notes_of_all_repeats_are_kept_each_once(tmp_path: Path) -> None:
    result = result_of(judged_by("leave_one_out", estimators=("noting",)).changed(repeats=3), tmp_path, noting="Noting")
    seeds = [derive(0, "estimator", "noting", *of_repeat) for of_repeat in ((), ("repeat", 1), ("repeat", 2))]
    assert cell_of(result, "noting").notes == ("always", *(f"seed {seed}" for seed in seeds))


@pytest.mark.parametrize(("first", "n_given"), [(True, 1), (False, 2)])
@pytest.mark.parametrize("quantity", ["influence", "memorization"])
def test_an_estimator_that_has_a_quantity_in_only_some_repeats_is_a_failed_cell(
    quantity: str, first: bool, n_given: int, tmp_path: Path
) -> None:
    name = f"forgetful[first={str(first).lower()},quantity={quantity}]"
    of = judged_by("leave_one_out", estimators=(name, "random")).changed(repeats=3)
    results: Results = results_in(events_of(of, tmp_path, forgetful="Forgetful"))
    (result,) = results.results
    cell = next(cell for cell in result.cells if cell.estimator == "forgetful")
    told = f"returned {quantity} in {n_given} of 3 repeats, expected in all of them or in none"
    assert (cell.status, cell.columns, cell.scores) == ("failed", {}, None)
    assert str(cell.reason).endswith(told)
    assert cell.training_equivalents is not None
    assert results.has_failed
    assert cell_of(result, "random").status == "ok"
    assert f"failed: {cell.reason}" in " ".join(text_of(lambda console: print_report(console, results), 160).split())


def test_a_truth_of_noise_says_nothing_and_has_no_share(tmp_path: Path) -> None:
    result = result_of(judged_by("noise", estimators=("random", "subset")), tmp_path)
    trust = result.trust["noise"]
    assert trust.n_seeds == 5
    assert trust.reliability.value is not None
    assert (trust.ceiling, trust.single_seed_reach, trust.seeds_needed) == (UNKNOWN, UNKNOWN, {})
    assert len(trust.norms) == 5
    for cell in result.cells:
        assert cell.columns["noise"].value.value is not None
        assert cell.columns["noise"].of_ceiling == UNKNOWN
    text = text_of(lambda console: print_report(console, read_result(tmp_path / "out")), 80)
    words = " ".join(text.split())
    assert "Nothing can be said about noise: the truth cannot be distinguished from noise; add seeds." in words
    rows = [line.split() for line in text.splitlines()]
    assert ["ceiling", "-"] in rows
    assert ["seeds", "for", ".5/.8/.9", "-"] not in rows
    assert "one seed can reach" not in text
    assert "%" not in text.partition("Who predicts it?")[2].partition("All figures")[0]
