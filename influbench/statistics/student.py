"""A value, its standard error, and its degrees of freedom: the 95% interval and the tests that follow from them."""

from dataclasses import dataclass
from math import exp, inf, log

from scipy import stats

from influbench.results import Statistic


@dataclass(frozen=True)
class Student:
    """A value whose error, divided by its standard error, has Student's t distribution.

    `value` is None if the statistic is not defined, and `standard_error` is None if its error is not known: then it
    does not have an interval, and a test does not find anything. With `logarithmic`, the error is of the logarithm of
    the value, so that the interval of a positive value is positive.
    """

    value: float | None
    standard_error: float | None = None
    degrees_of_freedom: float = inf
    logarithmic: bool = False

    def interval(self) -> Statistic:
        """The value with its 95% interval."""
        if self.value is None or self.standard_error is None:
            return Statistic(value=self.value, low=None, high=None)
        half = float(stats.t.ppf(0.975, self.degrees_of_freedom)) * self.standard_error
        low, high = (self._on_scale(self.value) + sign * half for sign in (-1, 1))
        if self.logarithmic:
            low, high = exp(low), exp(high)
        return Statistic(value=self.value, low=low, high=high)

    def p_value(self, low: float, high: float) -> float | None:
        """The one-sided p-value of the null hypothesis that the true value is not between these bounds.

        It is None if the error is not known, and at most .025 exactly if the 95% interval is between the bounds.
        """
        if self.value is None or self.standard_error is None:
            return None
        return max(self._p_value_beyond(low, 1), self._p_value_beyond(high, -1))

    def _p_value_beyond(self, bound: float, sign: int) -> float:
        """The p-value of the null hypothesis that the true value is at most (at least, for sign -1) the bound."""
        assert self.value is not None
        assert self.standard_error is not None
        distance = sign * (self._on_scale(self.value) - self._on_scale(bound))
        if self.standard_error == 0:
            return 0.0 if distance > 0 else 1.0
        return float(stats.t.sf(distance / self.standard_error, self.degrees_of_freedom))

    def _on_scale(self, value: float) -> float:
        if not self.logarithmic:
            return value
        return log(value) if value > 0 else -inf
