"""Reliability, on truths whose reliability is known."""

from math import atanh, log, sqrt

import pytest
import torch

from influbench.results import UNKNOWN
from influbench.statistics.correlation import whole_table
from influbench.statistics.reliability import halvings, reliability, splits
from influbench.statistics.yardsticks import Yardstick


def simulated(n_seeds: int, noise: float, *, n: int = 400, m: int = 30) -> tuple[torch.Tensor, torch.Tensor]:
    """A noise-free effect and a truth (n_seeds, n, m) of it plus independent noise for each seed."""
    generator = torch.Generator().manual_seed(1)
    effect = torch.randn(n, m, generator=generator, dtype=torch.float64)
    return effect, effect + noise * torch.randn(n_seeds, n, m, generator=generator, dtype=torch.float64)


@pytest.mark.slow
@pytest.mark.parametrize("n_seeds", [2, 4, 8])
def test_reliability_and_ceiling_are_those_of_the_simulation(n_seeds: int) -> None:
    """With unit effects and noise variance 4, n seeds have reliability n / (n + 4) on Pearson's scale."""
    effect, truth = simulated(n_seeds, noise=2.0)
    blocks = whole_table(400, 30)
    known = reliability(truth, blocks)
    assert known.reliability is not None
    assert known.ceiling is not None
    assert known.single_seed is not None
    assert known.reliability.value == pytest.approx(n_seeds / (n_seeds + 4), abs=0.03)
    assert known.single_seed.value == pytest.approx(1 / 5, abs=0.03)
    best = Yardstick(truth, blocks).agreement([effect])
    assert best.value is not None
    assert best.of_ceiling is not None
    assert best.value.value == pytest.approx(known.ceiling.value, abs=0.03)
    assert best.of_ceiling.value == pytest.approx(1, abs=0.05)


