"""The seeds' share of intervals, against a jackknife written out and against a simulation whose variance is known."""

from itertools import combinations
from math import pi, sqrt

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata, spearmanr
from torch import Tensor

from influbench.statistics.between_seeds import between_seeds, deleted_seed_contributions, norms
from influbench.statistics.correlation import whole_table, within_classes
from influbench.statistics.estimation import Estimation
from influbench.statistics.reliability import reliability
from influbench.statistics.yardsticks import Yardstick


def simulated(n_seeds: int, *, n: int, m: int, noise: Tensor | float = 1.0, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Effects (n, m) and a truth (n_seeds, n, m) of them plus normal noise, with a standard deviation for each seed."""
    generator = torch.Generator().manual_seed(seed)
    effects = torch.randn(n, m, generator=generator, dtype=torch.float64)
    cells = torch.randn(n_seeds, n, m, generator=generator, dtype=torch.float64)
    return effects, effects + torch.as_tensor(noise).reshape(-1, 1, 1) * cells


def scipys(x: Tensor, y: Tensor) -> float:
    """Spearman's correlation column by column, averaged."""
    return float(np.mean([spearmanr(x[:, j], y[:, j]).statistic for j in range(x.shape[1])]))


def jackknife_variance(without: list[float]) -> float:
    """Of a statistic, from its values without each of n independent parts (Quenouille 1956, Tukey 1958)."""
    n, mean = len(without), float(np.mean(without))
    return (n - 1) / n * sum((value - mean) ** 2 for value in without)


def seeds_variance(of: Estimation) -> float:
    """The seeds' share of the variance, as an interval has it: what remains where points are not a source of chance."""
    assert of.by_seed is not None
    error = Estimation(0.0, torch.zeros(9, 1), n_rows=9, n_columns=None, by_seed=of.by_seed).standard_error()
    assert error is not None
    return error**2


def test_the_error_from_the_seeds_is_the_jackknifes() -> None:
    values = torch.tensor([0.3, 0.5, 0.1, 0.45], dtype=torch.float64)
    of = Estimation(0.4, torch.zeros(5, 2), 5, 2, by_seed=deleted_seed_contributions(values))
    assert seeds_variance(of) == pytest.approx(jackknife_variance(values.tolist()), rel=1e-12)
    assert of.by_seed is not None
    assert float(of.by_seed.sum()) == pytest.approx(0, abs=1e-15)
    assert of.by_seed.argmin() == values.argmax()  # the statistic is high without a seed that lowers it


def test_the_share_within_classes_is_the_jackknife_over_seeds_too() -> None:
    effects, truth = simulated(5, n=30, m=4)
    train_labels, test_labels = torch.arange(30) % 2, torch.arange(4) % 2
    yardstick = Yardstick(truth, within_classes(train_labels, test_labels))
    without = []
    for left_out in range(5):
        mean = truth[[seed for seed in range(5) if seed != left_out]].mean(0)
        values = [
            spearmanr(effects[train_labels == label, j], mean[train_labels == label, j]).statistic
            for j, label in enumerate(test_labels)
        ]
        without.append(float(np.mean(values)))
    expected = deleted_seed_contributions(torch.tensor(without, dtype=torch.float64))
    torch.testing.assert_close(yardstick._by_seed([effects]), expected, rtol=1e-9, atol=1e-12)


def components(truth: NDArray[np.float64]) -> tuple[float, float]:
    """C and V, from the ranks of each column among all seeds and rows, one pair of seeds at a time."""
    n_seeds, n_rows, n_columns = truth.shape
    ranks = rankdata(truth.reshape(-1, n_columns), axis=0).reshape(truth.shape) / (n_seeds * n_rows)
    centered = ranks - ranks.mean(1, keepdims=True)
    products = np.array([[(one * other).mean(0).sum() for other in centered] for one in centered])
    common = float(np.mean([products[pair] for pair in combinations(range(n_seeds), 2)]))
    return common, float(products.diagonal().mean()) - common


def test_the_variances_of_seeds_are_those_of_their_ranks() -> None:
    truth = simulated(5, n=30, m=4, noise=torch.tensor([0.5, 1.0, 1.0, 2.0, 3.0]))[1]
    found = between_seeds(truth, whole_table(30, 4))
    assert found is not None
    assert (found.common, found.own) == pytest.approx(components(truth.numpy()), rel=1e-9)


def test_the_share_is_the_jackknife_of_the_log_odds() -> None:
    """Where the odds of the reliability are k C / V, contributions are those of log C - log V, with linear log C."""
    truth = simulated(5, n=30, m=4, noise=torch.tensor([0.5, 1.0, 1.0, 2.0, 3.0]))[1]
    found = between_seeds(truth, whole_table(30, 4))
    assert found is not None
    # the ranks of all seeds are kept while a seed is left out, so the products are those of all seeds
    n_seeds, n_rows, n_columns = truth.shape
    ranks = rankdata(truth.numpy().reshape(-1, n_columns), axis=0).reshape(truth.shape) / (n_seeds * n_rows)
    centered = ranks - ranks.mean(1, keepdims=True)
    values = []
    for left_out in range(5):
        rest = [seed for seed in range(5) if seed != left_out]
        pairs = [(centered[a] * centered[b]).mean(0).sum() for a, b in combinations(rest, 2)]
        own = np.mean([np.square(centered[seed]).mean(0).sum() for seed in rest]) - np.mean(pairs)
        values.append(float(np.mean(pairs) / found.common - np.log(own)))
    odds = 3 * found.common / found.own
    value = odds / (1 + odds)
    expected = value * (1 - value) * deleted_seed_contributions(torch.tensor(values, dtype=torch.float64))
    torch.testing.assert_close(found.contributions(value, 3), expected, rtol=1e-9, atol=1e-12)


def test_seeds_that_are_identical_have_no_share() -> None:
    truth = simulated(1, n=30, m=4)[1].repeat(4, 1, 1)
    found = between_seeds(truth, whole_table(30, 4))
    assert found is not None
    assert found.own == pytest.approx(0, abs=1e-12)
    assert found.contributions(1.0, 4).tolist() == [0.0] * 4


def test_norms_are_over_the_median_and_without_the_means_of_columns() -> None:
    truth = simulated(5, n=30, m=4)[1]
    scales = torch.tensor([1.0, 0.25, 3.0, 2.0, 0.5], dtype=torch.float64)
    alike = truth[:1] - truth[:1].mean(1, keepdim=True)
    shifted = scales[:, None, None] * alike + 100 * torch.arange(4)
    assert norms(shifted, whole_table(30, 4)) == pytest.approx(scales.tolist())
    within = within_classes(torch.arange(30) % 2, torch.arange(4) % 2)
    squares = torch.zeros(5, dtype=torch.float64)
    for block in within:
        part = truth[:, block.rows][:, :, block.columns]
        squares += (part - part.mean(1, keepdim=True)).square().sum((1, 2))
    found = squares.sqrt()
    assert norms(truth, within) == pytest.approx((found / found.median()).tolist())
    assert norms(torch.ones(3, 5, 2), whole_table(5, 2)) == ()


def test_two_seeds_have_no_share_because_none_can_be_left_out() -> None:
    known = reliability(simulated(2, n=30, m=4)[1], whole_table(30, 4))
    assert known.single_seed is not None
    assert known.single_seed.by_seed is None


def expected_contributions(variances: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """What each seed adds to the mean correlation of halves, by the delta method on the normal model.

    A half whose seeds have noise of variances v has noise of variance w = sum(v) / size^2; two halves correlate with
    rho = 1 / sqrt((1 + w)(1 + w')), so that d rho / d v of a seed is -rho / (2 (1 + w) size^2), and Spearman's
    correlation is 6 / pi asin(rho / 2). With 2 size seeds every split holds each of them once.
    """
    w = variances.mean() / size
    rho = 1 / (1 + w)
    slope = (3 / pi) / sqrt(1 - rho**2 / 4)
    return -slope * rho / (2 * (1 + w) * size**2) * (variances - variances.mean())


def test_the_share_in_a_half_is_that_of_seeds_with_known_noise() -> None:
    """So many points that all chance is in the seeds: some are much noisier than others."""
    variances = torch.tensor([1.0, 4.0, 9.0, 16.0], dtype=torch.float64).repeat(5)
    _, truth = simulated(20, n=400, m=20, noise=variances.sqrt())
    half = reliability(truth, whole_table(400, 20)).curve[10]
    expected = expected_contributions(variances.numpy(), 10)
    assert half.by_seed is not None
    found = half.by_seed.numpy()
    assert np.corrcoef(found, expected)[0, 1] > 0.95
    # on the safe side: a noisy seed also has less in common with the others in the ranks of all seeds
    assert 1 < found.std() / expected.std() < 1.3


@pytest.mark.slow
def test_the_share_is_the_variance_over_truths_with_other_seeds() -> None:
    """The same effects and points with new seeds, many times: how far the half-split correlation varies."""
    generator = torch.Generator().manual_seed(2)
    effects = torch.randn(60, 15, generator=generator, dtype=torch.float64)
    values, claimed = [], []
    for _ in range(80):
        noise = 1 + 4 * (torch.rand(6, 1, 1, generator=generator, dtype=torch.float64) < 0.4)
        truth = effects + noise * torch.randn(6, 60, 15, generator=generator, dtype=torch.float64)
        half = reliability(truth, whole_table(60, 15)).curve[3]
        values.append(half.value)
        claimed.append(seeds_variance(half))
    assert np.mean(claimed) / np.var(values, ddof=1) == pytest.approx(1, abs=0.4)
