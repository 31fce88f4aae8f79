"""Leave-one-out as a judge: its truth is the closed form of refits, within classes where it says so."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import Tensor

from influbench.api import Estimate, Truth
from influbench.judges.influence import influence_yardsticks
from influbench.judges.leave_one_out import LeaveOneOut
from influbench.models.linear import Linear
from influbench.shards import trained
from influbench.statistics.yardsticks import Yardstick
from influbench.testing.oracles import least_squares
from tests.judges.tables import (
    largest_by_hand,
    of_each,
    of_each_class,
    scores,
    signal_by_hand,
    truth_with_signal,
    worth_of_highest,
)
from tests.problems import judged, line, stored_in, trainer


def truth_of(*, seed: int = 0, n_seeds: int = 3, n_train: int = 12, n_test: int = 6) -> Truth:
    generator = torch.Generator().manual_seed(seed)
    return Truth(
        influence=torch.randn(n_seeds, n_train, n_test, generator=generator, dtype=torch.float64),
        memorization=torch.randn(n_seeds, n_train, generator=generator, dtype=torch.float64),
    )


def value_of(yardstick: Yardstick, scores: Tensor) -> float:
    found = yardstick.agreement([yardstick.held(scores)]).value
    assert found is not None
    return found.value


def test_each_column_holds_scores_against_the_mean_truth() -> None:
    problem = judged(trainer())  # 20 train and 8 test points of 3 classes
    truth = truth_with_signal(n_train=20, n_test=8)
    yardsticks = LeaveOneOut().yardsticks(problem, [truth], step=problem.n_steps)
    assert yardsticks.keys() == {column.key for column in LeaveOneOut().columns(problem)}
    influence, memorization = scores(n_train=20, n_test=8), scores(1, n_train=20, n_test=1)[:, 0]
    mean, labels, test_labels = truth.influence.mean(0), problem.data.train.labels, problem.data.test.labels
    assert truth.memorization is not None
    expected = {
        "captured": worth_of_highest(influence, mean, 1) / largest_by_hand(truth.influence, 1),  # 5% of 20
        "within_class": of_each_class(influence, mean, labels, test_labels).mean(),
        "weighted": np.average(of_each(influence, mean), weights=signal_by_hand(truth.influence)),
        "memorization": spearmanr(memorization, truth.memorization.mean(0)).statistic,
        "influence": of_each(influence, mean).mean(),
    }
    for column in LeaveOneOut().columns(problem):
        found = LeaveOneOut().scores(Estimate(influence, memorization), column)
        assert found is not None
        assert value_of(yardsticks[column.key], found) == pytest.approx(expected[column.key], abs=1e-12)
    assert len(set(expected.values())) == 5


def test_the_truth_of_least_squares_is_its_closed_form(tmp_path: Path) -> None:
    oracle = least_squares()
    data, settings = oracle.problem.data, {"epochs": 600, "learning_rate": 0.2, "momentum": 0.5}
    problem = judged(trainer(data, Linear(), batch_size=len(data.train), measure="neg_loss", **settings), n_seeds=1)
    (work,) = LeaveOneOut().trainings(problem)
    truth = trained(work, stored_in(tmp_path))
    found = LeaveOneOut().yardsticks(problem, [truth], step=problem.n_steps)
    assert found.keys() == {"captured", "weighted", "influence"}
    for yardstick in found.values():
        torch.testing.assert_close(yardstick.mean, oracle.influence, rtol=1e-6, atol=1e-8)
    assert value_of(found["influence"], oracle.influence) == pytest.approx(1, abs=1e-9)
    # one seed cannot show its noise; effects that are known to have none reach 1 in every column
    for yardstick in influence_yardsticks(truth.influence, data, noisy=False).values():
        assert value_of(yardstick, oracle.influence) == pytest.approx(1, abs=1e-9)


def test_every_step_has_the_truth_of_its_own() -> None:
    problem = judged(trainer(), steps=(2,))
    first, last = truth_of(seed=1, n_train=20, n_test=8), truth_of(seed=2, n_train=20, n_test=8)
    truth = replace(last, earlier={2: first})
    for step, expected in ((2, first), (problem.n_steps, last)):
        yardsticks = LeaveOneOut().yardsticks(problem, [truth], step=step)
        for key in ("captured", "within_class", "weighted", "influence"):
            assert torch.equal(yardsticks[key].effects, expected.influence)
        assert expected.memorization is not None
        assert torch.equal(yardsticks["memorization"].effects[:, :, 0], expected.memorization)


def test_the_headline_leaves_out_all_points_and_charts_what_needs_more_than_the_class() -> None:
    columns = LeaveOneOut().columns(judged(trainer()))
    assert [(one.key, one.headline, one.chart, one.details) for one in columns] == [
        ("captured", True, True, False),
        ("within_class", True, True, False),
        ("weighted", True, False, False),
        ("memorization", True, True, True),
        ("influence", False, False, True),
    ]


def test_regression_lacks_classes_and_memorization() -> None:
    problem = judged(trainer(line(), Linear()))
    columns = LeaveOneOut().columns(problem)
    assert [(one.key, one.headline, one.chart, one.details) for one in columns] == [
        ("captured", True, True, False),
        ("weighted", True, True, False),
        ("influence", False, False, True),
    ]
    truth = replace(truth_of(n_train=20, n_test=8), memorization=None)
    found = LeaveOneOut().yardsticks(problem, [truth], step=problem.n_steps)
    assert found.keys() == {column.key for column in columns}


def test_the_estimand_counts_points_and_seeds() -> None:
    problem = judged(trainer())
    for n_seeds, words in ((1, "1 seed"), (3, "3 seeds")):
        told = LeaveOneOut().estimand(problem, [truth_of(n_seeds=n_seeds)])
        assert told == f"neg_loss of 8 test points with and without each of 20 train points, {words}"
