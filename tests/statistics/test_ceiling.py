"""Extrapolation and ceiling, on truths whose reliability is known, and by their formulas written out."""

from itertools import combinations
from math import asin, exp, log, pi, sin, sqrt

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import Tensor

from influbench.results import Statistic
from influbench.statistics.correlation import whole_table
from influbench.statistics.estimation import Estimation
from influbench.statistics.reliability import Reliability, reliability, splits
from influbench.statistics.yardsticks import Yardstick


def ranked(correlation: float) -> float:
    """Spearman's correlation of bivariate normals with this correlation."""
    return 6 / pi * asin(correlation / 2)


def simulated(n_seeds: int, noise: Tensor, *, n: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Effects (n, m) of variance 1 and a truth of them plus noise, whose variance each of m test points has its own."""
    generator = torch.Generator().manual_seed(seed)
    effects = torch.randn(n, len(noise), generator=generator, dtype=torch.float64)
    cells = torch.randn(n_seeds, n, len(noise), generator=generator, dtype=torch.float64)
    return effects, effects + noise.double().sqrt() * cells


def known(truth: Tensor) -> Reliability:
    return reliability(truth, whole_table(*truth.shape[1:]))


def log_odds(value: float) -> float:
    return log(value / (1 - value))


@pytest.mark.slow
@pytest.mark.parametrize("n_seeds", [3, 5, 6, 7])
def test_what_is_extrapolated_is_the_reliability_of_the_simulation(n_seeds: int) -> None:
    """Numbers of seeds that halve unevenly: from 2 of 5 seeds to 5, from 3 of 7 to 7."""
    found = known(simulated(n_seeds, torch.full((40,), 4.0), n=1500)[1]).reliability
    assert found is not None
    assert found.value == pytest.approx(ranked(n_seeds / (n_seeds + 4)), abs=0.01)


@pytest.mark.parametrize(("n_seeds", "half", "quarter"), [(5, 2, 1), (6, 3, 1), (7, 3, 1), (8, 4, 2), (10, 5, 2)])
def test_log_odds_grow_with_the_logarithm_of_the_seeds_as_they_did_before(
    n_seeds: int, half: int, quarter: int
) -> None:
    of = known(simulated(n_seeds, torch.tensor([4.0] * 6), n=60)[1])
    points = np.log([quarter, half])
    odds = [log_odds(of.curve[quarter].value), log_odds(of.curve[half].value)]
    line = np.polyfit(points, odds, 1)
    assert of.reliability is not None
    assert log_odds(of.reliability.value) == pytest.approx(float(np.polyval(line, log(n_seeds))), abs=1e-9)


@pytest.mark.parametrize("n_seeds", [2, 3])
def test_where_no_growth_was_measured_it_is_spearman_and_browns(n_seeds: int) -> None:
    of = known(simulated(n_seeds, torch.tensor([4.0] * 6), n=60)[1])
    single, whole = of.single_seed, of.reliability
    assert single is not None
    assert whole is not None
    assert whole.value == pytest.approx(n_seeds * single.value / (1 + (n_seeds - 1) * single.value), rel=1e-12)
    assert whole.by_extrapolation == pytest.approx(whole.value * (1 - whole.value) * log(n_seeds) / 2, rel=1e-12)


def test_where_reliability_fell_with_more_seeds_it_is_spearman_and_browns_too() -> None:
    """One seed of four is all noise, and drowns the other of its half; most pairs of seeds are without it."""
    noise = torch.tensor([0.1, 0.1, 0.1, 10.0], dtype=torch.float64)[:, None, None]
    generator = torch.Generator().manual_seed(1)
    effects = torch.randn(30, 4, generator=generator, dtype=torch.float64)
    of = known(effects + noise * torch.randn(4, 30, 4, generator=generator, dtype=torch.float64))
    half = of.curve[2].value
    assert of.reliability is not None
    assert 0 < half < of.curve[1].value
    assert of.reliability.value == pytest.approx(2 * half / (1 + half), rel=1e-12)
    assert of.reliability.by_extrapolation == pytest.approx(
        of.reliability.value * (1 - of.reliability.value) * log(2) / 2, rel=1e-12
    )


def test_the_error_of_a_measured_growth_is_that_of_its_log_odds() -> None:
    of = known(simulated(8, torch.tensor([4.0] * 6), n=60)[1]).reliability
    assert of is not None
    assert of.by_extrapolation == pytest.approx(of.value * (1 - of.value) * 0.12, rel=1e-12)


@pytest.mark.parametrize("n_seeds", [3, 5, 7, 8])
def test_the_linearisation_of_what_is_extrapolated_is_its_derivative(n_seeds: int) -> None:
    """Contributions of the whole are those of the measured points times how the whole moves with each of them."""
    of = known(simulated(n_seeds, torch.tensor([4.0] * 6), n=60)[1])
    sizes = sorted(of.curve)[-2:]

    def extrapolated(*values: float) -> float:
        if len(values) == 1:
            return n_seeds * values[0] / (1 + (n_seeds - 1) * values[0])
        line = np.polyfit(np.log(sizes), [log_odds(value) for value in values], 1)
        return 1 / (1 + exp(-float(np.polyval(line, log(n_seeds)))))

    values = [of.curve[size].value for size in sizes]
    expected = torch.zeros_like(of.curve[1].contributions)
    for place, size in enumerate(sizes):
        above, below = values.copy(), values.copy()
        above[place], below[place] = above[place] + 1e-6, below[place] - 1e-6
        slope = (extrapolated(*above) - extrapolated(*below)) / 2e-6
        expected += slope * of.curve[size].contributions
    assert of.reliability is not None
    torch.testing.assert_close(of.reliability.contributions, expected, rtol=1e-5, atol=1e-9)


@pytest.mark.slow
def test_the_ceiling_is_nearer_to_the_mean_of_roots_than_the_root_of_the_mean_is() -> None:
    """Half of the test points with little noise, half with much; it errs below, where the root would be .03 above.

    The spread is that of halves, and test points differ more there than with all seeds.
    """
    effects, truth = simulated(8, torch.tensor([1.0, 20.0]).repeat(20), n=800)
    reliabilities = [ranked(8 / (8 + variance)) for variance in (1.0, 20.0)]
    mean_of_roots, root_of_mean = np.sqrt(reliabilities).mean(), np.sqrt(np.mean(reliabilities))
    found = known(truth).ceiling
    best = Yardstick(truth, whole_table(800, 40)).agreement([effects]).value
    assert found is not None
    assert best is not None
    assert best.value == pytest.approx(mean_of_roots, abs=0.006)
    assert mean_of_roots - 0.015 < found.value < mean_of_roots < root_of_mean - 0.025


def variance_of(x: Tensor, y: Tensor) -> float:
    """Of Spearman's correlation over rows: n - 1 of n times the jackknife's, as the infinitesimal one has it."""
    n = len(x)
    without = [spearmanr(np.delete(x.numpy(), i), np.delete(y.numpy(), i)).statistic for i in range(n)]
    return ((n - 1) / n) ** 2 * float(np.square(np.array(without) - np.mean(without)).sum())


@pytest.mark.parametrize("n_seeds", [2, 3])
def test_the_ceiling_is_to_second_order_in_the_spread_of_test_points(n_seeds: int) -> None:
    """sqrt(r) (1 - V / (8 r^2)), where V is how much correlations vary beyond the noise of each."""
    _, truth = simulated(n_seeds, torch.tensor([0.3, 0.3, 3.0, 3.0, 6.0, 1.0]), n=200)
    found = known(truth)
    drawn = list(combinations(range(n_seeds), 2))
    values = np.array([[spearmanr(truth[a, :, j], truth[b, :, j]).statistic for j in range(6)] for a, b in drawn])
    noise = np.mean([[variance_of(truth[a, :, j], truth[b, :, j]) for j in range(6)] for a, b in drawn])
    of_points = values.mean(0)
    spread = (of_points.var(ddof=1) - noise) / of_points.mean() ** 2
    assert found.reliability is not None
    assert found.ceiling is not None
    assert 0.1 < spread < 1
    assert found.ceiling.value == pytest.approx(sqrt(found.reliability.value) * (1 - spread / 8), abs=1e-4)


def test_test_points_that_differ_by_noise_alone_do_not_lower_the_ceiling() -> None:
    """Few train points: all of what correlations vary by is the noise of each, and the root is not corrected."""
    lowered = []
    for seed in range(12):
        found = known(simulated(4, torch.full((30,), 0.25), n=25, seed=seed)[1])
        assert found.ceiling is not None
        assert found.reliability is not None
        lowered.append(found.ceiling.value / sqrt(found.reliability.value))
    assert max(lowered) <= 1
    assert sorted(lowered)[-4] > 1 - 1e-12


def test_of_one_test_point_the_ceiling_is_the_root_and_its_error_by_the_chain_rule() -> None:
    found = known(simulated(4, torch.tensor([2.0]), n=80)[1])
    assert found.reliability is not None
    assert found.ceiling is not None
    root = sqrt(found.reliability.value)
    assert found.ceiling.value == pytest.approx(root, rel=1e-12)
    torch.testing.assert_close(found.ceiling.contributions, found.reliability.contributions / (2 * root))
    assert found.ceiling.by_extrapolation == pytest.approx(found.reliability.by_extrapolation / (2 * root), rel=1e-12)


def test_a_truth_without_reliability_has_no_ceiling() -> None:
    generator = torch.Generator().manual_seed(0)
    effects = torch.randn(30, 4, generator=generator, dtype=torch.float64)
    noise = 4 * torch.randn(2, 30, 4, generator=generator, dtype=torch.float64)
    found = known(torch.stack([effects, -effects]) + noise)
    assert found.reliability is not None
    assert found.reliability.value < 0
    assert found.ceiling is None


@pytest.mark.parametrize(
    ("seeds", "half", "whole"),
    [
        ([[1, 2, 3, 4], [4, 1, 2, 3]], -0.2, -0.5),
        ([[1, 2, 3], [2, 3, 1]], -0.5, -1),
        ([[1, 2, 3], [3, 2, 1]], -1, -1),
        ([[1, 2, 3], [2, 3, 1], [3, 1, 2]], -0.5, -1),
    ],
)
def test_seeds_that_contradict_each_other_have_a_reliability_of_minus_1_at_the_least(
    seeds: list[list[float]], half: float, whole: float
) -> None:
    """Spearman and Brown's formula leaves [-1, 1] below -1 / (2 factor - 1), and has a pole at -1 / (factor - 1)."""
    found = known(torch.tensor(seeds, dtype=torch.float64)[..., None])
    assert found.single_seed is not None
    assert found.reliability is not None
    assert found.single_seed.value == pytest.approx(half)
    assert found.reliability.value == pytest.approx(whole)
    assert found.ceiling is None
    if whole == -1:
        assert found.reliability.correlation_interval() == Statistic(value=-1, low=None, high=None)


def test_a_truth_that_is_constant_has_neither() -> None:
    found = known(torch.ones(4, 20, 3, dtype=torch.float64))
    assert (found.reliability, found.ceiling, found.curve) == (None, None, {})


def test_the_error_of_the_growth_is_larger_where_more_than_one_doubling_is_extrapolated() -> None:
    """From 2 of 5 seeds to 5, and from 3 of 7 to 7."""
    for n_seeds, half in ((5, 2), (7, 3)):
        of = known(simulated(n_seeds, torch.tensor([1.0] * 6), n=200)[1]).reliability
        assert of is not None
        error = 0.12 * log(n_seeds / half) / log(2)
        assert of.by_extrapolation == pytest.approx(of.value * (1 - of.value) * error, rel=1e-12)


def curve_of(values: dict[int, float], whole: tuple[int, float]) -> Reliability:
    def estimation(value: float) -> Estimation:
        return Estimation(value, torch.zeros(4, 4), 4, 4)

    curve = {size: estimation(value) for size, value in values.items()}
    return Reliability(estimation(whole[1]), estimation(sqrt(whole[1])), curve, whole[0])


def test_the_seeds_needed_lie_where_the_log_odds_pass() -> None:
    """Reliability k / (k + 4): 1, 2, 4 and 8 seeds have .2, .333, .5 and .667."""
    of = curve_of({size: size / (size + 4) for size in (1, 2, 4)}, (8, 8 / 12))
    for wanted in (3, 5, 6, 7):
        assert of.seeds_needed(wanted / (wanted + 4)) == wanted
        assert of.seeds_needed(wanted / (wanted + 4) + 1e-4) == wanted + 1
    assert of.seeds_needed(0.2) == 1
    assert of.seeds_needed(0.1) == 1
    assert of.seeds_needed(2 / 6) == 2
    assert of.seeds_needed(8 / 12) == 8
    assert of.seeds_needed(8 / 12 + 1e-9) is None


def test_the_seeds_needed_are_those_of_the_upper_end_where_odds_are_not_defined() -> None:
    assert curve_of({1: 0.0}, (2, 0.5)).seeds_needed(0.3) == 2
    assert curve_of({1: 0.5}, (2, 1.0)).seeds_needed(0.7) == 2


def test_a_curve_that_dips_is_read_where_it_first_rises_to_what_is_wanted() -> None:
    of = curve_of({1: 0.2, 2: 0.1, 4: 0.5}, (8, 0.6))
    assert of.seeds_needed(0.15) == 1
    assert of.seeds_needed(0.45) == 4


def test_splits_are_all_pairs_of_disjoint_sets_where_those_are_few() -> None:
    for n_seeds, size in ((5, 2), (6, 3), (4, 1)):
        expected = {
            frozenset((half, other))
            for half in combinations(range(n_seeds), size)
            for other in combinations(range(n_seeds), size)
            if not set(half) & set(other)
        }
        found = [frozenset(split) for split in splits(n_seeds, size)]
        assert len(found) == len(expected)
        assert set(found) == expected


def test_many_splits_are_drawn_once_for_all_and_use_every_seed_about_as_often() -> None:
    drawn = splits(16, 8)
    assert drawn == splits(16, 8)
    assert len(drawn) == 24
    for half, other in drawn:
        assert half < other
        assert list(half) == sorted(half)
        assert list(other) == sorted(other)
    assert drawn != sorted(drawn)  # the first few are a fair choice, too
    some = splits(20, 4)[:8]
    assert len({seed for split in some for half in split for seed in half}) > 15


@pytest.mark.slow
def test_the_sine_of_the_simulation_is_scipys() -> None:
    """`ranked` itself, against a large sample: it is what the simulations above are held against."""
    effects, truth = simulated(1, torch.tensor([1.5]), n=200_000)
    found = spearmanr(effects[:, 0], truth[0, :, 0]).statistic
    assert found == pytest.approx(ranked(1 / sqrt(2.5)), abs=0.006)
    assert 2 * sin(pi / 6 * found) == pytest.approx(1 / sqrt(2.5), abs=0.006)
