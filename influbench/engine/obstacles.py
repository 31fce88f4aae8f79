"""Reasons why an estimator or a judge gives no result, in words that a report can show."""

from dataclasses import dataclass
from typing import Literal

from influbench.errors import InflubenchError, first_line, type_and_message


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
