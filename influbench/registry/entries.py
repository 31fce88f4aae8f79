"""What a plugin registers, and who registered it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from influbench.api import Dataset, Estimator, Model, Spec

Kind = Literal["estimator", "dataset", "model"]
KINDS: tuple[Kind, ...] = get_args(Kind)
NOUNS: dict[Kind, str] = {"estimator": "estimator", "dataset": "data set", "model": "model"}
CONTRACTS: dict[Kind, type] = {"estimator": Estimator, "dataset": Dataset, "model": Model}


def kind_of(owner: object) -> Kind | None:
    """Which kind of plugin a class is, if any."""
    if not isinstance(owner, type):
        return None
    return next((kind for kind, contract in CONTRACTS.items() if issubclass(owner, contract)), None)


@dataclass(frozen=True)
class Distribution:
    """An installed package that registers something, or a file or a session that a class was taken from."""

    name: str
    version: str = ""

    @property
    def is_influbench(self) -> bool:
        """Whether it is influbench's own, and not a stranger's."""
        return self.name == "influbench"

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


@dataclass(frozen=True)
class Remark:
    """What is to be said of a plugin that loaded: what of it cannot be used, or what it did."""

    distribution: Distribution
    text: str
