"""The engine: statuses, boundaries, and nothing lost."""

import random
import re
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter
from sklearn.metrics import roc_auc_score

from influbench.api import Executor, Spec
from influbench.engine import forecast, run
from influbench.engine.events import AccuracyMeasured, EstimatorDone, Event, ProblemFailed, RunDone, ShardDone
from influbench.engine.preparation import resolved
from influbench.errors import DataError, ModelError, PlanError, PluginError, TrainingError, UsageError
from influbench.executors.here import Here
from influbench.executors.processes import LocalProcesses
from influbench.plan import Plan, parse_plan, read_plan
from influbench.registry import Distribution, Entry
from influbench.results import UNKNOWN, Agreement, Cell, JudgeRecord, Result, Results, to_json
from influbench.store.files import read_arrays
from influbench.store.run_directory import read_result
from tests.plugins import STRANGERS, registry, registry_with
from tests.problems import stored_in
from tests.report.test_terminal import printed

COLUMNS = ["captured", "within_class", "weighted", "memorization", "influence"]
OF_INFLUENCE = ["captured", "within_class", "weighted", "influence"]
QUICK = "[training]\nbatch_size = 10\nepochs = 2\n[truth]\nseeds = 2\n"


def plan(
    estimators: Sequence[str], *, dataset: str = '"blobs"', model: str = '"mlp[hidden=[8]]"', more: str = ""
) -> Plan:
    text = f"estimators = {list(estimators)}\n{QUICK}\n[problem]\ndataset = {dataset}\nmodel = {model}\n{more}"
    return parse_plan(text, source="test.toml", name="test")


def events_of(of: Plan, tmp_path: Path, *, out: str = "out", required: Sequence[str] = (), **names: str) -> list[Event]:
    return list(
        run(
            of,
            directory=tmp_path / out,
            resources=stored_in(tmp_path / "cache"),
            registry=registry(**names),
            required=required,
        )
    )


def results_in(events: Sequence[Event]) -> Results:
    """What the run found, with one result for each of its problems."""
    assert isinstance(events[-1], RunDone)
    return events[-1].result


def result_in(events: Sequence[Event]) -> Result:
    """What the run of one problem found."""
    (result,) = results_in(events).results
    assert not results_in(events).failures
    return result


def result_of(of: Plan, tmp_path: Path, **names: str) -> Result:
    return result_in(events_of(of, tmp_path, **names))


def cell_of(result: Result, name: str) -> Cell:
    """The only cell of this estimator."""
    (cell,) = (cell for cell in result.cells if cell.name == name)
    return cell


def agreement_of(result: Result, name: str, column: str) -> Agreement:
    return cell_of(result, name).columns[column]


def judge_of(result: Result, name: str) -> JudgeRecord:
    (judge,) = (judge for judge in result.judges if judge.name == name)
    return judge


def test_a_run_is_read_back_as_it_was_told(tmp_path: Path) -> None:
    results = results_in(events_of(plan(["random", "tracin[n_checkpoints=1]"]), tmp_path))
    assert read_result(tmp_path / "out") == results
    assert read_plan(str(tmp_path / "out" / "plan.toml")) == plan(["random", "tracin[n_checkpoints=1]"])
    assert (tmp_path / "out" / "environment.json").is_file()
    (result,) = results.results
    tracin = cell_of(result, "tracin[n_checkpoints=1]")
    assert list(tracin.columns) == OF_INFLUENCE
    assert tracin.estimator == "tracin"
    assert tracin.training_equivalents == 1
    assert tracin.columns["influence"].n == 160
    truth = read_arrays((tmp_path / "out" / str(tracin.scores)).with_name("truth.safetensors")).tensors
    same_class = truth["train_labels"][:, None] == truth["test_labels"]
    assert tracin.columns["within_class"].n == int(same_class.sum()) < 160
    random_cell = cell_of(result, "random")
    assert list(random_cell.columns) == COLUMNS
    assert random_cell.columns["memorization"].n == 20


def test_scores_and_truth_are_stored_with_their_ids(tmp_path: Path) -> None:
    result = result_of(plan(["same_label"]), tmp_path)
    (cell,) = result.cells
    assert cell.scores is not None
    scores = read_arrays(tmp_path / "out" / cell.scores).tensors
    truth = read_arrays((tmp_path / "out" / cell.scores).with_name("truth.safetensors")).tensors
    assert scores["influence"].shape == truth["influence"].shape == (20, 8)
    assert torch.equal(scores["train_ids"], truth["train_ids"])
    assert truth.keys() == {
        "train_ids",
        "test_ids",
        "train_labels",
        "test_labels",
        "influence",
        "memorization",
        "label_drawn",
        "label_wrong",
    }


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("Raises", "bad (strangers 1.0) raised RuntimeError: no luck today"),
        ("Leaves", "bad (strangers 1.0) raised SystemExit: 3"),
        ("Skips", "bad (strangers 1.0) raised Skipped: not today"),
        (
            "Mute",
            "bad (strangers 1.0) raised MuteError: its message cannot be shown, because that raises ValueError",
        ),
        ("Wordy", f"bad (strangers 1.0) raised RuntimeError: {'long' * 100}..."),
        ("NotANumber", "bad (strangers 1.0): returned influence with 1 of 160 scores not finite"),
        ("WrongShape", "bad (strangers 1.0): returned influence of shape (3, 4), expected (n_train, n_test) = (20, 8)"),
        (
            "Transposed",
            "bad (strangers 1.0): returned influence of shape (8, 20), expected (n_train, n_test) = (20, 8); "
            "it is transposed",
        ),
        ("Empty", "bad (strangers 1.0): returned neither influence nor memorization"),
        ("NoEstimate", "bad (strangers 1.0): returned a NoneType, expected influbench.Estimate"),
        (
            "NotesANumber",
            "bad (strangers 1.0): returned 3 among the notes, expected sentences; write it out as a str",
        ),
    ],
)
def test_a_failing_estimator_is_a_cell_and_the_others_finish(target: str, reason: str, tmp_path: Path) -> None:
    results = results_in(events_of(plan(["bad", "random"]), tmp_path, bad=target))
    (result,) = results.results
    cell = cell_of(result, "bad")
    assert (cell.status, cell.reason) == ("failed", reason)
    assert cell.traceback is not None
    assert "Traceback" in cell.traceback
    assert cell.columns == {}
    assert [cell.value(column.key) for column in result.columns] == 5 * [UNKNOWN]
    assert cell_of(result, "random").status == "ok"
    assert results.has_failed


