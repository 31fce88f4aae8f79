"""The captured effect: against a second implementation, and what must hold for any scores."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from influbench.results import Statistic
from influbench.statistics.captured import captured, known_largest, largest, n_highest
from influbench.statistics.yardsticks import correlations


def truth(n_seeds: int = 6, n: int = 40, m: int = 8, *, noise: float = 1.0, seed: int = 0) -> tuple[Tensor, Tensor]:
    """An expected effect with heavy tails, and its noisy seeds."""
    generator = torch.Generator().manual_seed(seed)
    effect = torch.randn(n, m, generator=generator, dtype=torch.float64) ** 3
    effect *= torch.rand(1, m, generator=generator, dtype=torch.float64)
    return effect, effect + noise * torch.randn(n_seeds, n, m, generator=generator, dtype=torch.float64)


def highest_by_hand(scores: np.ndarray, worth: np.ndarray, k: int) -> float:
    """Worth of the k rows with the highest scores, column by column; rows tied at the threshold share the places."""
    total = 0.0
    for j in range(scores.shape[1]):
        column = scores[:, j]
        threshold = sorted(column, reverse=True)[k - 1]
        above, tied = column > threshold, column == threshold
        total += worth[above, j].sum() + worth[tied, j].sum() * (k - above.sum()) / tied.sum()
    return total


def captured_by_hand(scores: np.ndarray, effects: np.ndarray, k: int) -> float:
    """A second implementation, seed by seed and with plain means."""
    n_seeds = len(effects)
    by_others = by_one = 0.0
    for seed in range(n_seeds):
        others = np.delete(effects, seed, axis=0).mean(0)
        worth = (others + effects[seed]) / 2
        by_others += highest_by_hand(others, worth, k) / n_seeds
        by_one += highest_by_hand(effects[seed], worth, k) / n_seeds
    most = by_others - (by_one - by_others) / (n_seeds - 2)
    return highest_by_hand(scores, effects.mean(0), k) / most


@pytest.mark.parametrize(("n_seeds", "k"), [(3, 1), (6, 2), (6, 9)])
@pytest.mark.parametrize("digits", [None, 0])
def test_it_is_what_a_second_implementation_finds(n_seeds: int, k: int, digits: int | None) -> None:
    effect, effects = truth(n_seeds)
    scores = effect + torch.randn(effect.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    scores = scores if digits is None else scores.round(decimals=digits)
    found = captured(scores, effects, largest(effects, k))
    assert found is not None
    assert found.value == pytest.approx(captured_by_hand(scores.numpy(), effects.numpy(), k), abs=1e-12)
    assert float(found.contributions.sum()) == pytest.approx(0, abs=1e-12)
    assert found.by_seed is not None
    assert float(found.by_seed.sum()) == pytest.approx(0, abs=1e-12)


def test_without_noise_the_effect_itself_captures_all_and_its_opposite_harms() -> None:
    effect, _ = truth()
    most = known_largest(effect, 2)
    whole, opposite = captured(effect, effect[None], most), captured(-effect, effect[None], most)
    assert whole is not None
    assert opposite is not None
    assert whole.value == pytest.approx(1, abs=1e-12)
    assert opposite.value < 0
    assert float(whole.contributions.abs().max()) == pytest.approx(0, abs=1e-12)


def test_noise_of_the_truth_does_not_attenuate_it() -> None:
    """The mean over many truths of few seeds is the captured effect without noise; a correlation would be far below."""
    effect, _ = truth(n=60, m=20)
    scores = effect + torch.randn(effect.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    known = captured(scores, effect[None], known_largest(effect, 3))
    assert known is not None
    values = []
    for seed in range(40):
        generator = torch.Generator().manual_seed(100 + seed)
        effects = effect + torch.randn(6, *effect.shape, generator=generator, dtype=torch.float64)
        found = captured(scores, effects, largest(effects, 3))
        assert found is not None
        values.append(found.value)
    assert np.mean(values) == pytest.approx(known.value, rel=0.02)


def test_scores_that_do_not_know_choose_their_share() -> None:
    effect, effects = truth()
    effects = effects + 1.0
    scores = torch.randn(2000, *effect.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    most = largest(effects, 4)
    values = [found.value for one in scores if (found := captured(one, effects, most)) is not None]
    expected = float(effects.mean(0).sum()) * 4 / 40 / float(most.cells.sum())
    assert np.mean(values) == pytest.approx(expected, rel=0.05)


def test_a_test_point_counts_by_the_effect_that_there_is_to_capture() -> None:
    effect, _ = truth(m=2)
    effect[:, 1] *= 1e-6 / effect[:, 1].abs().max()
    scores = torch.stack([effect[:, 0], -effect[:, 1]], dim=1)
    found = captured(scores, effect[None], known_largest(effect, 2))
    assert found is not None
    assert found.value == pytest.approx(1, abs=1e-4)


def test_rows_enter_the_error_as_the_jackknife_says() -> None:
    """Over blocks of rows, since a single row moves the threshold by a jump."""
    generator = torch.Generator().manual_seed(3)
    n, m, n_blocks = 2000, 3, 40
    effect = torch.randn(n, m, generator=generator, dtype=torch.float64)
    scores = effect + torch.randn(n, m, generator=generator, dtype=torch.float64)
    whole = captured(scores, effect[None], known_largest(effect, 200))
    assert whole is not None
    without = []
    for block in range(n_blocks):
        kept = torch.arange(n) % n_blocks != block
        k = n_highest(0.1, int(kept.sum()))
        found = captured(scores[kept], effect[kept][None], known_largest(effect[kept], k))
        assert found is not None
        without.append(found.value)
    jackknife = np.sqrt((n_blocks - 1) / n_blocks * np.square(np.array(without) - np.mean(without)).sum())
    rows = float(whole.contributions.sum(1).norm())
    assert rows == pytest.approx(jackknife, rel=0.3)


def test_the_interval_ends_where_the_captured_effect_does() -> None:
    """It is at most 1, so that cutting the interval there leaves out nothing that the estimand can be."""
    effect, seeds = truth(noise=1.0)
    yardstick = correlations(seeds, statistic="captured")
    found = yardstick.agreement([effect]).value
    assert found is not None
    whole, cut = found.interval(), yardstick.measurement.interval(found)
    assert whole.low is not None
    assert whole.high is not None
    assert whole.low < 1 < whole.high
    assert (cut.low, cut.high) == (whole.low, 1.0)
    for known in (0.2, 0.9, 0.99, 1.0):
        for shift in (-0.5, -0.1, 0.0, 0.1, 0.5):
            moved = replace(found, value=found.value + shift)
            whole, cut = moved.interval(), yardstick.measurement.interval(moved)
            assert cut.value == min(1.0, moved.value)
            assert _holds(cut, known) or not _holds(whole, known)


def _holds(statistic: Statistic, known: float) -> bool:
    assert statistic.low is not None
    assert statistic.high is not None
    return statistic.low <= known <= statistic.high


def test_noise_alone_has_no_effect_to_capture() -> None:
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(8, 60, 20, generator=generator, dtype=torch.float64)
    yardstick = correlations(noise, statistic="captured")
    assert yardstick.silence == "the truth cannot be distinguished from noise; add seeds"
    assert yardstick.agreement([noise[0]]).value is None


def test_two_seeds_are_too_few() -> None:
    _, effects = truth(2)
    yardstick = correlations(effects, statistic="captured")
    assert yardstick.silence == "it needs the truth of at least 3 seeds"
    assert yardstick.agreement([effects[0]]).value is None


def test_scores_that_are_constant_everywhere_have_no_value() -> None:
    _, effects = truth()
    yardstick = correlations(effects, statistic="captured")
    assert yardstick.silence is None
    assert yardstick.agreement([torch.ones(40, 8)]).value is None
    half = torch.ones(40, 8)
    half[0, 0] = 2.0
    assert yardstick.agreement([half]).value is not None
