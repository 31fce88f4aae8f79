"""Reasons why an estimator or a judge gives no result, in words that a report can show."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeVar

from influbench.errors import InflubenchError, PluginError, first_line, type_and_message
from influbench.isolation import isolated

T = TypeVar("T")


@dataclass(frozen=True)
class Obstacle:
    """The reason why an estimator or a judge did not run or did not finish."""

    status: Literal["unsupported", "failed"]
    reason: str
    traceback: str | None = None


def in_words(error: BaseException, who: str = "") -> str:
    """One sentence for an error: ours speak for themselves, a stranger's is named with its type."""
    if isinstance(error, InflubenchError):
        return f"{who}: {first_line(error)}" if who else first_line(error)
    return f"{who} raised {type_and_message(error)}" if who else type_and_message(error)


def called(who: str, call: Callable[[], T], *, seed: int | None = None) -> T:
    """The result of a plugin's code; PluginError if it raises anything that is not influbench's own."""
    try:
        with isolated(seed):
            return call()
    except InflubenchError:
        raise
    except Exception as error:
        raise PluginError(in_words(error, who)) from error