def test_a_note_that_stands_alone_is_one_note(tmp_path: Path) -> None:
    result = result_of(plan(["noting"]), tmp_path, noting="NotesAlone")
    assert cell_of(result, "noting").notes == ("did not converge",)


def test_one_that_cannot_say_whether_it_is_supported_is_a_failed_cell(tmp_path: Path) -> None:
    result = result_of(plan(["bad", "random"]), tmp_path, bad="Undecided")
    cell = cell_of(result, "bad")
    assert (cell.status, cell.reason) == ("failed", "bad (strangers 1.0) raised RuntimeError: boom")
    assert cell_of(result, "random").status == "ok"


def test_one_that_writes_into_the_data_fails_and_the_next_get_them_whole(tmp_path: Path) -> None:
    alone = result_of(plan(["subset"]), tmp_path / "alone")
    after = result_of(plan(["vandal", "subset"]), tmp_path / "after", vandal="Vandal")
    reason = "vandal (strangers 1.0): wrote into the data it was given; work on a copy"
    assert cell_of(after, "vandal").reason == reason
    assert agreement_of(after, "subset", "influence") == agreement_of(alone, "subset", "influence")


def test_one_that_writes_into_the_model_fails_and_the_next_train_the_same(tmp_path: Path) -> None:
    alone = result_of(plan(["subset"], model='"mlp[hidden=[8]]"'), tmp_path / "alone")
    after = result_of(plan(["bad", "subset"], model='"mlp[hidden=[8]]"'), tmp_path / "after", bad="Shrinks")
    reason = "bad (strangers 1.0): wrote into the model and the recipe it was given; work on a copy"
    assert cell_of(after, "bad").reason == reason
    assert agreement_of(after, "subset", "influence") == agreement_of(alone, "subset", "influence")


def test_one_that_writes_when_asked_what_it_supports_fails_and_the_truth_is_of_the_problem(tmp_path: Path) -> None:
    alone = result_of(plan(["subset"]), tmp_path / "alone")
    after = result_of(plan(["bad", "subset"]), tmp_path / "after", bad="Presumptuous")
    reason = "bad (strangers 1.0): unsupported wrote into the data and the recipe it was given; work on a copy"
    assert (cell_of(after, "bad").status, cell_of(after, "bad").reason) == ("failed", reason)
    assert after.problem.key == alone.problem.key is not None
    assert agreement_of(after, "subset", "influence") == agreement_of(alone, "subset", "influence")


def test_an_empty_reason_is_a_failed_cell(tmp_path: Path) -> None:
    cell = cell_of(result_of(plan(["bad", "random"]), tmp_path, bad="Wordless"), "bad")
    reason = "bad (strangers 1.0): unsupported returned an empty reason, expected a sentence or None"
    assert (cell.status, cell.reason) == ("failed", reason)


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ("notes", "\\ud800"),
        ("unsupported", "not \\ud800 here"),
        ("error", "bad[where=error] (strangers 1.0) raised ValueError: \\ud800 bad"),
    ],
)
def test_what_cannot_be_written_is_written_out(tmp_path: Path, where: str, told: str) -> None:
    result_of(plan([f"bad[where={where}]", "random"]), tmp_path, bad="Garbled")
    (stored,) = read_result(tmp_path / "out").results
    cell = cell_of(stored, f"bad[where={where}]")
    assert (*cell.notes, cell.reason)[0] == told


def test_memorization_alone_has_its_row_and_none_for_regression(tmp_path: Path) -> None:
    result = result_of(plan(["memo"]), tmp_path, memo="OnlyMemorization")
    assert cell_of(result, "memo").columns.keys() == {"memorization"}
    on_line = plan(["memo"], dataset='"line"', model='"linear"')
    cell = cell_of(result_of(on_line, tmp_path / "line", memo="OnlyMemorization"), "memo")
    assert (
        cell.reason == "memo (strangers 1.0): returned memorization, which regression does not have; return None for it"
    )


