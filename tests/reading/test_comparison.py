"""Finished runs side by side."""

from pathlib import Path

import pytest

from influbench.engine import run
from influbench.engine.events import RunDone
from influbench.errors import UnknownNameError, UsageError
from influbench.plan import Plan
from influbench.reading.comparison import compare
from influbench.report.comparison import print_comparison
from influbench.results import UNKNOWN, Result
from tests.engine.test_run import agreement_of, plan
from tests.plugins import registry
from tests.problems import stored_in
from tests.report.printing import text_of

TWO = '["blobs", "blobs[n_train=24]"]'


def written(of: Plan, tmp_path: Path, name: str) -> tuple[Path, list[Result]]:
    """The directory of a run, and what it found of each problem."""
    (*_, last) = run(of, directory=tmp_path / name, resources=stored_in(tmp_path / "cache"), registry=registry())
    assert isinstance(last, RunDone)
    return tmp_path / name, list(last.result.results)


def test_every_value_is_that_of_the_report(tmp_path: Path) -> None:
    of = plan(["random", "subset", "same_label"], dataset=TWO).changed(n_seeds=3)
    directory, results = written(of, tmp_path, "out")
    compared = compare([directory])
    assert [problem.name for problem in compared.problems] == [result.problem.name for result in results]
    columns = {column.key: column for column in compared.columns}
    assert list(columns) == ["captured", "within_class", "weighted", "memorization", "influence"]
    assert [(column.title, column.quantity, column.unit) for column in compared.columns] == [
        (column.title, column.quantity, column.unit) for column in results[0].columns if column.key in columns
    ]
    for key, column in columns.items():
        for one in column.estimators:
            found = [agreement_of(result, one.name, key).value for result in results]
            for reported, here in zip(found, one.by_problem, strict=True):
                assert here is not None
                assert here.value == pytest.approx(reported.value, abs=1e-5)
                if key != "captured":  # its interval in a run covers the truth's seeds, too
                    assert here.low == pytest.approx(reported.low, abs=1e-4)
            mean = sum(statistic.value for statistic in found) / 2
            assert one.mean.value == pytest.approx(mean, abs=1e-5)
            assert one.rank.low is None
            assert (one.mean_elsewhere.value, one.letters_elsewhere) == (None, None)
        assert (column.n_datasets, column.in_common, column.left_out) == (1, (0, 1), ())
        assert column.fixed_seeds == (key == "captured")
    assert {problem.dataset for problem in compared.problems} == {"blobs"}  # whatever its sizes
    assert {one.name for one in columns["influence"].estimators} == {"random", "subset", "same_label"}
    assert {one.name for one in columns["within_class"].estimators} == {"random", "subset"}
    for problem, result in zip(compared.problems, results, strict=True):
        ceilings = {key: result.trust[key].ceiling if key in result.trust else UNKNOWN for key in columns}
        assert problem.ceilings == ceilings
    assert [c.is_clear for c in columns["influence"].comparisons] == [
        not c.difference.low <= 0 <= c.difference.high  # type: ignore[operator]
        for c in columns["influence"].comparisons
    ]


def test_versions_of_one_estimator_stand_side_by_side_on_the_same_truth(tmp_path: Path) -> None:
    first, _ = written(plan(["subset[n_models=30]", "same_label"]).changed(n_seeds=3), tmp_path, "first")
    second, _ = written(plan(["subset[n_models=30]", "same_label"]).changed(repeats=3), tmp_path, "second")
    compared = compare([second, first])
    (problem,) = compared.problems
    assert (problem.n_seeds, problem.runs) == (3, ("second", "first"))
    assert compared.versions == (("subset[n_models=30]@second", "subset[n_models=30]@first"),)
    for column in compared.columns:
        if column.key == "influence":
            assert {one.name for one in column.estimators} == {*compared.versions[0], "same_label"}
        assert column.in_common == (0,)
        pairs = [{one.first, one.second} for one in column.comparisons]
        assert set(compared.versions[0]) in pairs
    again = compare([first, second], estimators=["same_label", "subset[n_models=30]"])
    # whichever run comes first, the truth of three seeds is used, also in columns that two seeds say nothing about
    assert {"captured", "weighted"} <= {column.key for column in compared.columns}
    for one, other in zip(compared.columns, again.columns, strict=True):
        assert one.key == other.key
        values = [{each.name: each.mean.value for each in column.estimators} for column in (one, other)]
        assert values[0] == values[1]


def test_a_problem_on_which_one_has_no_value_is_not_in_the_means(tmp_path: Path) -> None:
    of = plan(["random", "turn_over_dropout[n_masks=2]"], model='["mlp[hidden=[8]]", "linear"]')
    compared = compare([written(of, tmp_path, "out")[0]])
    influence = compared.columns[0]
    assert influence.in_common == (0,)
    (masked,) = (one for one in influence.estimators if one.name.startswith("turn"))
    assert masked.by_problem[0] is not None
    assert masked.by_problem[1] is None
    assert masked.mean.value == masked.by_problem[0].value
    (left_out,) = influence.left_out
    assert (left_out.problem, left_out.without_value) == (1, (masked.name,))


def test_shares_are_of_the_ceiling_where_the_run_has_them(tmp_path: Path) -> None:
    directory, results = written(plan(["random", "subset"], dataset=TWO).changed(n_seeds=4), tmp_path, "out")
    for column in compare([directory]).columns:
        shares = [{cell.name: cell.columns[column.key].of_ceiling.value for cell in result.cells} for result in results]
        above_noise = [place for place, of in enumerate(shares) if of["subset"] is not None]
        assert column.above_noise == tuple(above_noise)
        for one in column.estimators:
            mean = sum(shares[place][one.name] for place in above_noise) / len(above_noise) if above_noise else None  # type: ignore[misc]
            assert one.of_ceiling.value == (None if mean is None else pytest.approx(mean, abs=1e-5))
            assert one.of_ceiling.low is None


def test_what_cannot_be_compared_is_one_sentence(tmp_path: Path) -> None:
    directory, _ = written(plan(["random", "same_label"]), tmp_path, "out")
    with pytest.raises(UnknownNameError, match=r"no run has an estimator 'randon'; did you mean 'random'\?"):
        compare([directory], estimators=["randon"])
    with pytest.raises(UsageError, match="fewer than two estimators have scores to compare"):
        compare([directory], estimators=["random"])
    with pytest.raises(UsageError, match="is named twice"):
        compare([directory, directory])
    for file in directory.rglob("random.safetensors"):
        file.unlink()
    with pytest.raises(UsageError, match=r"does not hold scores/.*random.safetensors: only a whole run directory"):
        compare([directory])


def test_few_draws_have_no_letters_and_beat_nobody(tmp_path: Path) -> None:
    of = plan(["leave_one_out", "same_label", "input_similarity"]).changed(repeats=2)
    compared = compare([written(of, tmp_path, "out")[0]])
    (influence,) = (column for column in compared.columns if column.key == "influence")
    found = {one.name: one for one in influence.estimators}
    assert {name: one.few_draws for name, one in found.items()} == {
        "leave_one_out": True,
        "same_label": False,
        "input_similarity": False,
    }
    assert {name: bool(one.letters) for name, one in found.items()} == {
        name: not one.few_draws for name, one in found.items()
    }
    assert found["leave_one_out"].mean.low is not None
    assert found["leave_one_out"].not_clearly_behind == (False,)
    for one in influence.comparisons:
        assert (one.difference.low is None) is ("leave_one_out" in (one.first, one.second))
    text = text_of(lambda console: print_comparison(console, compared), 80)
    assert "Fewer than 4 draws: leave_one_out." in text
