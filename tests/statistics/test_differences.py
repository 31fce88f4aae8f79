"""Which estimators can be distinguished."""

from dataclasses import replace
from itertools import combinations, permutations, product

import numpy as np
import pytest
import torch
from scipy import stats

from influbench.results import Statistic
from influbench.seeds import derive
from influbench.statistics.correlation import mean_over_columns, spearman, whole_table
from influbench.statistics.differences import Difference, _letter, differences, letters
from influbench.statistics.estimation import Estimation
from influbench.statistics.yardsticks import flags


def judged(*strengths: float) -> dict[str, Estimation]:
    """Estimators named a, b, c, ... whose scores are the truth times a strength, plus noise."""
    generator = torch.Generator().manual_seed(0)
    truth = torch.randn(80, 30, generator=generator, dtype=torch.float64)
    found = {}
    for name, strength in zip("abcdef", strengths, strict=False):
        scores = strength * truth + torch.randn(80, 30, generator=generator, dtype=torch.float64)
        estimation = mean_over_columns(spearman, scores, truth, whole_table(80, 30)).estimation
        assert estimation is not None
        found[name] = estimation
    return found


def test_clear_differences_are_found_and_others_are_not() -> None:
    found = {(one.first, one.second): one for one in differences(judged(1.0, 0.98, 0.2))}
    assert found["a", "c"].is_clear
    assert not any(one.is_clear for pair, one in found.items() if set(pair) == {"a", "b"})


def test_simultaneous_intervals_are_wider_than_single_ones() -> None:
    known = judged(1.0, 0.9, 0.5, 0.4, 0.3, 0.2)
    single = known["a"].minus(known["b"]).interval()
    together = next(one for one in differences(known) if {one.first, one.second} == {"a", "b"}).statistic
    assert single.low is not None
    assert single.high is not None
    assert together.low is not None
    assert together.high is not None
    assert together.high - together.low > 1.2 * (single.high - single.low)
    two = next(iter(differences(judged(1.0, 0.9)))).statistic
    assert two.low is not None
    assert abs(two.low - single.low) < 0.1 * (single.high - single.low)


def test_the_same_scores_do_not_differ() -> None:
    known = judged(1.0)
    (same,) = differences({"a": known["a"], "b": known["a"]})
    assert not same.is_clear
    assert differences(known) == []


def pair(first: str, second: str, *, clear: bool) -> Difference:
    low = 0.1 if clear else -0.1
    return Difference(first, second, Statistic(value=0.2, low=low, high=0.5))


def test_names_share_a_letter_if_and_only_if_they_cannot_be_told_apart() -> None:
    names = ["w", "x", "y", "z"]
    apart = {("w", "y"), ("w", "z"), ("x", "z")}
    found = [pair(a, b, clear=(a, b) in apart) for i, a in enumerate(names) for b in names[i + 1 :]]
    assert letters(names, found) == {"w": "a", "x": "ab", "y": "bc", "z": "c"}
    assert letters(["x"], []) == {"x": "a"}


def alone(value: float, place: int, *, n_rows: int = 40, n_columns: int = 12, size: int = 12) -> Estimation:
    """An estimation whose chance is in train points of its own: no two of them have an error in common."""
    contributions = torch.zeros(120, n_columns, dtype=torch.float64)
    own = torch.randn(size, 1, generator=torch.Generator().manual_seed(place), dtype=torch.float64)
    contributions[place * size : (place + 1) * size] = 0.01 * (own - own.mean()) / own.std()
    return Estimation(value, contributions, n_rows=n_rows, n_columns=n_columns)


def tails(of: dict[str, Estimation]) -> set[float]:
    """The two-sided tail probabilities of all half widths, each by its own degrees of freedom: one for all pairs."""
    found = set()
    for one in differences(of):
        pair = of[one.first].minus(of[one.second])
        error = pair.standard_error()
        assert one.statistic.low is not None
        assert one.statistic.high is not None
        assert error is not None
        half = (one.statistic.high - one.statistic.low) / 2
        found.add(round(float(2 * stats.t.sf(half / error, pair.degrees_of_freedom())), 9))
    return found