def test_a_cost_that_is_not_counted_is_not_told(tmp_path: Path) -> None:
    asked = plan(["elsewhere", "in_vain", "random", "subset"])
    result = result_of(asked, tmp_path, elsewhere="Elsewhere", in_vain="ElsewhereInVain")
    found = {name: cell_of(result, name) for name in asked.estimators}
    assert [cell.status for cell in found.values()] == ["ok", "failed", "ok", "ok"]
    for name in ("elsewhere", "in_vain"):
        assert (found[name].training_equivalents, found[name].seconds) == (None, None)
    assert found["random"].training_equivalents == 0
    assert all(front and "elsewhere" not in front for front in result.fronts.values())
    assert "elsewhere" in {one.first for one in result.comparisons} | {one.second for one in result.comparisons}


def test_all_does_not_stop_at_one_that_cannot_be_made(tmp_path: Path) -> None:
    lost = Entry("estimator", Spec("lost", "nowhere.at:All", ""), STRANGERS)
    known = registry_with(lost, needy="Needy")
    events = list(run(plan(["all"]), directory=tmp_path / "out", resources=stored_in(tmp_path), registry=known))
    cells = {cell.name: cell for cell in result_in(events).cells}
    assert (cells["lost"].status, cells["needy"].status) == ("failed", "unsupported")
    assert "needs a value for 'power'" in str(cells["needy"].reason)
    assert cells["random"].status == "ok"
    stored = read_plan(str(tmp_path / "out" / "plan.toml"))
    assert stored.estimators == tuple(known.names("estimator"))
    with pytest.raises(PluginError, match=r"'lost' of strangers 1\.0 cannot be imported"):
        list(run(plan(["lost"]), directory=tmp_path / "other", resources=stored_in(tmp_path), registry=known))


def test_all_does_not_stop_at_a_name_that_two_have_registered(tmp_path: Path) -> None:
    spec = Spec("twin", "tests.plugins:Raises", "")
    known = registry_with(*(Entry("estimator", spec, who) for who in (STRANGERS, Distribution("others", "2.0"))))
    cells = {}
    for event in run(plan(["all"]), directory=tmp_path / "out", resources=stored_in(tmp_path), registry=known):
        if isinstance(event, EstimatorDone):
            cells[event.name] = event.cell
    assert cells["random"].status == "ok"
    reason = "estimator 'twin' is registered by others 2.0 and strangers 1.0; uninstall one of them"
    assert (cells["twin"].status, cells["twin"].reason) == ("unsupported", reason)
    with pytest.raises(UsageError, match=reason):
        list(run(plan(["twin"]), directory=tmp_path / "other", resources=stored_in(tmp_path), registry=known))


def test_what_plugins_print_and_where_they_put_tensors_harms_nobody(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    of = plan(["chatty", "tracin[n_checkpoints=1]"], dataset='"chatty_blobs"', model='"chatty_net"')
    result = result_of(of, tmp_path, chatty="Chatty", chatty_blobs="ChattyBlobs", chatty_net="ChattyNet")
    (note,) = cell_of(result, "chatty").notes
    assert note.startswith("changed the default device, which is put back; chatty (strangers 1.0) should do so itself")
    assert cell_of(result, "tracin[n_checkpoints=1]").status == "ok"
    assert str(torch.get_default_device()) == "cpu"
    printed = capsys.readouterr()
    assert printed.out == ""
    assert {"done soon", "loaded", "built", "forward"} <= set(printed.err.splitlines())


@pytest.mark.parametrize("executor", [Here(), LocalProcesses(1)], ids=["here", "in a process"])
def test_a_model_that_ends_the_process_in_training_is_named(tmp_path: Path, executor: Executor) -> None:
    of = plan(["random"], model='"chatty_net[leaves=true]"')
    known, resources = registry(chatty_net="ChattyNet"), stored_in(tmp_path, executor=executor)
    events = run(of, directory=tmp_path / "out", registry=known, resources=resources)
    with (
        closing(executor),
        pytest.raises(PluginError, match=r"training blobs, chatty_net\S+ for leave_one_out raised SystemExit: 3"),
    ):
        list(events)


def test_an_unsupported_estimator_is_a_row_with_its_reason(tmp_path: Path) -> None:
    results = results_in(events_of(plan(["turn_over_dropout", "random"], model='"linear"'), tmp_path))
    cell = cell_of(results.results[0], "turn_over_dropout")
    assert (cell.status, cell.columns) == ("unsupported", {})
    assert cell.reason == "the model has no hidden units: there is nothing to mask"
    assert not results.has_failed


def test_an_estimator_that_was_asked_for_and_is_unsupported_everywhere_is_an_error(tmp_path: Path) -> None:
    asked = plan(["turn_over_dropout"], model='"linear"')
    with pytest.raises(UsageError, match="turn_over_dropout cannot run on any problem of the plan: the model has no"):
        events_of(asked, tmp_path, required=["turn_over_dropout"])
    assert not (tmp_path / "out").exists()
    somewhere = plan(["turn_over_dropout"], model='["linear", "mlp[hidden=[4]]"]')
    assert events_of(somewhere, tmp_path, required=["turn_over_dropout"])


def test_all_takes_every_installed_estimator_once(tmp_path: Path) -> None:
    result = result_of(plan(["all"]), tmp_path)
    assert sorted(cell.estimator for cell in result.cells) == registry().names("estimator")


def test_what_is_named_beside_all_is_there_once(tmp_path: Path) -> None:
    known = registry()
    assert resolved(plan(["all", "random", "all", "tracin[n_checkpoints=2]"]), known).estimators == (
        *known.names("estimator"), "tracin[n_checkpoints=2]"
    )  # fmt: skip


def test_an_estimator_named_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"estimator subset\[ratio=0.5\] is named twice"):
        events_of(plan(["subset[ratio=0.5]", "subset[ ratio = 0.5 ]"]), tmp_path)


