"""The findings of `influbench check`."""

from typing import Literal

from pydantic import Field

from influbench.results.records import Record


class CheckOutcome(Record):
    """The outcome of one promise of the contract; `detail` is what was seen, or why it was not looked at."""

    name: str
    promise: str
    status: Literal["passed", "failed", "exempt", "not applicable", "not checked"]
    detail: str = ""
    remedy: str = ""


class CheckedPlugin(Record):
    """The findings of `influbench check` about one plugin."""

    schema_name: Literal["influbench.check/1"] = Field(default="influbench.check/1", alias="schema")
    kind: str
    name: str
    distribution: str
    outcomes: tuple[CheckOutcome, ...]
