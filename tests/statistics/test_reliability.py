"""Reliability, on truths whose reliability is known."""

import pytest
import torch

from influbench.statistics.comparison import agreement
from influbench.statistics.correlation import whole_table
from influbench.statistics.reliability import reliability, seed_pairs, split_halves


def simulated(n_seeds: int, noise: float, *, n: int = 400, m: int = 30) -> tuple[torch.Tensor, torch.Tensor]:
    """A noise-free effect and a truth (n_seeds, n, m) of it plus independent noise for each seed."""
    generator = torch.Generator().manual_seed(1)
    effect = torch.randn(n, m, generator=generator, dtype=torch.float64)
    return effect, effect + noise * torch.randn(n_seeds, n, m, generator=generator, dtype=torch.float64)


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
    best = agreement(effect, truth, blocks, known)
    assert best.spearman.value == pytest.approx(known.ceiling.value, abs=0.03)
    assert best.of_ceiling.value == pytest.approx(1, abs=0.05)


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


def test_halves_share_no_seed_and_use_all() -> None:
    for n_seeds, n_splits in ((2, 1), (3, 3), (4, 3), (8, 35), (9, 40), (16, 40)):
        splits = split_halves(n_seeds)
        assert len(splits) == n_splits
        assert len({frozenset(split) for split in splits}) == n_splits
        for half, rest in splits:
            assert sorted((*half, *rest)) == list(range(n_seeds))
            assert abs(len(half) - len(rest)) <= 1
    assert split_halves(1) == []
    assert len(seed_pairs(8)) == 28
    assert len(seed_pairs(20)) == 40