def test_nothing_global_is_left_changed_by_an_estimator(tmp_path: Path) -> None:
    states = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()  # type: ignore[index,union-attr]
    result = result_of(plan(["careless"]), tmp_path, careless="Careless")
    assert result.cells[0].status == "ok"
    (note,) = result.cells[0].notes
    assert note.startswith("changed the gradient mode and the default dtype and the number of threads, which is put")
    assert "careless (strangers 1.0) should do so itself" in note
    assert torch.equal(states[0], torch.get_rng_state())
    assert states[1] == np.random.get_state()[1].tolist()  # type: ignore[index,union-attr]
    assert states[2] == random.getstate()


def test_an_estimator_that_draws_globally_draws_the_same_in_every_run(tmp_path: Path) -> None:
    results = []
    for out in ("one", "two"):
        torch.manual_seed(hash(out) % 1000)
        result = result_in(events_of(plan(["drawing"]), tmp_path, out=out, drawing="Drawing"))
        results.append(result.cells[0].columns)
    assert results[0] == results[1]
    assert results[0]["influence"].value.value is not None


def test_the_same_plan_again_reuses_every_shard_and_finds_the_same(tmp_path: Path) -> None:
    first, second = (events_of(plan(["random", "subset"]), tmp_path, out=out) for out in ("one", "two"))
    assert [event.reused for event in first if isinstance(event, ShardDone)] == [False, False]
    assert [event.reused for event in second if isinstance(event, ShardDone)] == [True, True]
    same = [
        [(cell.name, cell.columns, cell.training_equivalents) for cell in result_in(events).cells]
        for events in (first, second)
    ]
    assert same[0] == same[1]
    assert [name for name, *_ in same[0]] == ["random", "subset"]


def test_regression_has_neither_memorization_nor_classes(tmp_path: Path) -> None:
    result = result_of(plan(["random", "same_label", "leave_one_out"], dataset='"line"', model='"linear"'), tmp_path)
    assert [column.key for column in result.columns] == ["captured", "weighted", "influence"]
    assert result.trust.keys() == {"weighted", "influence"}
    of_each = [list(cell.columns) for cell in result.cells if cell.status == "ok"]
    assert of_each == 2 * [["captured", "weighted", "influence"]]
    loo = agreement_of(result, "leave_one_out", "influence").value
    assert loo.value is not None
    assert loo.value > 0.5
    assert cell_of(result, "same_label").status == "unsupported"


def test_one_seed_invents_no_ceiling(tmp_path: Path) -> None:
    of = plan(["random"]).changed(n_seeds=1)
    result = result_of(of, tmp_path)
    assert result.trust.keys() == {"influence", "within_class", "weighted", "memorization"}
    for trust in result.trust.values():
        assert (trust.n_seeds, trust.ceiling, trust.reliability) == (1, UNKNOWN, UNKNOWN)
    for key, found in result.cells[0].columns.items():
        assert (found.value.value is None) is (key in ("captured", "weighted"))
        assert found.of_ceiling == UNKNOWN


def test_a_grid_gives_a_result_for_each_problem(tmp_path: Path) -> None:
    of = plan(["random"], model='["linear", "mlp[hidden=[4]]"]', more="random_labels = [0, 0.5]")
    results = results_in(events_of(of, tmp_path))
    assert [result.problem.name for result in results.results] == [problem.name for problem in of.problems()]
    assert read_result(tmp_path / "out") == results
    noisy = results.results[1].problem.random_labels
    assert (noisy.fraction, noisy.n_drawn) == (0.5, 10)
    assert 0 < noisy.n_wrong <= 10


def test_a_problem_that_fails_does_not_stop_the_others(tmp_path: Path) -> None:
    of = plan(["random"], dataset='["line", "blobs"]', model='"linear"')
    explosive = of.model_copy(update={"training": of.training.model_copy(update={"learning_rate": 1e30})})
    events = events_of(explosive, tmp_path)
    results = results_in(events)
    failed = [event.failure for event in events if isinstance(event, ProblemFailed)]
    assert failed[0].problem == "line, linear"
    assert "training diverged" in failed[0].reason
    assert "Traceback" in str(failed[0].traceback)
    assert results.failures == tuple(failed)
    assert results.has_failed
    with pytest.raises(TrainingError):
        events_of(
            explosive.model_copy(update={"problem": of.problem.model_copy(update={"dataset": ("line",)})}),
            tmp_path,
            out="x",
        )


