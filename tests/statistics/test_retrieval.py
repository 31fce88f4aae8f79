"""Top k, AUROC and signs, against brute force."""

from dataclasses import replace

import pytest
import torch
from scipy import stats
from sklearn.metrics import roc_auc_score

from influbench.statistics.correlation import mean_over_columns, whole_table
from influbench.statistics.estimation import Estimation
from influbench.statistics.retrieval import auroc, overlap, overlap_interval, sign_agreement
from influbench.statistics.significance import clear_effects, share_significant
from tests.statistics.test_correlation import tables


def test_overlap_counts_the_common_ones_and_is_corrected_for_chance() -> None:
    x, y = tables(40, 5)
    values = overlap(8)(x, y).values
    for j in range(5):
        common = set(x[:, j].topk(8).indices.tolist()) & set(y[:, j].topk(8).indices.tolist())
        assert values[j].item() == pytest.approx((len(common) / 8 - 0.2) / 0.8)
    assert overlap(8)(y, y).values.tolist() == pytest.approx([1] * 5)
    assert overlap(8)(torch.ones(40, 5), y).values.isnan().all()


def test_points_tied_at_the_threshold_share_the_places() -> None:
    scores = torch.tensor([2.0, 1.0, 1.0, 0.0, 0.0, 0.0])[:, None]
    truth = torch.tensor([6.0, 5.0, 4.0, 3.0, 2.0, 1.0])[:, None]
    # of two places one is certain, and the other is shared by two, one of which the truth has
    assert overlap(2)(scores, truth).values.item() == pytest.approx((0.75 - 1 / 3) / (2 / 3))


@pytest.mark.parametrize("digits", [None, 0])
def test_auroc_equals_scikit_learns(digits: int | None) -> None:
    x, y = tables(40, 5, digits=digits)
    positive = (y > 0.5).double()
    values = auroc(x, positive).values
    for j in range(5):
        assert values[j].item() == pytest.approx(roc_auc_score(positive[:, j], x[:, j]), abs=1e-12)
    assert auroc(x, torch.zeros(40, 5)).values.isnan().all()
    assert auroc(x, torch.ones(40, 5)).values.isnan().all()


def flagged(n_positive: int, n: int) -> torch.Tensor:
    return (torch.arange(n)[:, None] < n_positive).double()


def test_auroc_needs_ten_of_each_class() -> None:
    x, _ = tables(40, 1)
    for n_positive, defined in ((9, False), (10, True), (30, True), (31, False)):
        found = auroc(x, flagged(n_positive, 40))
        assert bool(found.values.isnan()) is not defined
        assert bool(found.influence.any()) is defined
    perfect = auroc(flagged(9, 40), flagged(9, 40)).unseen
    assert perfect is not None
    assert not perfect.any()