def smallest_p(n_estimators: int, n: int) -> float:
    """The 5% quantile of the smallest p value of paired t tests between all of some samples of n normal values."""
    samples = np.random.default_rng(0).normal(size=(20_000, n, n_estimators))
    p = [
        stats.ttest_rel(samples[..., first], samples[..., second], axis=1).pvalue
        for first, second in combinations(range(n_estimators), 2)
    ]
    return float(np.quantile(np.min(p, axis=0), 0.05))


# The tail probability comes from 20,000 draws: a standard error of 3% for a probability of .05.
def test_a_single_difference_has_the_interval_of_students_t() -> None:
    (found,) = tails({"a": alone(0.6, 0), "b": alone(0.2, 1)})
    assert found == pytest.approx(0.05, rel=0.1)


def test_the_draws_are_the_same_for_ever() -> None:
    """One pair, written out: 20,000 normal numbers of a stream of their own, over roots of the squares of five more."""
    stream = torch.Generator().manual_seed(derive(0, "differences"))
    draws = [torch.randn(20_000, 1, generator=stream, dtype=torch.float64).numpy()[:, 0] for _ in range(1 + 5)]
    t = np.abs(draws[0]) / np.sqrt(np.mean(np.square(draws[1:]), axis=0))
    (found,) = tails({"a": alone(0.6, 0, n_rows=6), "b": alone(0.2, 1, n_rows=6)})
    assert found == pytest.approx(2 * stats.t.sf(np.quantile(t, 0.95), 5), rel=1e-6)


@pytest.mark.parametrize("n_rows", [5, 12])
@pytest.mark.parametrize("n", [3, 6])
def test_all_pairs_of_independent_ones_hold_at_once_as_paired_t_tests_do(n: int, n_rows: int) -> None:
    (found,) = tails({name: alone(0.1 * place, place, n_rows=n_rows) for place, name in enumerate("abcdef"[:n])})
    assert found == pytest.approx(smallest_p(n, n_rows), rel=0.12)


def test_the_fewest_degrees_of_freedom_of_all_differences_count() -> None:
    """Five with 40 rows and one with 3: the tail probability is that of six with 3, and each t has its own."""
    some = {name: alone(0.1 * place, place) for place, name in enumerate("abcdef")}
    few = tails({name: replace(one, n_rows=3) for name, one in some.items()})
    assert tails({**some, "c": replace(some["c"], n_rows=3)}) == few
    assert max(few) < 0.92 * max(tails(some))


def test_differences_that_move_together_need_no_wider_intervals() -> None:
    """Three of which two have the same errors: all differences that have any are one and the same."""
    some = {"a": alone(0.6, 0), "b": alone(0.2, 1), "c": replace(alone(0.2, 1), value=0.3)}
    of = {(one.first, one.second): one.statistic for one in differences(some)}
    assert of["c", "b"].low == of["c", "b"].high == pytest.approx(0.1)
    pair = some["a"].minus(some["b"])
    error = pair.standard_error()
    for name, value in (("b", 0.4), ("c", 0.3)):
        low = of["a", name].low
        assert low is not None
        assert error is not None
        assert (value - low) / error == pytest.approx(stats.t.ppf(0.975, pair.degrees_of_freedom()), rel=0.03)


def test_errors_in_common_of_test_points_count_too() -> None:
    """Chance in test points alone, and two estimators with the same errors: there is only one difference."""

    def transposed(one: Estimation) -> Estimation:
        return replace(one, contributions=one.contributions.T.contiguous(), n_rows=12, n_columns=12)

    some = {"a": alone(0.6, 0), "b": alone(0.2, 1), "c": replace(alone(0.2, 1), value=0.3)}
    of = {name: transposed(one) for name, one in some.items()}
    pair = of["a"].minus(of["b"])
    half = next(one.statistic for one in differences(of) if (one.first, one.second) == ("a", "b"))
    error = pair.standard_error()
    assert half.high is not None
    assert error is not None
    tail = 2 * stats.t.sf((half.high - 0.4) / error, pair.degrees_of_freedom())
    assert tail == pytest.approx(0.05, rel=0.1)