@pytest.mark.slow
def test_noise_alone_has_no_reliability() -> None:
    truth = torch.randn(8, 100, 40, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    known = reliability(truth, whole_table(100, 40))
    assert known.reliability is not None
    found = known.reliability.correlation_interval()
    assert found.low is not None
    assert found.high is not None
    assert found.low < 0 < found.high


def test_one_seed_has_neither_reliability_nor_ceiling() -> None:
    known = reliability(torch.randn(1, 20, 5, dtype=torch.float64), whole_table(20, 5))
    assert (known.reliability, known.ceiling, known.single_seed) == (None, None, None)
    assert known.seeds_needed(0.5) is None


def test_halves_share_no_seed() -> None:
    for n_seeds, size, n_splits in ((2, 1, 1), (3, 1, 3), (4, 2, 3), (8, 1, 28), (8, 4, 35), (9, 4, 24), (16, 8, 24)):
        drawn = splits(n_seeds, size)
        assert len(drawn) == len(set(drawn)) == n_splits
        for half, other in drawn:
            assert len({*half, *other}) == 2 * size
    assert halvings(8) == [8, 4, 2, 1]
    assert halvings(0) == []


@pytest.mark.slow
def test_the_seeds_needed_are_read_off_the_measured_curve() -> None:
    """Of unit effects and noise variance 4: k / (k + 4) with k seeds, on Pearson's scale."""
    known = reliability(simulated(8, noise=2.0)[1], whole_table(400, 30))
    assert sorted(known.curve) == [1, 2, 4]
    assert known.seeds_needed(0.1) == 1
    assert known.seeds_needed(0.45) in (3, 4)
    assert known.seeds_needed(0.9) is None


def test_the_seeds_enter_the_error_of_the_share_of_the_ceiling() -> None:
    """Seeds with the same noise, and seeds of which one is much noisier."""
    effect, truth = simulated(8, noise=2.0, n=100)
    noisier = torch.cat([truth[:7], effect + 4 * (truth[7:] - effect)])
    found = [Yardstick(one, whole_table(100, 30)).agreement([effect]) for one in (truth, noisier)]
    assert all(one.value is not None and one.value.by_seed is None for one in found)
    widths = [(one.of_ceiling.high or 0) - (one.of_ceiling.low or 0) for one in found]
    assert 0 < 1.3 * widths[0] < widths[1]


@pytest.mark.parametrize("n_seeds", [2, 3])
def test_too_few_seeds_have_values_without_intervals(n_seeds: int) -> None:
    effect, truth = simulated(n_seeds, noise=1.0, n=100)
    yardstick = Yardstick(truth, whole_table(100, 30))
    known, share = yardstick.reliability, yardstick.agreement([effect]).of_ceiling
    found = [known.interval(), known.interval_at(1), known.ceiling_interval(), known.reach_interval(), share]
    assert all(one.value is not None and one.value > 0.3 for one in found)
    assert all((one.low, one.high) == (None, None) for one in found)


@pytest.mark.parametrize("n_seeds", [2, 3, 4, 5, 8])
def test_of_noise_alone_only_the_reliability_is_known(n_seeds: int) -> None:
    truth = torch.randn(n_seeds, 60, 20, generator=torch.Generator().manual_seed(n_seeds), dtype=torch.float64)
    yardstick = Yardstick(truth, whole_table(60, 20))
    known = yardstick.reliability
    assert known.interval().value is not None
    assert known.ceiling_interval() == known.reach_interval() == UNKNOWN
    assert yardstick.agreement([truth[0]]).of_ceiling == UNKNOWN
    assert known.seeds_needed(0.01) is None


def test_intervals_of_ceilings_are_roots_of_those_of_the_reliability() -> None:
    known = reliability(simulated(4, noise=1.0, n=60)[1], whole_table(60, 30))
    for root, of in (
        (known.ceiling_interval(), known.interval()),
        (known.reach_interval(), known.interval_at(1)),
    ):
        ends = [root.low, root.value, root.high]
        squares = [of.low, of.value, of.high]
        factors = [(end or 0) / sqrt(square or 0) for end, square in zip(ends, squares, strict=True)]
        assert factors == pytest.approx(3 * [factors[1]])
        assert 0.8 < factors[1] <= 1
        assert root.high is not None
        assert root.high <= 1


def test_an_interval_is_symmetric_in_the_log_odds_if_it_is_above_0_and_on_fishers_scale_if_not() -> None:
    clear = reliability(simulated(8, noise=1.0, n=60)[1], whole_table(60, 30)).interval()
    unclear = reliability(simulated(4, noise=8.0, n=60)[1], whole_table(60, 30)).interval()
    assert None not in (clear.low, clear.value, clear.high, unclear.low, unclear.value, unclear.high)
    odds = [log(one / (1 - one)) for one in (clear.low or 0, clear.value or 0, clear.high or 0)]
    assert odds[2] - odds[1] == pytest.approx(odds[1] - odds[0], rel=1e-9)
    z = [atanh(one) for one in (unclear.low or 0, unclear.value or 0, unclear.high or 0)]
    assert z[2] - z[1] == pytest.approx(z[1] - z[0], rel=1e-9)
    assert z[0] < 0


def test_equal_weights_of_test_points_change_nothing_and_other_weights_choose() -> None:
    """Half of the test points are noise alone; with all the weight on the others, the reliability is theirs."""
    truth = simulated(8, noise=1.0, n=60)[1]
    truth[:, :, 15:] = torch.randn(8, 60, 15, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    blocks = whole_table(60, 30)
    plain, same = reliability(truth, blocks), reliability(truth, blocks, torch.full((60, 30), 2.5))
    assert plain.reliability is not None
    assert same.reliability is not None
    assert same.interval().value == pytest.approx(plain.interval().value)
    assert same.interval().high == pytest.approx(plain.interval().high)
    torch.testing.assert_close(same.reliability.contributions, plain.reliability.contributions)
    weights = torch.zeros(60, 30, dtype=torch.float64)
    weights[:, :15] = 1
    chosen, alone = reliability(truth, blocks, weights), reliability(truth[:, :, :15], whole_table(60, 15))
    assert chosen.interval().value == pytest.approx(alone.interval().value)
    assert chosen.ceiling_interval().value == pytest.approx(alone.ceiling_interval().value)
    assert chosen.reach_interval().value == pytest.approx(alone.reach_interval().value)
