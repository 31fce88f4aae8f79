"""The accuracy of the networks in words, and warnings about networks that hardly learned."""

from collections.abc import Iterator
from math import sqrt

from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from influbench.report.numbers import count, decimal
from influbench.results import Fit

_NEAR = 0.1  # of the way from the majority's share to 1: a network that came no further hardly learned
_CLEAR = 1.96  # standard errors
_ADVICE = "All figures are about such networks; train longer, or change the recipe."


def fit_in_words(fit: Fit) -> str:
    """ "train .98 (sd .004), test .91 (sd .01), 8 seeds; most frequent test label .12" """
    parts = [f"{which} {_with_spread(value, sd)}" for which, value, sd in _by_split(fit)]
    chance = "" if fit.test_majority is None else f"; most frequent test label {decimal(fit.test_majority)}"
    return f"{', '.join(parts)}, {count(fit.n_seeds, 'seed')}{chance}"


def fit_lines(fit: Fit | None) -> Iterator[RenderableType]:
    """The fit and its warnings, as lines of a report; nothing if it was not measured."""
    if fit is None:
        return
    yield Padding(Text(f"{fit.statistic} of ordinary trainings: {fit_in_words(fit)}"), (0, 2))
    for warning in fit_warnings(fit):
        yield Padding(Text(warning, style="yellow"), (0, 2))


def fit_warnings(fit: Fit) -> Iterator[str]:
    """A sentence about networks that hardly learned the train points, and one about chance on the test points."""
    found = list(_r2_warnings(fit) if fit.statistic == "R2" else _accuracy_warnings(fit))
    if found:
        *first, last = found
        yield from (*first, f"{last} {_ADVICE}")


def _accuracy_warnings(fit: Fit) -> Iterator[str]:
    if _hardly_learned(fit):
        yield (
            f"The networks hardly learned: their accuracy on the train points is {decimal(fit.train)}, and always "
            f"answering the most frequent label gives {decimal(fit.train_majority)}."
        )
    if not _is_above_chance(fit):
        yield (
            f"Accuracy on the test points, {decimal(fit.test)}, is not clearly above chance: always answering the most "
            f"frequent label gives {decimal(fit.test_majority)}."
        )


def _r2_warnings(fit: Fit) -> Iterator[str]:
    for which, value, _ in _by_split(fit):
        if value is not None and value <= 0:
            yield f"R2 on the {which} points is {decimal(value)}: always answering their mean is as good."


def _hardly_learned(fit: Fit) -> bool:
    if fit.train is None or fit.train_majority is None:
        return False
    return fit.train - fit.train_majority < _NEAR * (1 - fit.train_majority)


def _is_above_chance(fit: Fit) -> bool:
    """True if a network that always answers the most frequent label would hardly ever do as well on other test points.

    The standard error is that of the share of correct answers on this many test points, and of the mean over seeds.
    """
    if fit.test is None or fit.test_majority is None:
        return True
    chance, sd = fit.test_majority, fit.test_sd or 0.0
    error = sqrt(chance * (1 - chance) / fit.n_test + sd**2 / fit.n_seeds)
    return fit.test - chance > _CLEAR * error


def _by_split(fit: Fit) -> list[tuple[str, float | None, float | None]]:
    return [("train", fit.train, fit.train_sd), ("test", fit.test, fit.test_sd)]


def _with_spread(value: float | None, sd: float | None) -> str:
    if value is None:
        return "undefined"
    return decimal(value) if sd is None else f"{decimal(value)} (sd {_spread(sd)})"


def _spread(sd: float) -> str:
    """One digit of a small spread: ".004"."""
    return decimal(sd) if sd >= 0.1 else f"{sd:.1g}".replace("0.", ".")
