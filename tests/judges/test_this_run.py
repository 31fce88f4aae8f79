"""The effects in one run, each compared with the estimate of the repeat that was handed this run."""

from dataclasses import replace

import numpy as np
import pytest

from influbench.judges.this_run import ThisRun
from influbench.models.linear import Linear
from tests.judges.tables import (
    N_TEST,
    N_TRAIN,
    of_each,
    of_each_class,
    scores,
    truth_with_signal,
    value_of,
    worth_of_highest,
)
from tests.problems import blobs, judged, line, trainer

PROBLEM = judged(trainer(blobs(N_TRAIN, N_TEST)), n_seeds=4)
TRUTH = truth_with_signal()
EFFECTS = TRUTH.influence[:2]
JUDGE = ThisRun(n=2)
REPEATS = [scores(seed) for seed in range(2)]
K = 2  # 5% of 40 train points


def value(key: str) -> float:
    return value_of(JUDGE, PROBLEM, TRUTH, key, REPEATS)


def test_the_captured_effect_is_the_mean_over_runs() -> None:
    shares = [
        worth_of_highest(found, effect, K) / worth_of_highest(effect, effect, K)
        for found, effect in zip(REPEATS, EFFECTS, strict=True)
    ]
    assert value("run_captured") == pytest.approx(np.mean(shares), abs=1e-12)


def test_correlations_are_the_mean_over_runs() -> None:
    labels, test_labels = PROBLEM.data.train.labels, PROBLEM.data.test.labels
    pairs = list(zip(REPEATS, EFFECTS, strict=True))
    within = [of_each_class(found, effect, labels, test_labels).mean() for found, effect in pairs]
    of_all = [of_each(found, effect).mean() for found, effect in pairs]
    weighted = [np.average(of_each(found, effect), weights=effect.square().sum(0).numpy()) for found, effect in pairs]
    assert value("run_within_class") == pytest.approx(np.mean(within), abs=1e-12)
    assert value("run_influence") == pytest.approx(np.mean(of_all), abs=1e-12)
    assert value("run_weighted") == pytest.approx(np.mean(weighted), abs=1e-12)


@pytest.mark.parametrize("key", ["run_captured", "run_within_class", "run_weighted", "run_influence"])
def test_the_effects_of_each_run_reach_1_and_those_of_another_do_not(key: str) -> None:
    assert value_of(JUDGE, PROBLEM, TRUTH, key, list(EFFECTS)) == pytest.approx(1, abs=1e-12)
    assert value_of(JUDGE, PROBLEM, TRUTH, key, list(EFFECTS.flip(0))) < 0.99


def test_a_run_has_no_noise() -> None:
    found = JUDGE.yardsticks(PROBLEM, [TRUTH], step=PROBLEM.n_steps)
    assert [column.key for column in JUDGE.columns(PROBLEM)] == [
        "run_captured",
        "run_within_class",
        "run_weighted",
        "run_influence",
    ]
    assert found.keys() == {column.key for column in JUDGE.columns(PROBLEM)}
    for yardstick in found.values():
        assert (yardstick.paired, yardstick.has_reliability, yardstick.silence, yardstick.one_seed) == (
            True,
            False,
            None,
            None,
        )
        assert len(yardstick.effects) == 2


def test_the_runs_are_the_first_seeds_of_the_truth() -> None:
    (work,) = JUDGE.trainings(PROBLEM)
    assert work.folder == PROBLEM.leave_one_out.folder
    assert list(JUDGE.runs_handed_over(PROBLEM)) == [0, 1]
    assert list(ThisRun().runs_handed_over(PROBLEM)) == [0, 1, 2, 3]


def test_only_whole_runs_are_handed_over() -> None:
    assert JUDGE.yardsticks(PROBLEM, [replace(TRUTH, earlier={2: TRUTH})], step=2) == {}


def test_regression_has_no_column_within_classes() -> None:
    problem = judged(trainer(line(N_TRAIN, N_TEST), Linear()), n_seeds=4)
    keys = ["run_captured", "run_weighted", "run_influence"]
    assert [column.key for column in JUDGE.columns(problem)] == keys
    assert JUDGE.yardsticks(problem, [TRUTH], step=problem.n_steps).keys() == set(keys)


def test_there_must_be_as_many_runs_as_are_handed_over() -> None:
    with pytest.raises(ValueError, match=r"^n must be at least 1, got 0$"):
        ThisRun(n=0)
    assert ThisRun(n=4).unsupported(PROBLEM) is None
    assert ThisRun(n=5).unsupported(PROBLEM) == (
        "it hands over 5 runs, and the truth has 4; raise [truth] seeds or lower n"
    )


def test_the_estimand_counts_the_runs() -> None:
    words = "neg_loss with and without each train point in {}, which the estimators see (one at a time)"
    assert JUDGE.estimand(PROBLEM, [TRUTH]) == words.format("2 runs")
    assert ThisRun(n=1).estimand(PROBLEM, [TRUTH]) == words.format("1 run")
