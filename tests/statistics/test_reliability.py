"""Reliability, on truths whose reliability is known."""

import pytest
import torch

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
    effect, truth = simulated(8, noise=2.0, n=100)
    found = Yardstick(truth, whole_table(100, 30)).agreement([effect])
    assert found.of_ceiling is not None
    assert found.of_ceiling.by_seed is not None
    assert found.value is not None
    assert found.value.by_seed is None
    two = Yardstick(truth[:2], whole_table(100, 30)).agreement([effect])
    assert two.of_ceiling is not None
    assert two.of_ceiling.by_seed is None
