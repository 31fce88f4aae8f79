"""Counts the train points that help."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import Field
from rich.text import Text

from influbench import Study, Subject
from influbench.plan import Plan
from influbench.results import Record


class Helping(Record):
    schema_name: Literal["sockets.helpers/1"] = Field(default="sockets.helpers/1", alias="schema")
    counts: dict[str, int]


@dataclass(frozen=True)
class Helpers(Study[Helping]):
    """Count the train points whose mean effect on the test points is positive, on the problems of PLAN."""

    record = Helping

    def ask(self, plan: Plan, subjects: Sequence[Subject]) -> Helping:
        counts = {subject.name: int((subject.truth().influence.mean((0, 2)) > 0).sum()) for subject in subjects}
        return Helping(counts=counts)

    @classmethod
    def report(cls, record: Helping, *, width: int) -> Iterator[Text]:
        for name, count in record.counts.items():
            yield Text(f"  {name}: {count} train points help")
