"""The linear datamodeling score, against sums written out and scipy's correlations."""

from pathlib import Path

import pytest
import torch
from scipy.stats import spearmanr

from influbench.api import Bank
from influbench.banks import SubsetBank
from influbench.judges.subsets import Subsets
from influbench.seeds import derive
from influbench.shards import trained
from influbench.statistics.yardsticks import Yardstick
from tests.problems import judged, stored_in, trainer


def additive(*, n_subsets: int = 40, noise: float = 0.0) -> tuple[torch.Tensor, Yardstick]:
    """Influence (12, 5), and measures that are its sum over each subset, plus noise for each of two seeds."""
    generator = torch.Generator().manual_seed(3)
    influence = torch.randn(12, 5, generator=generator, dtype=torch.float64)
    weights = (torch.rand(n_subsets, 12, generator=generator) < 0.5).double()
    sums = torch.stack([influence[row == 1].sum(0) for row in weights])
    measured = sums + noise * torch.randn(2, n_subsets, 5, generator=generator, dtype=torch.float64)
    banks = [Bank(weights, of_seed, torch.zeros(n_subsets, 12), None) for of_seed in measured]
    problem = judged(trainer())
    (yardstick,) = Subsets(n=n_subsets).yardsticks(problem, banks, step=problem.n_steps).values()
    return influence, yardstick


def lds(yardstick: Yardstick, influence: torch.Tensor) -> float:
    """As a run judges it: the mean correlation of summed scores with the mean over seeds."""
    found = yardstick.agreement([yardstick.held(influence)]).value
    assert found is not None
    return found.value


def test_predictions_are_sums_over_the_points_of_each_subset() -> None:
    influence, yardstick = additive()
    predicted, weights = yardstick.held(influence.float()), yardstick.weights
    assert weights is not None
    assert (predicted.shape, predicted.dtype) == ((40, 5), torch.float64)
    for subset in range(40):
        for test_point in range(5):
            kept = [i for i in range(12) if weights[subset, i] == 1]
            expected = sum(float(influence.float()[i, test_point]) for i in kept)
            assert predicted[subset, test_point].item() == pytest.approx(expected, abs=1e-12)


def test_scores_that_are_exact_reach_1_and_their_opposites_minus_1() -> None:
    influence, yardstick = additive()
    assert lds(yardstick, influence) == pytest.approx(1, abs=1e-12)
    assert lds(yardstick, -influence) == pytest.approx(-1, abs=1e-12)


def test_the_value_is_the_mean_over_test_points_of_scipys_correlation_with_the_mean_over_seeds() -> None:
    influence, yardstick = additive(noise=2.0)
    scores, measured, weights = (
        influence + torch.randn(12, 5, dtype=torch.float64),
        yardstick.effects,
        yardstick.weights,
    )
    assert weights is not None
    assert measured.shape == (2, 40, 5)
    of_each = []
    for test_point in range(5):
        predicted = [float(row @ scores[:, test_point]) for row in weights]
        means = [(float(measured[0, s, test_point]) + float(measured[1, s, test_point])) / 2 for s in range(40)]
        of_each.append(spearmanr(predicted, means).statistic)
    assert lds(yardstick, scores) == pytest.approx(sum(of_each) / 5, abs=1e-12)


def test_what_least_squares_finds_in_trained_subsets_agrees_with_them(tmp_path: Path) -> None:
    """The sign and the orientation, on networks: effects fitted to one seed's subsets predict the other seed's."""
    problem, judge = judged(trainer(epochs=6)), Subsets(n=64)
    banks = [trained(work, stored_in(tmp_path)) for work in judge.trainings(problem)]
    (yardstick,) = judge.yardsticks(problem, banks, step=problem.n_steps).values()
    assert yardstick.weights is not None
    design = torch.cat([yardstick.weights, torch.ones(64, 1, dtype=torch.float64)], dim=1)
    fitted = torch.linalg.lstsq(design, yardstick.effects[0]).solution[:-1]
    other = Yardstick(yardstick.effects[1:], yardstick.blocks, weights=yardstick.weights)
    assert lds(other, fitted) > 0.5
    assert lds(yardstick, -fitted) < -0.5


def test_subsets_are_trained_twice_and_keep_their_order(tmp_path: Path) -> None:
    problem, judge = judged(trainer(epochs=1)), Subsets(n=5, ratio=0.6)
    banks = [trained(work, stored_in(tmp_path)) for work in judge.trainings(problem)]
    (yardstick,) = judge.yardsticks(problem, banks, step=problem.n_steps).values()
    assert yardstick.weights is not None
    assert yardstick.weights.shape == (5, 20)
    assert (yardstick.weights.sum(1) == 12).all()
    assert len(banks) == 2
    assert torch.equal(yardstick.effects, torch.stack([bank.on_test for bank in banks]))
    assert not torch.equal(banks[0].on_test, banks[1].on_test)


def test_no_estimator_is_given_the_networks_of_the_judge() -> None:
    """The stream of the judge's subsets is its own, and the same for both seeds."""
    first, second = Subsets(n=5).trainings(judged(trainer(), seed=7))
    assert isinstance(first, SubsetBank)
    assert isinstance(second, SubsetBank)
    assert first.seed == second.seed == derive(7, "bank", "truth")
    assert (first.repeat, second.repeat) == (0, 1)


def test_three_subsets_and_any_share_between_0_and_1_are_possible() -> None:
    assert Subsets(n=3, ratio=1e-9).n == 3
    with pytest.raises(ValueError, match="n must be at least 3, got 2: a correlation needs three subsets"):
        Subsets(n=2)
    for ratio in (0.0, 1.0, 1.5):
        with pytest.raises(ValueError, match=f"ratio must be above 0 and below 1, got {ratio}"):
            Subsets(ratio=ratio)


def test_a_subset_needs_a_train_point() -> None:
    problem = judged(trainer())
    n_train = len(problem.data.train)
    assert Subsets(ratio=1 / n_train).unsupported(problem) is None
    assert Subsets(ratio=0.4 / n_train).unsupported(problem) == (
        f"a share of {0.4 / n_train:g} of {n_train} train points is less than one"
    )


def test_the_yardstick_after_an_earlier_step_holds_the_measures_of_that_step() -> None:
    weights, on_train = torch.eye(4), torch.zeros(4, 12)
    earlier, last = torch.zeros(4, 5).double(), torch.ones(4, 5).double()
    banks = [Bank(weights, last, on_train, None, earlier={2: Bank(weights, earlier, on_train, None)})] * 2
    problem = judged(trainer())
    for step, expected in ((2, earlier), (problem.n_steps, last)):
        (yardstick,) = Subsets(n=4).yardsticks(problem, banks, step=step).values()
        assert torch.equal(yardstick.mean, expected)
