"""Leave-one-out as a judge: its truth is the closed form of refits, within classes where it says so."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from scipy.stats import spearmanr

from influbench.api import Estimate, Truth
from influbench.judges.leave_one_out import LeaveOneOut
from influbench.models.linear import Linear
from influbench.shards import trained
from influbench.testing.oracles import least_squares
from tests.problems import judged, line, stored_in, trainer


def truth_of(*, seed: int = 0, n_seeds: int = 3, n_train: int = 12, n_test: int = 6) -> Truth:
    generator = torch.Generator().manual_seed(seed)
    return Truth(
        influence=torch.randn(n_seeds, n_train, n_test, generator=generator, dtype=torch.float64),
        memorization=torch.randn(n_seeds, n_train, generator=generator, dtype=torch.float64),
    )


def test_each_column_holds_scores_against_scipys_ranks_of_the_mean_truth() -> None:
    problem = judged(trainer())  # 20 train and 8 test points of 3 classes
    truth = truth_of(n_train=20, n_test=8)
    yardsticks = LeaveOneOut().yardsticks(problem, [truth], step=problem.n_steps)
    assert list(yardsticks) == [column.key for column in LeaveOneOut().columns(problem)]
    generator = torch.Generator().manual_seed(9)
    influence, memorization = (
        torch.randn(*size, generator=generator, dtype=torch.float64) for size in ((20, 8), (20,))
    )
    mean, labels, test_labels = truth.influence.mean(0), problem.data.train.labels, problem.data.test.labels

    of_all = [spearmanr(influence[:, j], mean[:, j]).statistic for j in range(8)]
    within = []
    for j in range(8):
        same = (labels == test_labels[j]).nonzero()[:, 0]
        if len(same) >= 3:
            within.append(spearmanr(influence[same, j], mean[same, j]).statistic)
    assert truth.memorization is not None
    own = spearmanr(memorization, truth.memorization.mean(0)).statistic

    expected = {"influence": sum(of_all) / 8, "within_class": sum(within) / len(within), "memorization": own}
    for column in LeaveOneOut().columns(problem):
        scores = LeaveOneOut().scores(Estimate(influence, memorization), column)
        assert scores is not None
        yardstick = yardsticks[column.key]
        found = yardstick.agreement([yardstick.held(scores)]).value
        assert found is not None
        assert found.value == pytest.approx(expected[column.key], abs=1e-12)
    assert len(set(expected.values())) == 3


def test_the_truth_of_least_squares_is_its_closed_form(tmp_path: Path) -> None:
    oracle = least_squares()
    data, settings = oracle.problem.data, {"epochs": 600, "learning_rate": 0.2, "momentum": 0.5}
    problem = judged(trainer(data, Linear(), batch_size=len(data.train), measure="neg_loss", **settings), n_seeds=1)
    (work,) = LeaveOneOut().trainings(problem)
    truth = trained(work, stored_in(tmp_path))
    (yardstick,) = LeaveOneOut().yardsticks(problem, [truth], step=problem.n_steps).values()
    torch.testing.assert_close(yardstick.mean, oracle.influence, rtol=1e-6, atol=1e-8)
    found = yardstick.agreement([yardstick.held(oracle.influence)]).value
    assert found is not None
    assert found.value == pytest.approx(1, abs=1e-9)


def test_every_step_has_the_truth_of_its_own() -> None:
    problem = judged(trainer(), steps=(2,))
    first, last = truth_of(seed=1, n_train=20, n_test=8), truth_of(seed=2, n_train=20, n_test=8)
    truth = replace(last, earlier={2: first})
    for step, expected in ((2, first), (problem.n_steps, last)):
        yardsticks = LeaveOneOut().yardsticks(problem, [truth], step=step)
        assert torch.equal(yardsticks["influence"].effects, expected.influence)
        assert torch.equal(yardsticks["within_class"].effects, expected.influence)
        assert expected.memorization is not None
        assert torch.equal(yardsticks["memorization"].effects[:, :, 0], expected.memorization)


def test_regression_has_one_column_and_a_chart_of_it() -> None:
    problem = judged(trainer(line(), Linear()))
    (column,) = LeaveOneOut().columns(problem)
    assert (column.key, column.chart, column.details) == ("influence", True, True)
    assert [one.chart for one in LeaveOneOut().columns(judged(trainer()))] == [False, True, True]
    truth = replace(truth_of(n_train=20, n_test=8), memorization=None)
    assert list(LeaveOneOut().yardsticks(problem, [truth], step=problem.n_steps)) == ["influence"]


def test_the_estimand_counts_points_and_seeds() -> None:
    problem = judged(trainer())
    for n_seeds, words in ((1, "1 seed"), (3, "3 seeds")):
        told = LeaveOneOut().estimand(problem, [truth_of(n_seeds=n_seeds)])
        assert told == f"neg_loss of 8 test points with and without each of 20 train points, {words}"
