"""Records of what plugins register, and of the packages that register it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from influbench.api import Dataset, Estimator, Executor, Judge, Model, Optimizer, Schedule, Spec, Study

Kind = Literal["estimator", "dataset", "model", "judge", "optimizer", "schedule", "study", "executor"]


@dataclass(frozen=True)
class Role:
    """The singular and plural nouns for plugins of a kind, and the class of the contract that each inherits."""

    noun: str
    nouns: str
    contract: type

    @property
    def key(self) -> str:
        """The key for all of them in JSON and, after `influbench_`, the hook that registers them: `datasets`."""
        return self.nouns.replace(" ", "")

    @property
    def hook(self) -> str:
        """The hook of `api.Hooks` that registers them."""
        return f"influbench_{self.key}"


# A new kind of plugin needs a word in Kind, a line in this table, and a hook in api.Hooks.
ROLES: dict[Kind, Role] = {
    "estimator": Role("estimator", "estimators", Estimator),
    "dataset": Role("data set", "data sets", Dataset),
    "model": Role("model", "models", Model),
    "judge": Role("judge", "judges", Judge),
    "optimizer": Role("optimizer", "optimizers", Optimizer),
    "schedule": Role("schedule", "schedules", Schedule),
    "study": Role("study", "studies", Study),
    "executor": Role("executor", "executors", Executor),
}
KINDS: tuple[Kind, ...] = tuple(ROLES)
NOUNS: Mapping[str, str] = {kind: role.noun for kind, role in ROLES.items()}
CONTRACTS: dict[Kind, type] = {kind: role.contract for kind, role in ROLES.items()}


def kind_of(owner: object) -> Kind | None:
    """The kind of plugin that a class is, or None."""
    if not isinstance(owner, type):
        return None
    return next((kind for kind, contract in CONTRACTS.items() if issubclass(owner, contract)), None)


@dataclass(frozen=True)
class Distribution:
    """An installed package that registers something, or a file or session that a class comes from."""

    name: str
    version: str = ""

    @property
    def is_influbench(self) -> bool:
        """True if this is influbench and not another package."""
        return self.name == "influbench"

    def __str__(self) -> str:
        return f"{self.name} {self.version}".rstrip()


@dataclass(frozen=True)
class Entry:
    """One thing that can be named. `preset` has the parameters that the name itself sets."""

    kind: Kind
    spec: Spec
    distribution: Distribution
    preset: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Broken:
    """A plugin that cannot be used, and the reason."""

    distribution: Distribution
    entry_point: str
    reason: str


@dataclass(frozen=True)
class Remark:
    """A remark on a plugin that loaded: which part of it cannot be used, or which setting of the process it changed."""

    distribution: Distribution
    text: str
