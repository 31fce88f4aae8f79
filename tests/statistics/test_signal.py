"""The signal of a truth, which weighs test points, against sums written out."""

from itertools import permutations

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from influbench.statistics.signal import effective_number, is_above_noise, signal
from influbench.statistics.yardsticks import correlations
from tests.statistics.test_captured import truth


def signal_by_hand(effects: np.ndarray) -> np.ndarray:
    """Mean products of two different seeds; columns that sum to 0 or less have none."""
    pairs = list(permutations(range(len(effects)), 2))
    products = sum(effects[a] * effects[b] for a, b in pairs) / len(pairs)
    return np.where(products.sum(0) > 0, products, 0.0)


@pytest.mark.parametrize("n_seeds", [2, 5])
def test_signal_is_the_mean_product_of_different_seeds(n_seeds: int) -> None:
    _, effects = truth(n_seeds, noise=3.0)
    effects[:, :, 0] = effects[:, :, 0].roll(1, 0) * torch.tensor([1.0, -1.0] + [0.0] * (n_seeds - 2))[:, None]
    found = signal(effects)
    expected = signal_by_hand(effects.numpy())
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-9, atol=1e-12)
    assert (expected == 0).all(0).any()
    assert (found.sum(0) >= 0).all()


def test_noise_does_not_bias_the_signal() -> None:
    effect, _ = truth(n=50, m=4)
    totals = []
    for seed in range(200):
        noise = torch.randn(3, 50, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        totals.append(float(signal(effect + noise).sum()))
    assert np.mean(totals) == pytest.approx(float(effect.square().sum()), rel=0.02)


@pytest.mark.parametrize("n_seeds", [3, 4, 8])
def test_noise_is_rarely_taken_for_a_truth(n_seeds: int) -> None:
    """Noise with rows and columns in common, and seeds of unequal scale."""
    found = 0
    for seed in range(400):
        generator = torch.Generator().manual_seed(seed)
        rows, columns = (
            torch.randn(n_seeds, 20, 1, generator=generator),
            torch.randn(n_seeds, 1, 8, generator=generator),
        )
        scale = torch.randn(n_seeds, 1, 1, generator=generator).mul(0.5).exp()
        found += is_above_noise(scale * (rows + columns + torch.randn(n_seeds, 20, 8, generator=generator)))
    assert found / 400 <= 0.05


def test_a_truth_with_an_effect_is_above_noise_and_two_seeds_say_nothing() -> None:
    effect, effects = truth(4)
    assert is_above_noise(effects)
    assert is_above_noise(effect.expand(3, -1, -1))
    assert not is_above_noise(effects[:2])
    assert not is_above_noise(torch.zeros(4, 5, 5))


def test_the_agreement_is_scipys_correlations_weighted_by_the_signal() -> None:
    effect, effects = truth(6)
    scores = effect + torch.randn(effect.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    weights = signal_by_hand(effects.numpy()).sum(0)
    values = [spearmanr(scores[:, j], effects.mean(0)[:, j]).statistic for j in range(8)]
    found = correlations(effects, statistic="weighted_spearman").agreement([scores]).value
    assert found is not None
    assert found.value == pytest.approx(float(np.average(values, weights=weights)), abs=1e-12)


def test_test_points_without_effects_do_not_count() -> None:
    effect, _ = truth(m=10)
    effect[:, 5:] = 0.0
    generator = torch.Generator().manual_seed(2)
    effects = effect + 1e-3 * torch.randn(8, *effect.shape, generator=generator, dtype=torch.float64)
    scores = effect.clone()
    scores[:, 5:] = torch.randn(40, 5, generator=generator, dtype=torch.float64)
    weighted, plain = (
        correlations(effects, statistic=statistic).agreement([scores]).value
        for statistic in ("weighted_spearman", "spearman")
    )
    assert weighted is not None
    assert plain is not None
    assert weighted.value > 0.99
    assert plain.value < 0.7


def test_the_ceiling_weighs_test_points_alike() -> None:
    """Half of the test points are noise: they lower the plain ceiling, and not the weighted one."""
    effect, _ = truth(n=60, m=10)
    effect[:, 5:] = 0.0
    noise = torch.randn(8, 60, 10, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    weighted, plain = (
        correlations(effect + 0.1 * noise, statistic=statistic).reliability.ceiling
        for statistic in ("weighted_spearman", "spearman")
    )
    assert weighted is not None
    assert weighted.value > 0.9
    assert plain is None or plain.value < 0.75


def test_noise_alone_has_no_signal_to_weigh_by() -> None:
    noise = torch.randn(8, 60, 20, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    yardstick = correlations(noise, statistic="weighted_spearman")
    assert yardstick.silence == "the truth cannot be distinguished from noise; add seeds"
    assert yardstick.agreement([noise[0]]).value is None


def test_one_seed_has_no_signal_of_its_own() -> None:
    _, effects = truth(1)
    yardstick = correlations(effects, statistic="weighted_spearman")
    assert yardstick.silence == "it needs the truth of at least 3 seeds"
    assert yardstick.agreement([effects[0]]).value is None


def test_the_effective_number_counts_equal_weights() -> None:
    assert effective_number(torch.tensor([2.0, 2.0, 2.0, 0.0])) == pytest.approx(3)
    assert effective_number(torch.tensor([1.0, 0.5])) == pytest.approx(1.8)
