"""Resampling of examples and seeds: follows ids, and its errors are those of classical statistics."""

from math import log, sqrt

import pytest
import torch
from torch import Tensor

from influbench.seeds import derive
from influbench.statistics.resampling import Resamples, crossed, estimated, weights
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


def resamples(n_seeds: int, n: int, *, n_resamples: int, seed: int = 1) -> Resamples:
    return crossed(
        weights(torch.arange(n_seeds), n_resamples=n_resamples, seed=seed),
        weights(torch.arange(n), n_resamples=n_resamples, seed=seed + 1),
    )


def test_resampled_means_are_those_of_the_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    values = torch.randn(3, 4, 6, dtype=torch.float64)
    of = resamples(3, 6, n_resamples=20)
    expected = torch.einsum("bs,skn,bn->bk", of.of_seeds, values, of.of_examples)
    torch.testing.assert_close(of.means(values), expected)
    torch.testing.assert_close(expected[0], values.mean((0, 2)))
    monkeypatch.setattr("influbench.statistics.resampling._AT_A_TIME", 50)
    torch.testing.assert_close(of.means(values), expected)


def test_both_are_resampled_together_then_each_alone() -> None:
    of = resamples(3, 6, n_resamples=5)
    seeds, examples = of.of_seeds[1:].split(5), of.of_examples[1:].split(5)
    torch.testing.assert_close(seeds[0], seeds[1])
    torch.testing.assert_close(examples[0], examples[2])
    torch.testing.assert_close(seeds[2], torch.full((5, 3), 1 / 3, dtype=torch.float64))
    torch.testing.assert_close(examples[1], torch.full((5, 6), 1 / 6, dtype=torch.float64))


def table(seed: int, *, of_seeds: float, of_examples: float, of_cells: float, n_seeds: int = 8, n: int = 40) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    draws = [torch.randn(shape, generator=generator).double() for shape in ((n_seeds, 1), (1, n), (n_seeds, n))]
    return of_seeds * draws[0] + of_examples * draws[1] + of_cells * draws[2]


@pytest.mark.parametrize(
    ("of_seeds", "of_examples", "of_cells"), [(1, 0, 0), (0, 1, 0), (0.3, 0.5, 0), (0.2, 0.2, 2), (1, 1, 1)]
)
def test_the_error_of_a_mean_is_that_of_two_way_clusters(of_seeds: float, of_examples: float, of_cells: float) -> None:
    """The variances of row means and of column means, each over its number, minus that of the residuals."""
    values = table(3, of_seeds=of_seeds, of_examples=of_examples, of_cells=of_cells)
    n_seeds, n = values.shape
    by_seed, by_example = values.mean(1), values.mean(0)
    residuals = values - by_seed[:, None] - by_example + values.mean()
    parts = float(by_seed.var() / n_seeds), float(by_example.var() / n)
    cells = float(residuals.square().sum()) / ((n_seeds - 1) * (n - 1)) / (n_seeds * n)
    variance = max(sum(parts) - cells, *parts)
    freedom = variance**2 / (parts[0] ** 2 / (n_seeds - 1) + parts[1] ** 2 / (n - 1))
    means = resamples(n_seeds, n, n_resamples=20_000).means(values[:, None])[:, 0]
    found = estimated(means, n_seeds=n_seeds, n_examples=n)
    assert found.value == pytest.approx(float(values.mean()))
    assert found.standard_error == pytest.approx(sqrt(variance), rel=0.03)
    assert found.degrees_of_freedom == pytest.approx(freedom, rel=0.06)


def test_the_degrees_of_freedom_are_those_of_the_source_that_dominates() -> None:
    for of_seeds, of_examples, freedom in ((1.0, 0.0, 7), (0.0, 1.0, 39)):
        values = table(4, of_seeds=of_seeds, of_examples=of_examples, of_cells=0.0)[:, None]
        found = estimated(resamples(8, 40, n_resamples=300).means(values)[:, 0], n_seeds=8, n_examples=40)
        assert found.degrees_of_freedom == pytest.approx(freedom, rel=1e-6)


def test_the_error_of_a_positive_statistic_is_that_of_its_logarithm() -> None:
    values = table(5, of_seeds=0.3, of_examples=0.3, of_cells=0.1)[:, None]
    means = resamples(8, 40, n_resamples=300).means(values)[:, 0]
    plain = estimated(means, n_seeds=8, n_examples=40)
    logarithmic = estimated(means.exp(), n_seeds=8, n_examples=40, logarithmic=True)
    assert logarithmic.standard_error == pytest.approx(plain.standard_error)
    assert logarithmic.degrees_of_freedom == pytest.approx(plain.degrees_of_freedom)


def test_few_undefined_resamples_are_left_out_and_with_many_the_error_is_unknown() -> None:
    values = table(6, of_seeds=1.0, of_examples=1.0, of_cells=0.0)[:, None]
    means = resamples(8, 40, n_resamples=1000).means(values)[:, 0]
    few, many = means.clone(), means.clone()
    few[1:21], many[1:31] = torch.nan, torch.nan
    expected = estimated(means, n_seeds=8, n_examples=40)
    assert estimated(few, n_seeds=8, n_examples=40).standard_error == pytest.approx(expected.standard_error, rel=0.05)
    found = estimated(many, n_seeds=8, n_examples=40)
    assert (found.value, found.standard_error) == (expected.value, None)
    means[0] = torch.nan
    assert estimated(means, n_seeds=8, n_examples=40).value is None


@pytest.mark.parametrize(("n_seeds", "n", "known"), [(3, 40, False), (4, 40, True), (4, 1, False), (4, 2, True)])
def test_too_few_seeds_or_examples_do_not_have_an_error(n_seeds: int, n: int, known: bool) -> None:
    values = torch.randn(n_seeds, 1, n, generator=torch.Generator().manual_seed(0)).double()
    means = resamples(n_seeds, n, n_resamples=100).means(values)[:, 0]
    assert (estimated(means, n_seeds=n_seeds, n_examples=n).standard_error is not None) == known


def test_without_chance_the_interval_is_the_value() -> None:
    means = resamples(4, 6, n_resamples=100).means(torch.full((4, 1, 6), 0.5, dtype=torch.float64))[:, 0]
    found = estimated(means, n_seeds=4, n_examples=6).interval()
    assert (found.low, found.high) == (pytest.approx(0.5), pytest.approx(0.5))


def test_weights_are_exponential_draws_of_the_hash_over_their_sum() -> None:
    ids = [7, 3, 11]
    found = weights(torch.tensor(ids), n_resamples=4, seed=9)
    for number in range(4):
        stream = derive(9, "resample", number)
        draws = [-log(((reference_hash(stream, example) % 2**64 >> 12) + 0.5) * 2.0**-52) for example in ids]
        assert found[1 + number].tolist() == pytest.approx([draw / sum(draws) for draw in draws], rel=1e-12)
