"""Common parts of all records."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

Status = Literal["ok", "unsupported", "failed"]


class Record(BaseModel):
    """An immutable record that knows all its keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Statistic(Record):
    """A value with its 95% interval; null for what is not known or not defined."""

    value: float | None
    low: float | None
    high: float | None

    def __str__(self) -> str:
        if self.value is None:
            return "-"
        ends = "" if self.low is None or self.high is None else f" [{self.low:.2f}, {self.high:.2f}]"
        return f"{self.value:.2f}{ends}"


UNKNOWN = Statistic(value=None, low=None, high=None)


def to_json(record: Record) -> str:
    """The text of a record, as it is written and printed."""
    return record.model_dump_json(indent=2, by_alias=True)
