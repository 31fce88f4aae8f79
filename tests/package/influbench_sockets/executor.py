"""This process, the last piece first."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from influbench import Executor

S = TypeVar("S")
T = TypeVar("T")


@dataclass(frozen=True)
class Backwards(Executor):
    """Compute pieces one after the other, in the reverse order."""

    one_thread = False

    def capacity(self) -> int:
        return 1

    def run(self, function: Callable[[S, str], T], shared: S, items: Sequence[str]) -> Iterator[tuple[str, T]]:
        for item in reversed(items):
            yield item, function(shared, item)