@pytest.mark.parametrize(
    ("dataset", "error", "message"),
    [
        ("not_finite", DataError, r"not_finite \(strangers 1\.0\) train inputs are not finite in 1 of 20 examples"),
        ("crashing", PluginError, r"data set crashing \(strangers 1\.0\) raised RuntimeError: the disk is gone"),
        ("faulty[fault=huge]", DataError, "train inputs are not finite in 1 of 20 examples"),
        ("faulty[fault=arrays]", DataError, "train inputs are a ndarray, expected a torch.Tensor"),
        ("faulty[fault=ids]", DataError, "train ids must be int64, not negative and unique"),
        ("faulty[fault=labels]", DataError, "train labels must be integers from 0 to 2"),
        ("faulty[fault=length]", DataError, r"train labels have shape \(19,\), expected \(20,\)"),
        ("faulty[fault=integers]", DataError, "train inputs are torch.int64, expected floating point"),
        ("faulty[fault=widths]", DataError, r"train inputs of shape \(5,\) and test inputs of shape \(4,\)"),
        ("faulty[fault=classes]", DataError, "has n_classes = 1, expected at least 2"),
        ("faulty[fault=regression]", DataError, "train labels are torch.int64, expected floating point for regression"),
        (
            "faulty[fault=floats]",
            DataError,
            r"train labels are torch.float32, expected integers from 0 to 2; write labels.long\(\), or n_classes=None",
        ),
        ("faulty[fault='train as test']", DataError, "faulty.*has its train points as test points, too"),
        (
            "faulty[fault='train as test, renumbered']",
            DataError,
            "has its train points as test points, too; test on po",
        ),
        ("faulty[fault='one twice']", DataError, r"has an example that is a train and a test point, id \d+"),
        ("faulty[fault=tiny]", DataError, "train has 1 example, expected at least 2"),
        ("faulty", DataError, "loaded a str, expected influbench.Data"),
        (
            "digits[n_train=1500,n_test=500]",
            DataError,
            "digits has 1797 examples; n_train=1500 and n_test=500 ask for 2000",
        ),
    ],
)
def test_data_that_cannot_be_trained_on_are_refused(
    dataset: str, error: type[Exception], message: str, tmp_path: Path
) -> None:
    names = {"not_finite": "NotFinite", "crashing": "Crashing", "faulty": "SwappedSplit"}
    with pytest.raises(error, match=message):
        events_of(plan(["random"], dataset=f'"{dataset}"'), tmp_path, **names)
    assert not (tmp_path / "out").exists()


def test_values_that_do_not_fit_the_problem_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"random_labels = 0.5 needs classes"):
        events_of(plan(["random"], dataset='"line"', model='"linear"', more="random_labels = 0.5"), tmp_path)
    with pytest.raises(PlanError, match="measure 'margin' needs classes, and line is for regression"):
        events_of(plan(["random"], dataset='"line"', model='"linear"', more='measure = "margin"'), tmp_path)
    broken = plan(["random"])
    broken = broken.model_copy(update={"training": broken.training.model_copy(update={"batch_size": 0})})
    with pytest.raises(PlanError, match=r"\[training\] batch_size must be at least 1, got 0"):
        events_of(broken, tmp_path)
    with pytest.raises(
        PlanError, match=r"^test: \[training\] label_smoothing needs class labels, and these labels are for"
    ):
        events_of(with_training(plan(["random"], dataset='"line"', model='"linear"'), label_smoothing=0.1), tmp_path)


def with_training(of: Plan, **settings: object) -> Plan:
    return of.model_copy(update={"training": of.training.model_copy(update=settings)})


def test_a_plan_sets_clipping_smoothing_and_averages_and_the_report_shows_them(tmp_path: Path) -> None:
    settings = {
        "weight_decay": 0.01, "clip_norm": 1.0, "label_smoothing": 0.1, "ema": 0.9, "decay_norms_and_biases": False,
    }  # fmt: skip
    result = result_of(with_training(plan(["random"]), **settings), tmp_path)
    shown = " ".join(printed(result, 160).split())
    assert "weight decay 0.01 without norms and biases, gradients clipped at norm 1, label smoothing 0.1, " in shown
    assert "averaged with ema 0.9, batches of 10" in shown
    assert result.problem.recipe.items() >= settings.items()
    plain = result_of(plan(["random"]), tmp_path / "plain")
    assert settings.keys() & plain.problem.recipe.keys() == {"weight_decay"}
    stored = read_result(tmp_path / "out").results[0].problem.recipe
    assert stored["decay_norms_and_biases"] is False
    assert plain.problem.key != result.problem.key


THEIRS = {"nesterov": "Nesterov", "warm_up": "WarmUp"}


def trained_by(optimizer: str, schedule: str = "constant", *, model: str = "mlp[hidden=[8]]") -> Plan:
    of = plan(["random"], model=f'"{model}"')
    return of.model_copy(
        update={"training": of.training.model_copy(update={"optimizer": optimizer, "schedule": schedule})}
    )


def test_a_plan_names_a_strangers_optimizer_and_schedule(tmp_path: Path) -> None:
    of = trained_by("nesterov[beta=0.5]", "warm_up[n=4]")
    result = result_of(of, tmp_path, **THEIRS)
    assert result.problem.recipe["optimizer"] == "nesterov[beta=0.5]"
    assert "momentum" not in result.problem.recipe
    assert "nesterov[beta=0.5] at 0.1, warm_up[n=4] schedule, batches of 10" in " ".join(printed(result, 160).split())
    assert read_plan(str(tmp_path / "out" / "plan.toml")) == of
    other = result_of(trained_by("nesterov[beta=0.4]", "warm_up[n=4]"), tmp_path / "other", **THEIRS)
    assert result.problem.key != other.problem.key


