"""What a plugin registers, and who registered it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from influbench.api import Dataset, Estimator, Executor, Judge, Model, Optimizer, Schedule, Spec, Study

Kind = Literal["estimator", "dataset", "model", "judge", "optimizer", "schedule", "executor", "study"]


@dataclass(frozen=True)
class Role:
    """What the plugins of a kind are called, one and several, and the class of the contract that each inherits."""

    noun: str
    nouns: str
    contract: type

    @property
    def key(self) -> str:
        """The word for all of them in JSON and, behind `influbench_`, the hook that registers them: `datasets`."""
        return self.nouns.replace(" ", "")

    @property
    def hook(self) -> str:
        """The hook of `api.Hooks` that registers them."""
        return f"influbench_{self.key}"


# All that a new kind of plugin needs here is its word in Kind and its line in this table; api.Hooks has its hook.
ROLES: dict[Kind, Role] = {
    "estimator": Role("estimator", "estimators", Estimator),
    "dataset": Role("data set", "data sets", Dataset),
    "model": Role("model", "models", Model),
    "judge": Role("judge", "judges", Judge),
    "optimizer": Role("optimizer", "optimizers", Optimizer),
    "schedule": Role("schedule", "schedules", Schedule),
    "executor": Role("executor", "executors", Executor),
    "study": Role("study", "studies", Study),
}
KINDS: tuple[Kind, ...] = tuple(ROLES)
NOUNS: Mapping[str, str] = {kind: role.noun for kind, role in ROLES.items()}
CONTRACTS: dict[Kind, type] = {kind: role.contract for kind, role in ROLES.items()}


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