def test_pairs_are_told_with_the_higher_first_and_the_same_whatever_the_order_given() -> None:
    some = {"a": alone(0.1, 0), "b": alone(0.5, 1), "c": alone(0.3, 2)}
    found = differences(some)
    assert [(one.first, one.second) for one in found] == [("b", "c"), ("b", "a"), ("c", "a")]
    assert [one.statistic.value for one in found] == pytest.approx([0.2, 0.4, 0.2])
    assert differences(dict(reversed(some.items()))) == found


def test_an_interval_that_ends_at_0_is_not_clear() -> None:
    ends = {(0.1, 0.5): True, (-0.5, -0.1): True, (0.0, 0.5): False, (-0.5, 0.0): False, (-0.1, 0.1): False}
    for (low, high), clear in ends.items():
        assert Difference("a", "b", Statistic(value=0.2, low=low, high=high)).is_clear == clear
    for low, high in ((None, 0.5), (0.1, None), (None, None)):
        assert not Difference("a", "b", Statistic(value=0.2, low=low, high=high)).is_clear


@pytest.mark.parametrize("names", ["wxyz", "vwxyz"])
def test_letters_say_who_can_be_told_apart_for_every_pattern(names: str) -> None:
    """Two share a letter if and only if their difference is not clear; and no letter could be spared."""
    pairs = list(combinations(names, 2))
    for pattern in product([False, True], repeat=len(pairs)):
        apart = {one for one, clear in zip(pairs, pattern, strict=True) if clear}
        found = letters(list(names), [pair(*one, clear=one in apart) for one in pairs])
        for one in pairs:
            assert (not set(found[one[0]]) & set(found[one[1]])) == (one in apart)
        groups = {letter: {name for name in names if letter in found[name]} for letter in "".join(found.values())}
        assert sorted(groups) == list("abcdefgh"[: len(groups)])
        assert not any(a <= b for a, b in permutations(groups.values(), 2))
        assert found[names[0]].startswith("a")


def test_letters_go_on_after_z() -> None:
    """With a letter for each of sixty, which took minutes when pairs came in no order."""
    names = [f"{number:02}" for number in range(60)]
    found = letters(names, [pair(*one, clear=True) for one in combinations(names, 2)])
    assert [found[names[number]] for number in (0, 1, 25, 26, 51, 52, 59)] == ["a", "b", "z", "A", "Z", "a'", "h'"]
    assert (_letter(103), _letter(104)) == ("Z'", "a''")


def test_an_estimator_of_few_draws_differs_from_nobody_clearly() -> None:
    known = judged(1.0, 0.5, 0.2)
    few = {**known, "a": replace(known["a"], few_draws=True)}
    found = {(one.first, one.second): one for one in differences(few)}
    for pair_of_a in (("a", "b"), ("a", "c")):
        assert (found[pair_of_a].statistic.low, found[pair_of_a].statistic.high) == (None, None)
        assert not found[pair_of_a].is_clear
    assert found["b", "c"] == differences({name: known[name] for name in "bc"})[0]


def test_a_difference_whose_error_is_unseen_has_an_interval() -> None:
    """Both estimators separate all positives from all negatives: nothing varies, and freedom is infinite."""
    positive = torch.arange(60) < 20
    scores = positive.double()[:, None] + torch.zeros(60, 1)
    found = {name: flags(positive).agreement([scores]).value for name in "ab"}
    (one,) = differences({name: value for name, value in found.items() if value is not None})
    assert one.statistic.value == 0
    assert one.statistic.low is not None
    assert one.statistic.low <= 0
    assert not one.is_clear