def test_it_trains_the_same_in_worker_processes(tmp_path: Path) -> None:
    of = trained_by("nesterov[beta=0.5]", "warm_up[n=4]")
    stored = []
    for name, executor in (("here", Here()), ("there", LocalProcesses(2))):
        resources = stored_in(tmp_path / name / "cache", executor=executor)
        list(run(of, directory=tmp_path / name, resources=resources, registry=registry(**THEIRS)))
        (truth,) = (tmp_path / name).glob("**/truth.safetensors")
        stored.append(read_arrays(truth).tensors["influence"])
    torch.testing.assert_close(*stored, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("optimizer", "schedule", "message"),
    [
        ("nesterof", "constant", r"test: \[training\] unknown optimizer 'nesterof'; did you mean 'nesterov'\?"),
        ("nesterov[beta=2]", "constant", r"test: \[training\] nesterov\[beta=2\]: beta must be in \(0, 1\), got 2"),
        ("nesterov", "warm_up[n=many]", r"test: \[training\] warm_up: n=many does not fit; input should be a valid in"),
        ("shrinking", "constant", r"shrinking \(strangers 1\.0\): step returned parameters with shape \(1, 4, 3\), .*"),
        ("sgd", "backwards", r"backwards \(strangers 1\.0\): learning_rate returned -1\.0 at step 3 of 4; return a .*"),
    ],
)
def test_an_optimizer_or_a_schedule_that_does_not_fit_is_refused(
    optimizer: str, schedule: str, message: str, tmp_path: Path
) -> None:
    names = {**THEIRS, "shrinking": "Shrinking", "backwards": "Backwards"}
    with pytest.raises(UsageError, match=f"^{message}"):
        events_of(trained_by(optimizer, schedule), tmp_path, **names)
    assert not (tmp_path / "out").exists()


def test_an_optimizer_that_raises_and_a_recipe_that_names_no_one_are_said_to_be_whose_they_are(tmp_path: Path) -> None:
    with pytest.raises(
        PluginError, match=r"^optimizer stumbling \(strangers 1\.0\) raised RuntimeError: no luck today"
    ):
        events_of(trained_by("stumbling"), tmp_path, stumbling="Stumbling")
    message = r"^odd \(strangers 1\.0\): `recipe`: unknown optimizer 'nesterof'; did you mean 'nesterov'\?$"
    with pytest.raises(ModelError, match=message):
        events_of(plan(["random"], model='"odd"'), tmp_path, odd="OddRecipe", **THEIRS)


def test_an_estimator_that_writes_into_the_optimizer_fails_and_it_is_put_back(tmp_path: Path) -> None:
    of = trained_by("nesterov[beta=0.5]").changed(estimators=("meddler", "random"))
    result = result_of(of, tmp_path, meddler="Meddler", **THEIRS)
    cell = cell_of(result, "meddler")
    assert cell.status == "failed"
    assert str(cell.reason).endswith("wrote into the optimizer it was given; work on a copy")
    assert cell_of(result, "random").status == "ok"


def test_a_directory_of_another_run_is_not_written_over(tmp_path: Path) -> None:
    events_of(plan(["random"]), tmp_path)
    events_of(plan(["random"]), tmp_path)
    with pytest.raises(UsageError, match="out holds the run of another plan; name another directory with -o"):
        events_of(plan(["same_label"]), tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("years of work")
    with pytest.raises(UsageError, match="full exists and is not a run directory"):
        events_of(plan(["random"]), tmp_path, out="full")
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="file exists and is not a run directory"):
        events_of(plan(["random"]), tmp_path, out="file")


def test_memorization_is_judged_by_the_wrong_labels_that_the_engine_knows(tmp_path: Path) -> None:
    estimators, digits = ["leave_one_out[n_seeds=2]", "train_loss", "same_label"], '"digits[n_train=100,n_test=10]"'
    of = plan(estimators, dataset=digits, more="random_labels = 0.2").changed(repeats=1)
    result = result_of(of, tmp_path)
    for name in ("leave_one_out[n_seeds=2]", "train_loss"):
        place = tmp_path / "out" / str(cell_of(result, name).scores)
        scores = read_arrays(place).tensors["memorization"].double()
        wrong = read_arrays(place.with_name("truth.safetensors")).tensors["label_wrong"]
        assert 0 < int(wrong.sum()) == result.problem.random_labels.n_wrong
        found = agreement_of(result, name, "wrong_labels").value
        assert found.value == pytest.approx(roc_auc_score(wrong, scores), abs=1e-4)
        assert found.low is not None
        assert found.high is not None
        assert 0 <= found.low <= found.value <= found.high <= 1
    assert "wrong_labels" not in cell_of(result, "same_label").columns
    column = result.column("wrong_labels")
    assert (column.judge, column.statistic, column.n_rows, column.n_columns) == ("wrong_labels", "auroc", 100, None)
    assert "wrong_labels" not in result.trust
    assert agreement_of(result, "train_loss", "wrong_labels").of_ceiling == UNKNOWN
    assert judge_of(result, "wrong_labels").estimand == (
        f"{result.problem.random_labels.n_wrong} of 100 train labels, which were drawn at random"
    )
    clean = result_of(plan(["train_loss"]), tmp_path / "clean")
    assert [judge.name for judge in clean.judges] == ["leave_one_out"]
    assert cell_of(clean, "train_loss").columns.keys() == {"memorization"}


