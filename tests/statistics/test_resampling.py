"""Resampling of examples and seeds: follows ids, and its intervals hold what they should."""

from math import log

import pytest
import torch

from influbench.seeds import derive
from influbench.statistics.resampling import percentile_interval, weighted_means, weights
from tests.test_seeds import reference_hash


def test_the_first_weights_are_equal_and_all_sum_to_1() -> None:
    found = weights(torch.tensor([7, 3, 11]), n_resamples=50, seed=4)
    assert found.shape == (51, 3)
    torch.testing.assert_close(found[0], torch.full((3,), 1 / 3, dtype=torch.float64))
    torch.testing.assert_close(found.sum(1), torch.ones(51, dtype=torch.float64))
    assert len(found.unique(dim=0)) == 51


def test_a_weight_follows_the_id() -> None:
    ids = torch.tensor([7, 3, 11, 20])
    order = torch.tensor([2, 0, 3, 1])
    everything = weights(ids, n_resamples=9, seed=4)
    torch.testing.assert_close(weights(ids[order], n_resamples=9, seed=4), everything[:, order])
    some = weights(ids[:2], n_resamples=9, seed=4)
    torch.testing.assert_close(some[:, 0] / some[:, 1], everything[:, 0] / everything[:, 1])


def test_weighted_means_are_those_of_the_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    values = torch.randn(3, 4, 6, dtype=torch.float64)
    of_seeds = weights(torch.arange(3), n_resamples=20, seed=1)
    of_examples = weights(torch.arange(6), n_resamples=20, seed=2)
    expected = torch.einsum("bs,skn,bn->bk", of_seeds, values, of_examples)
    torch.testing.assert_close(weighted_means(values, of_seeds, of_examples), expected)
    torch.testing.assert_close(expected[0], values.mean((0, 2)))
    monkeypatch.setattr("influbench.statistics.resampling._AT_A_TIME", 50)
    torch.testing.assert_close(weighted_means(values, of_seeds, of_examples), expected)


def test_an_interval_leaves_2_5_percent_on_each_side() -> None:
    found = percentile_interval(torch.cat([torch.tensor([0.5]), torch.linspace(0, 1, 1001)]))
    assert (found.value, found.low, found.high) == (0.5, pytest.approx(0.025), pytest.approx(0.975))


def test_an_undefined_resample_could_be_anything() -> None:
    numbers = torch.linspace(0, 1, 1000)
    few, many = numbers.clone(), numbers.clone()
    few[500:510], many[500:530] = torch.nan, torch.nan
    value = torch.tensor([0.5])
    found = percentile_interval(torch.cat([value, few]))
    assert found.low is not None
    assert found.low == pytest.approx(0.015, abs=0.001)
    assert found.high == pytest.approx(0.985, abs=0.001)
    found = percentile_interval(torch.cat([value, many]))
    assert (found.value, found.low, found.high) == (0.5, None, None)
    assert percentile_interval(torch.cat([torch.tensor([torch.nan]), numbers])).value is None


@pytest.mark.slow
@pytest.mark.parametrize("noise", ["examples", "seeds"])
def test_intervals_of_a_mean_hold_it_about_as_often_as_they_say(noise: str) -> None:
    """600 tables of 16 seeds and 30 examples, whose chance is that of the rows or of the columns."""
    generator = torch.Generator().manual_seed(0)
    held = 0
    for table in range(600):
        of_seeds = torch.randn(16, 1, 1, generator=generator, dtype=torch.float64)
        of_examples = torch.randn(1, 1, 30, generator=generator, dtype=torch.float64)
        values = (of_seeds if noise == "seeds" else of_examples).expand(16, 1, 30)
        means = weighted_means(
            values,
            weights(torch.arange(16), n_resamples=200, seed=2 * table),
            weights(torch.arange(30), n_resamples=200, seed=2 * table + 1),
        )
        found = percentile_interval(means[:, 0])
        assert found.low is not None
        assert found.high is not None
        held += found.low <= 0 <= found.high
    assert 0.89 <= held / 600 <= 0.97


def test_weights_are_exponential_draws_of_the_hash_over_their_sum() -> None:
    ids = [7, 3, 11]
    found = weights(torch.tensor(ids), n_resamples=4, seed=9)
    for number in range(4):
        stream = derive(9, "resample", number)
        draws = [-log(((reference_hash(stream, example) % 2**64 >> 12) + 0.5) * 2.0**-52) for example in ids]
        assert found[1 + number].tolist() == pytest.approx([draw / sum(draws) for draw in draws], rel=1e-12)


@pytest.mark.parametrize(("n", "low", "high"), [(40, 1, 38), (80, 2, 77), (50, 1, 48), (10, 0, 9)])
def test_an_interval_ends_at_values_that_were_resampled(n: int, low: int, high: int) -> None:
    """The first counts from 0 at or below 2.5 %, and the last at or above 97.5 %; in whatever order they come."""
    numbers = torch.arange(float(n))
    shuffled = numbers[torch.randperm(n, generator=torch.Generator().manual_seed(0))]
    found = percentile_interval(torch.cat([torch.tensor([n / 2]), shuffled]))
    assert (found.value, found.low, found.high) == (n / 2, low, high)
