"""The registry of everything that can be named, and how it is created. Nothing is imported before it is used."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any

from influbench import api
from influbench.errors import (
    InflubenchError,
    PluginError,
    UnknownNameError,
    UsageError,
    did_you_mean,
    first_line,
    type_and_message,
)
from influbench.isolation import isolated
from influbench.registry.entries import CONTRACTS, NOUNS, Broken, Distribution, Entry, Kind, Remark, kind_of
from influbench.registry.files import class_in_file, description, entry_of_file, how_to_name, is_file
from influbench.registry.imports import importing
from influbench.registry.parameters import changed_parameters, filled
from influbench.registry.selectors import Selector

_FEW_NAMES = 8  # names that still fit into one sentence


@dataclass(frozen=True)
class Registry:
    """Everything that is registered, the plugins that did not load, and remarks on those that did.

    `made` holds instances that exist already, by kind and selector as it is written; `create` returns these.
    """

    entries: tuple[Entry, ...]
    broken: tuple[Broken, ...] = ()
    remarks: tuple[Remark, ...] = ()
    made: Mapping[tuple[Kind, str], object] = field(default_factory=dict)
    _classes: dict[tuple[str, str], type] = field(default_factory=dict, repr=False, compare=False)

    def names(self, kind: Kind) -> list[str]:
        """Registered names of a kind, in alphabetical order."""
        return sorted({entry.spec.name for entry in self.entries if entry.kind == kind})

    def distributions(self) -> list[Distribution]:
        """The packages that register something or tried to: influbench first, then by name."""
        records: tuple[Entry | Broken | Remark, ...] = (*self.entries, *self.broken, *self.remarks)
        found = {record.distribution for record in records}
        return sorted(found, key=lambda one: (not one.is_influbench, one.name, one.version))

    def clashes(self, kind: Kind) -> dict[str, list[Distribution]]:
        """Names of a kind that are registered more than once, each with the packages that register it."""
        owners: dict[str, list[Distribution]] = {}
        for entry in self.entries:
            if entry.kind == kind:
                owners.setdefault(entry.spec.name, []).append(entry.distribution)
        return {name: who for name, who in owners.items() if len(who) > 1}

    def entry(self, kind: Kind, name: str) -> Entry:
        """The one entry of this name, which may name a file. UsageError unless there is exactly one."""
        found = [entry for entry in self.entries if entry.kind == kind and entry.spec.name == name]
        if not found and (of_file := entry_of_file(kind, name)):
            return of_file
        if not found:
            hint = how_to_name(kind, name) or did_you_mean(name, self.names(kind)) or self._choices(kind)
            raise UnknownNameError(f"unknown {NOUNS[kind]} {name!r}{hint}")
        if len(found) > 1:
            owners = sorted({str(entry.distribution) for entry in found})
            remedy = "uninstall one of them" if len(owners) > 1 else "register one of the two under another name"
            raise UsageError(f"{NOUNS[kind]} {name!r} is registered by {' and '.join(owners)}; {remedy}")
        return found[0]

    def names_with(self, kind: Kind, name: str) -> list[str]:
        """Registered names of a kind, and also `name` if it names a file that holds one of that kind."""
        names = self.names(kind)
        if is_file(name):
            return [*names, name] if kind_of(class_in_file(name)) == kind else names
        return [*names, name] if entry_of_file(kind, name) else names

    def supplied(self, kind: Kind, selector: Selector) -> str:
        """A selector, followed by the package that supplies the plugin unless that is influbench."""
        distribution = self.entry(kind, selector.name).distribution
        return str(selector) if distribution.is_influbench else f"{selector} ({distribution})"

    def with_instance(self, kind: Kind, instance: object) -> tuple["Registry", str]:
        """This registry with a name for an instance, and that name.

        The name is the registered selector if the class is registered, else the name of the class with its parameters.
        """
        owner = type(instance)
        target = f"{owner.__module__}:{owner.__qualname__}"
        known = [entry.spec.name for entry in self.entries if entry.kind == kind and entry.spec.target == target]
        name = known[0] if known else owner.__name__
        written_name = str(Selector(name, changed_parameters(instance)))
        entries = self.entries
        if name not in self.names(kind):
            package = "influbench" if owner.__module__.startswith("influbench.") else owner.__module__
            spec = api.Spec(name, target, description(owner).partition("\n")[0])
            entries += (Entry(kind, spec, Distribution(package)),)
        return replace(self, entries=entries, made={**self.made, (kind, written_name): instance}), written_name

    def load(self, kind: Kind, name: str) -> type:
        """The class of this name, which is imported now."""
        entry = self.entry(kind, name)
        if is_file(entry.spec.target):
            return _checked_class(entry, class_in_file(entry.spec.target, kind))
        if (kind, name) not in self._classes:
            self._classes[kind, name] = _checked_class(entry, _import(entry))
        return self._classes[kind, name]

    def create(self, kind: Kind, selector: Selector) -> Any:
        """An instance of the named class with the selector's parameters, each checked against its field's type."""
        if (kind, str(selector)) in self.made:
            return self.made[kind, str(selector)]
        owner = self.load(kind, selector.name)
        who = self.supplied(kind, selector)
        values = filled(owner, selector, self.entry(kind, selector.name).preset, who=who)
        try:
            with isolated():
                return owner(**values)
        except InflubenchError:
            raise
        except ValueError as error:
            raise UsageError(f"{selector}: {first_line(error)}") from error
        except Exception as error:
            raise PluginError(f"{who} raised {type_and_message(error)}") from error

    def _choices(self, kind: Kind) -> str:
        """The names of this kind if there are only a few, and the reason why one may be unknown."""
        names = self.names(kind)
        listed = f"; known are {', '.join(names)}" if 0 < len(names) <= _FEW_NAMES else ""
        return listed + self.excuse()

    def excuse(self) -> str:
        """The reason why a name may be unknown, as the end of an error sentence; empty if every plugin loaded."""
        if not self.broken:
            return ""
        names = ", ".join(sorted({broken.distribution.name for broken in self.broken}))
        return f" (plugins that did not load, see `influbench plugins`: {names})"


def _import(entry: Entry) -> object:
    module, _, name = entry.spec.target.partition(":")
    try:
        with importing(module):
            return getattr(import_module(module), name)
    except Exception as error:
        raise PluginError(
            f"{entry.spec.name!r} of {entry.distribution} cannot be imported from {entry.spec.target!r}: "
            f"{type_and_message(error)}"
        ) from error


def _checked_class(entry: Entry, loaded: object) -> type:
    if kind_of(loaded) != entry.kind or not isinstance(loaded, type):
        raise PluginError(
            f"{entry.spec.target!r} of {entry.distribution} does not inherit influbench."
            f"{CONTRACTS[entry.kind].__name__}, as every {NOUNS[entry.kind]} does"
        )
    parameters = getattr(loaded, "__dataclass_params__", None)
    if parameters is None or not parameters.frozen:
        raise PluginError(
            f"{entry.spec.target!r} of {entry.distribution} is not a frozen dataclass; write "
            "@dataclass(frozen=True) above it"
        )
    return loaded