def test_random_labels_are_drawn_by_id_over_all_classes_for_train_points_only(tmp_path: Path) -> None:
    clean, noisy, reordered = (
        result_of(plan(["same_label"], dataset='"digits[n_train=200,n_test=50]"', more=more, model='"linear"').changed(
            n_seeds=1
        ), tmp_path / name)
        for name, more in (("a", ""), ("b", "random_labels = 0.3"), ("c", "random_labels = 1.0"))
    )  # fmt: skip
    assert clean.problem.random_labels.n_drawn == 0
    assert (noisy.problem.random_labels.n_drawn, reordered.problem.random_labels.n_drawn) == (60, 200)
    assert 150 < reordered.problem.random_labels.n_wrong < 198  # nine in ten of 200
    (cell,) = noisy.cells
    assert cell.scores is not None
    truth = read_arrays((tmp_path / "b" / "out" / cell.scores).with_name("truth.safetensors")).tensors
    assert truth["label_drawn"].sum() == 60
    assert (truth["label_wrong"] <= truth["label_drawn"]).all()


def test_json_has_what_machines_rely_on(tmp_path: Path) -> None:
    whole = TypeAdapter(dict).validate_json(to_json(results_in(events_of(plan(["random"]), tmp_path))))
    assert whole["schema"] == "influbench.results/2"
    assert whole.keys() == {"schema", "plan", "seed", "results", "failures"}
    (raw,) = whole["results"]
    assert {"key", "dataset", "model", "n_train", "n_test", "measure"} <= raw["problem"].keys()
    (judge,) = raw["judges"]
    assert {"name", "status", "estimand", "columns", "n_trainings", "seconds", "n_shards"} <= judge.keys()
    assert judge["columns"] == [column["key"] for column in raw["columns"]] == COLUMNS
    for column in raw["columns"]:
        assert {"title", "quantity", "judge", "statistic", "unit", "rows", "n_rows", "n_columns"} <= column.keys()
    assert raw["trust"].keys() == {"influence", "within_class", "weighted", "memorization"}
    for trust in raw["trust"].values():
        assert {"n_seeds", "reliability", "ceiling", "single_seed_reliability", "seeds_needed"} <= trust.keys()
    for cell in raw["cells"]:
        assert {"estimator", "name", "status", "columns", "seconds", "training_equivalents"} <= cell.keys()
        for agreement in cell["columns"].values():
            assert {"letters", "n", "n_undefined", "details", "failure"} <= agreement.keys()
            for statistic in ("value", "of_ceiling"):
                assert agreement[statistic].keys() == {"value", "low", "high"}
        for key in ("influence", "memorization"):
            assert {"kendall", "pooled", "sign_agreement"} <= cell["columns"][key]["details"].keys()


def test_estimators_are_told_of_one_by_one(tmp_path: Path) -> None:
    done = [
        event.name for event in events_of(plan(["random", "same_label"]), tmp_path) if isinstance(event, EstimatorDone)
    ]
    assert done == ["random", "same_label"]


def test_a_model_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    names = ("Narrow", "Restless", "Coupled", "Broken", "Faulty")
    known = registry_with(
        *(Entry("model", Spec(name.lower(), f"tests.engine.models:{name}", ""), STRANGERS) for name in names)
    )
    for model, message in {
        "broken": r"model broken \(strangers 1\.0\) raised RuntimeError: .*shapes cannot be multiplied",
        "narrow": r"narrow \(strangers 1\.0\): forward gives outputs of shape \(4, 2\) for 4 examples, expected \(n, n",
        "restless": r"restless \(strangers 1\.0\): two modules built under one random state differ",
        "faulty[fault=multiplies]": r"faulty\[fault=multiplies\] \(strangers 1\.0\): forward writes into its inputs",
        "faulty[fault='recipe method']": r"\(strangers 1\.0\): `recipe` is a method; write @property above it",
        "faulty[fault='recipe epochs']": r"\(strangers 1\.0\): `recipe`: epochs must be a whole number .*, got 3\.0",
        "coupled": r"coupled \(strangers 1\.0\): layer '1' \(BatchNorm1d\) has no running statistics",
    }.items():
        with pytest.raises((ModelError, PluginError), match=message):
            list(
                run(
                    plan(["random"], model=f'"{model}"'),
                    directory=tmp_path / "out",
                    resources=stored_in(tmp_path),
                    registry=known,
                )
            )


def test_a_problem_whose_model_is_refused_does_not_stop_the_others(tmp_path: Path) -> None:
    results = results_in(events_of(plan(["random"], model='["linear", "cnn"]'), tmp_path))
    assert [one.problem.model for one in results.results] == ["linear"]
    (refused,) = results.failures
    assert (refused.problem, refused.status) == ("blobs, cnn", "unsupported")
    assert "images" in refused.reason
    assert not results.has_failed
    with pytest.raises(ModelError, match="images"):
        events_of(plan(["random"], model='["cnn", "resnet"]'), tmp_path)


