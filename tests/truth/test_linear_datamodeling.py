"""The linear datamodeling score, against sums written out and scipy's correlations."""

from pathlib import Path

import pytest
import torch
from scipy.stats import spearmanr

from influbench.executors import Here
from influbench.seeds import derive
from influbench.statistics.comparison import Yardstick
from influbench.statistics.correlation import whole_table
from influbench.store.cache import Cache
from influbench.truth.linear_datamodeling import SubsetEffects, subset_banks, subset_effects
from tests.problems import trainer


def additive(*, n_subsets: int = 40, noise: float = 0.0) -> tuple[torch.Tensor, SubsetEffects]:
    """Influence (12, 5), and measures that are its sum over each subset, plus noise for each of two seeds."""
    generator = torch.Generator().manual_seed(3)
    influence = torch.randn(12, 5, generator=generator, dtype=torch.float64)
    weights = (torch.rand(n_subsets, 12, generator=generator) < 0.5).double()
    sums = torch.stack([influence[row == 1].sum(0) for row in weights])
    measured = sums + noise * torch.randn(2, n_subsets, 5, generator=generator, dtype=torch.float64)
    return influence, SubsetEffects(weights, measured, ratio=0.5)


def lds(effects: SubsetEffects, influence: torch.Tensor) -> float:
    """As a run judges it: the mean correlation of predictions with the mean over seeds."""
    yardstick = Yardstick(effects.measured, whole_table(effects.n_subsets, effects.measured.shape[-1]))
    found = yardstick.agreement([effects.predictions(influence)]).spearman
    assert found is not None
    return found.value


def test_predictions_are_sums_over_the_points_of_each_subset() -> None:
    influence, effects = additive()
    predicted = effects.predictions(influence.float())
    assert (predicted.shape, predicted.dtype) == ((40, 5), torch.float64)
    for subset in range(40):
        for test_point in range(5):
            kept = [i for i in range(12) if effects.weights[subset, i] == 1]
            expected = sum(float(influence.float()[i, test_point]) for i in kept)
            assert predicted[subset, test_point].item() == pytest.approx(expected, abs=1e-12)


def test_scores_that_are_exact_reach_1_and_their_opposites_minus_1() -> None:
    influence, effects = additive()
    assert lds(effects, influence) == pytest.approx(1, abs=1e-12)
    assert lds(effects, -influence) == pytest.approx(-1, abs=1e-12)


def test_the_value_is_the_mean_over_test_points_of_scipys_correlation_with_the_mean_over_seeds() -> None:
    influence, effects = additive(noise=2.0)
    scores = influence + torch.randn(12, 5, dtype=torch.float64)
    assert (effects.n_subsets, effects.n_seeds) == (40, 2)
    of_each = []
    for test_point in range(5):
        predicted = [float(row @ scores[:, test_point]) for row in effects.weights]
        measured = [
            (float(effects.measured[0, s, test_point]) + float(effects.measured[1, s, test_point])) / 2
            for s in range(40)
        ]
        of_each.append(spearmanr(predicted, measured).statistic)
    assert lds(effects, scores) == pytest.approx(sum(of_each) / 5, abs=1e-12)


def test_what_least_squares_finds_in_trained_subsets_agrees_with_them(tmp_path: Path) -> None:
    """The sign and the orientation, on networks: effects fitted to one seed's subsets predict the other seed's."""
    banks = subset_banks(trainer(epochs=6), 0, n_subsets=64, ratio=0.5)
    effects = subset_effects([bank.train(Cache(tmp_path), Here()) for bank in banks], ratio=0.5)
    design = torch.cat([effects.weights, torch.ones(64, 1, dtype=torch.float64)], dim=1)
    fitted = torch.linalg.lstsq(design, effects.measured[0]).solution[:-1]
    assert lds(SubsetEffects(effects.weights, effects.measured[1:], 0.5), fitted) > 0.5
    assert lds(effects, -fitted) < -0.5


def test_subsets_are_trained_twice_and_keep_their_order(tmp_path: Path) -> None:
    first, second = subset_banks(trainer(epochs=1), 0, n_subsets=5, ratio=0.6)
    banks = [bank.train(Cache(tmp_path), Here()) for bank in (first, second)]
    effects = subset_effects(banks, ratio=0.6)
    assert (effects.n_subsets, effects.n_seeds, effects.ratio) == (5, 2, 0.6)
    assert (effects.weights.sum(1) == 12).all()
    assert torch.equal(effects.measured[0], banks[0].on_test)
    assert torch.equal(effects.measured[1], banks[1].on_test)
    assert (first.n_models, first.ratio, first.repeat, second.repeat) == (5, 0.6, 0, 1)
    assert first.seed == second.seed == derive(0, "bank", "truth")