def test_the_variance_of_auroc_is_of_each_class_alone() -> None:
    """The variance by DeLong, DeLong, Clarke-Pearson (1988), written out, and of a difference with its covariance."""
    n_positive, n = 12, 40
    y, x = flagged(n_positive, n), torch.randn(n, 2, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    placements = []
    for scores in x.T:
        above = (scores[:n_positive, None] > scores[n_positive:]).double()
        placements.append((above.mean(1), above.mean(0)))
    (p, q), (r, s) = placements
    of_first = p.var() / n_positive + q.var() / (n - n_positive)
    of_difference = (p - r).var() / n_positive + (q - s).var() / (n - n_positive)
    first, second = (mean_over_columns(auroc, x[:, [k]], y, whole_table(n, 1)).estimation for k in (0, 1))
    assert first is not None
    assert second is not None
    shown = replace(first, unseen=0.0)
    assert shown.standard_error() == pytest.approx(float(of_first) ** 0.5, rel=1e-12)
    difference = shown.minus(replace(second, unseen=0.0))
    assert difference.standard_error() == pytest.approx(float(of_difference) ** 0.5, rel=1e-12)


def test_a_perfect_auroc_has_the_variance_of_hanley_and_mcneil_nearly_at_1() -> None:
    """10 of 50 without an error: the area as if one comparison of 21 were undecided, in the formula of 1982."""
    area = 20.5 / 21
    q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
    variance = (area * (1 - area) + 9 * (q1 - area**2) + 39 * (q2 - area**2)) / 400
    found = mean_over_columns(auroc, flagged(10, 50), flagged(10, 50), whole_table(50, 1)).estimation
    assert found is not None
    assert found.value == 1
    assert found.standard_error() == pytest.approx(variance**0.5, rel=1e-12)
    interval = found.share_interval()
    assert interval.high == 1
    assert interval.low is not None
    assert 0.5 < interval.low < 0.95
    assert found.minus(found).standard_error() == pytest.approx((2 * variance) ** 0.5, rel=1e-12)


@pytest.mark.parametrize("of", [overlap(20), auroc])
def test_their_linearisation_agrees_with_leaving_rows_out(of) -> None:  # type: ignore[no-untyped-def]
    n, m = 200, 30
    x, y = tables(n, m)
    y = (y > 0.5).double() if of is auroc else y
    whole = mean_over_columns(of, x, y, whole_table(n, m)).estimation
    assert whole is not None
    groups = torch.arange(n) % 20
    without = torch.tensor(
        [float(of(x[groups != g], y[groups != g]).values.mean()) for g in range(20)]
        if of is auroc
        else [float(overlap(19)(x[groups != g], y[groups != g]).values.mean()) for g in range(20)]
    ).double()
    jackknife = (19 / 20) ** 0.5 * (without - without.mean()).norm().item()
    assert whole.contributions.sum(1).norm().item() == pytest.approx(jackknife, rel=0.5)


def test_signs_agree_among_clear_pairs_only() -> None:
    truth = torch.tensor([[1.0, -1.0], [2.0, 3.0]]).repeat(4, 1)
    scores = torch.tensor([[1.0, 1.0], [0.0, -9.0]]).repeat(4, 1)
    clear = torch.tensor([[True, True], [True, False]]).repeat(4, 1)
    found = sign_agreement(scores, truth, clear)
    assert found is not None
    assert found.value == pytest.approx((1 + 0 + 0.5) / 3)
    neither = sign_agreement(scores, 0 * truth, clear)
    assert neither is not None
    assert neither.value == 0.5


def test_signs_of_fewer_than_ten_clear_pairs_have_no_value() -> None:
    scores = torch.ones(40, 1, dtype=torch.float64)
    assert sign_agreement(scores, scores, flagged(9, 40) > 0) is None
    ten = sign_agreement(scores, scores, flagged(10, 40) > 0)
    assert ten is not None
    assert ten.standard_error() == pytest.approx((10.5 / 11 * 0.5 / 11 / 10) ** 0.5, rel=1e-12)
    interval = ten.share_interval()
    assert interval.low is not None
    assert 0.6 < interval.low < interval.high == 1


@pytest.mark.parametrize("sign", [1, -1])
def test_an_overlap_of_all_or_none_has_an_interval(sign: int) -> None:
    truth = torch.arange(200, dtype=torch.float64)[:, None]
    found = mean_over_columns(overlap(10), sign * truth, truth, whole_table(200, 1)).estimation
    assert found is not None
    interval = overlap_interval(found, 10 / 200)
    lowest, highest = -0.05 / 0.95, 1.0
    assert interval.low is not None
    assert interval.high is not None
    if sign > 0:
        assert 0.4 < interval.low < 0.9
        assert interval.high == pytest.approx(highest)
    else:
        assert interval.low == pytest.approx(lowest)
        assert 0.1 < interval.high < 0.5


def test_the_interval_of_a_share_is_wilsons() -> None:
    """7 of 10 by the formula of 1927, with a t quantile and the variance n / (n - 1) of a sample."""
    values = torch.tensor([1.0] * 7 + [0.0] * 3, dtype=torch.float64)
    found = Estimation(0.7, ((values - 0.7) / 10)[:, None], 10, None)
    n = 0.7 * 0.3 / found.standard_error() ** 2  # type: ignore[operator]
    assert n == pytest.approx(9)
    z = stats.t.ppf(0.975, found.degrees_of_freedom())
    center = (0.7 + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * (0.7 * 0.3 / n + z**2 / (4 * n**2)) ** 0.5
    interval = found.share_interval()
    assert (interval.low, interval.high) == (pytest.approx(center - half), pytest.approx(center + half))


def test_effects_are_clear_where_seeds_agree() -> None:
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(8, 50, 20, generator=generator, dtype=torch.float64)
    clear = clear_effects(noise)
    assert clear is not None
    assert clear.sum() <= 5
    noise[:, :10] += 5
    clear = clear_effects(noise)
    assert clear is not None
    assert clear[:10].double().mean() > 0.9
    assert clear_effects(noise[:2]) is None
    assert share_significant(torch.tensor([0.9, 0.0, 0.8, torch.nan]).double(), 30) == pytest.approx(2 / 3)


def test_three_seeds_are_enough_for_a_t_test_and_those_that_never_differ_show_nothing() -> None:
    effects = 10 + 0.01 * torch.randn(3, 4, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    effects[:, 0, 0], effects[:, 1, 1] = 0.0, 7.0
    clear = clear_effects(effects)
    assert clear is not None
    assert clear.tolist() == [[False, True], [True, False], [True, True], [True, True]]


def correlation(p: float, n: int) -> float:
    """The correlation of n points that has this p, two-sided."""
    t = float(stats.t.isf(p / 2, n - 2))
    return t / (n - 2 + t**2) ** 0.5


@pytest.mark.parametrize("n", [3, 4, 10, 100])
def test_a_correlation_is_significant_at_one_in_twenty(n: int) -> None:
    for sign in (1, -1):
        for p, share in ((0.0499, 1.0), (0.0501, 0.0)):
            found = share_significant(torch.tensor([sign * correlation(p, n), torch.nan]).double(), n)
            assert found == share
    assert share_significant(torch.tensor([1.0, -1.0, 0.0], dtype=torch.float64), n) == pytest.approx(2 / 3)
    assert share_significant(torch.tensor([torch.nan]), n) is None
    assert share_significant(torch.tensor([0.5]), 2) is None
