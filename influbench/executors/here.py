"""The executor that computes pieces in this process."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeVar

from influbench.api import Executor

S = TypeVar("S")
T = TypeVar("T")


@dataclass(frozen=True)
class Here(Executor):
    """This process, one piece after the other, with all of torch's threads."""

    one_thread: ClassVar[bool] = False
    exempt: ClassVar[Mapping[str, str]] = {"retries": "what fails in this process would fail again in it"}

    def capacity(self) -> int:
        return 1

    def run(self, function: Callable[[S, str], T], shared: S, items: Sequence[str]) -> Iterator[tuple[str, T]]:
        """The items in order."""
        for item in items:
            yield item, function(shared, item)
