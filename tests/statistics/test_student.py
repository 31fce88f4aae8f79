"""Intervals and p-values of a value with its standard error, against scipy."""

from math import exp, inf, log

import numpy as np
import pytest
from scipy import stats

from influbench.statistics.student import Student

SAMPLE = np.random.default_rng(0).normal(0.4, 1, size=9)
FOUND = Student(float(SAMPLE.mean()), float(stats.sem(SAMPLE)), 8)


def test_interval_and_p_values_of_a_mean_are_those_of_the_t_test() -> None:
    expected = stats.ttest_1samp(SAMPLE, 0).confidence_interval(0.95)
    found = FOUND.interval()
    assert (found.value, found.low, found.high) == pytest.approx((SAMPLE.mean(), expected.low, expected.high))
    for bound in (-1.0, 0.0, 0.9):
        above, below = FOUND.p_value(bound, inf), FOUND.p_value(-inf, bound)
        assert above == pytest.approx(stats.ttest_1samp(SAMPLE, bound, alternative="greater").pvalue)
        assert below == pytest.approx(stats.ttest_1samp(SAMPLE, bound, alternative="less").pvalue)


def test_a_p_value_is_at_most_2_5_percent_where_the_interval_is_within_the_bounds() -> None:
    found = FOUND.interval()
    assert found.low is not None
    assert found.high is not None
    assert FOUND.p_value(found.low, inf) == pytest.approx(0.025)
    assert FOUND.p_value(-inf, found.high) == pytest.approx(0.025)
    assert FOUND.p_value(found.low, found.high + 1) == pytest.approx(0.025)


def test_on_a_logarithmic_scale_everything_is_that_of_the_logarithm() -> None:
    one, other = Student(2.0, 0.3, 5, logarithmic=True), Student(log(2.0), 0.3, 5)
    found, expected = one.interval(), other.interval()
    assert expected.low is not None
    assert expected.high is not None
    assert (found.value, found.low, found.high) == pytest.approx((2.0, exp(expected.low), exp(expected.high)))
    assert one.p_value(1.0, inf) == pytest.approx(other.p_value(0.0, inf))
    assert one.p_value(0.0, 1.0) == pytest.approx(other.p_value(-inf, 0.0))


def test_what_is_not_known_has_neither_interval_nor_p_value() -> None:
    for found in (Student(None), Student(0.3)):
        assert (found.interval().low, found.interval().high) == (None, None)
        assert found.interval().value == found.value
        assert found.p_value(0, inf) is None


def test_without_an_error_a_test_is_certain() -> None:
    assert Student(0.3, 0.0).p_value(0, inf) == 0
    assert Student(0.3, 0.0).p_value(0.3, inf) == Student(0.3, 0.0).p_value(-inf, 0.2) == 1
