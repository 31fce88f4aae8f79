"""The seeds' share of intervals, against a jackknife written out and against a simulation whose variance is known."""

from itertools import combinations
from math import pi, sqrt

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr
from torch import Tensor

from influbench.statistics.correlation import whole_table, within_classes
from influbench.statistics.estimation import Estimation
from influbench.statistics.reliability import deleted_seed_contributions, reliability
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


def test_the_share_in_an_agreement_is_the_jackknife_over_seeds() -> None:
    effects, truth = simulated(6, n=40, m=5)
    scores = [effects + 0.5 * torch.randn(40, 5, dtype=torch.float64) for _ in range(2)]
    without = []
    for left_out in range(6):
        mean = truth[[seed for seed in range(6) if seed != left_out]].mean(0)
        without.append((scipys(scores[0], mean) + scipys(scores[1], mean)) / 2)
    yardstick = Yardstick(truth, whole_table(40, 5))
    found, ceiling = yardstick.agreement(scores), yardstick.reliability.ceiling
    assert found.value is not None
    assert found.of_ceiling is not None
    assert ceiling is not None
    assert ceiling.by_seed is not None
    ratio = found.value.value / ceiling.value
    of_agreement = deleted_seed_contributions(torch.tensor(without, dtype=torch.float64))
    expected = (of_agreement - ratio * ceiling.by_seed) / ceiling.value  # the delta method for a ratio
    torch.testing.assert_close(found.of_ceiling.by_seed, expected, rtol=1e-9, atol=1e-12)


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


def test_the_share_of_one_seed_alone_is_the_jackknife_over_pairs_of_seeds() -> None:
    _, truth = simulated(5, n=30, m=4)
    known = reliability(truth, whole_table(30, 4)).single_seed
    between = {pair: scipys(truth[pair[0]], truth[pair[1]]) for pair in combinations(range(5), 2)}
    assert known is not None
    assert known.value == pytest.approx(float(np.mean(list(between.values()))), abs=1e-12)
    without = [float(np.mean([value for pair, value in between.items() if seed not in pair])) for seed in range(5)]
    assert seeds_variance(known) == pytest.approx(jackknife_variance(without), rel=1e-9)


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
    # not exact: leaving one out of a half is a step, where the delta method has a slope
    assert found.std() / expected.std() == pytest.approx(1, abs=0.2)


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
