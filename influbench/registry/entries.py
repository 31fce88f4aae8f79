"""What a plugin registers, and who registered it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from influbench.api import Spec

Kind = Literal["estimator", "dataset", "model"]
KINDS: tuple[Kind, ...] = get_args(Kind)
NOUNS: dict[Kind, str] = {"estimator": "estimator", "dataset": "data set", "model": "model"}


@dataclass(frozen=True)
class Distribution:
    """An installed package that registers something, or a file or a session that a class was taken from."""

    name: str
    version: str = ""

    def __str__(self) -> str:
        return f"{self.name} {self.version}".rstrip()


@dataclass(frozen=True)
class Entry:
    """One thing that can be named. `preset` are parameters that its name has set."""

    kind: Kind
    spec: Spec
    distribution: Distribution
    preset: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Broken:
    """A plugin that could not be used, and why."""

    distribution: Distribution
    entry_point: str
    reason: str