def test_random_subsets_are_a_second_truth_with_a_reliability(tmp_path: Path) -> None:
    judges = ("leave_one_out", "subsets[n=20]")
    of = plan(["subset[n_models=64]", "random"]).changed(judges=judges)
    events = events_of(of, tmp_path)
    assert [event.judge for event in events if isinstance(event, ShardDone)] == 2 * [judges[0]] + 2 * [judges[1]]
    result = result_in(events)
    subsets = judge_of(result, "subsets[n=20]")
    assert (subsets.columns, subsets.n_shards, subsets.n_trainings) == (("lds",), 2, 2 * 64)  # a shard holds 64 models
    assert subsets.estimand == "neg_loss after training on 20 random subsets of a share of 0.5, 2 seeds each"
    column = result.column("lds")
    assert (column.n_rows, column.rows, column.n_columns) == (20, "subsets", 8)
    assert result.trust["lds"].n_seeds == 2
    assert result.trust["lds"].reliability.value is not None
    random_cell = cell_of(result, "random")
    assert list(random_cell.columns) == [*COLUMNS, "lds"]
    assert random_cell.columns["lds"].n == 20 * 8
    assert random_cell.columns["lds"].value.value is not None
    # with two seeds, captured and weighted by signal have no values
    assert {one.column for one in result.comparisons} == {"influence", "within_class", "memorization", "lds"}


def test_repeats_have_seeds_of_their_own_and_enter_the_interval(tmp_path: Path) -> None:
    def cells(repeats: int) -> dict[str, Cell]:
        events = events_of(plan(["random", "same_label"]).changed(repeats=repeats), tmp_path, out=str(repeats))
        return {cell.estimator: cell for cell in result_in(events).cells}

    once, thrice = cells(1), cells(3)
    assert (thrice["random"].draws, thrice["random"].n_repeats) == (True, 3)
    assert (thrice["same_label"].draws, thrice["same_label"].n_repeats) == (False, 1)
    values = [cells["same_label"].columns["influence"].value for cells in (thrice, once)]
    assert values[0].value == pytest.approx(values[1].value)
    assert values[0].low == pytest.approx(values[1].low)
    assert thrice["random"].columns["influence"].value != once["random"].columns["influence"].value
    arrays = read_arrays(tmp_path / "3" / str(thrice["random"].scores)).tensors
    assert {"influence", "influence@1", "influence@2"} <= set(arrays)
    assert not torch.equal(arrays["influence"], arrays["influence@1"])


def test_a_trace_is_judged_by_the_truth_of_each_step(tmp_path: Path) -> None:
    of = plan(["turn_over_dropout[n_masks=2]", "turn_over_dropout[n_masks=2,n_checkpoints=2]", "random"])
    plain = result_of(of, tmp_path / "plain")
    assert plain.trace == ()
    traced = result_of(of.model_copy(update={"truth": of.truth.model_copy(update={"steps": (1, 3)})}), tmp_path)
    assert [point.step for point in traced.trace] == [1, 3, 4]
    name = "turn_over_dropout[n_masks=2]"
    for point in traced.trace:
        (cell,) = point.cells
        assert cell.name == name
        assert list(cell.columns) == COLUMNS
    (last,) = traced.trace[-1].cells
    assert cell_of(traced, name).training_equivalents == 2  # the trace costs no training more
    for column, found in last.columns.items():
        assert found.value == agreement_of(traced, name, column).value == agreement_of(plain, name, column).value
    values = [cell.value("influence").value for point in traced.trace for cell in point.cells]
    assert len(set(values)) == 3
    assert traced.trace[-1].trust == traced.trust
    assert traced.trace[0].trust["influence"] != traced.trust["influence"]


def test_the_accuracy_of_the_truths_trainings_is_in_the_result(tmp_path: Path) -> None:
    of = plan(["random", "tracin[n_checkpoints=1]"])
    events = events_of(of, tmp_path)
    assert [(event.n_done, event.n_seeds) for event in events if isinstance(event, AccuracyMeasured)] == [
        (1, 2),
        (2, 2),
    ]
    result = result_in(events)
    fit = result.problem.fit
    assert fit is not None
    assert (fit.statistic, fit.n_seeds, fit.n_test) == ("accuracy", 2, result.problem.n_test)
    assert fit.train is not None
    assert 0 <= fit.train <= 1
    assert read_result(tmp_path / "out").results[0].problem.fit == fit
    assert re.search(r"\n  accuracy +train [.\d]+ \(sd", printed(result, 120))
    assert cell_of(result, "tracin[n_checkpoints=1]").training_equivalents == 1
    assert judge_of(result, "leave_one_out").n_trainings == 42
    (told,), _ = forecast(of, resources=stored_in(tmp_path / "cache"), registry=registry())
    assert told.fit == fit
    (told,), _ = forecast(of.changed(n_seeds=3), resources=stored_in(tmp_path / "cache"), registry=registry())
    assert told.fit is None


def test_the_accuracy_is_of_as_many_seeds_as_the_truth_grew_to(tmp_path: Path) -> None:
    of = plan(["random"]).changed(n_seeds=2, reliability=0.9999, max_seeds=4)
    result = result_of(of, tmp_path)
    assert result.problem.fit is not None
    assert result.problem.fit.n_seeds == result.trust["influence"].n_seeds == 4


def test_networks_that_barely_learned_are_a_warning(tmp_path: Path) -> None:
    of = plan(["random"])
    slow = of.model_copy(update={"training": of.training.model_copy(update={"learning_rate": 1e-9})})
    text = printed(result_of(slow, tmp_path), 200)
    assert "is not clearly above chance" in text
