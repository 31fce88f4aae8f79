"""All that can be named, and how what is named is made. Nothing is imported before it is used."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from importlib import import_module
from typing import Any, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

from influbench import api
from influbench.errors import (
    WHATEVER_A_PLUGIN_RAISES,
    InflubenchError,
    PluginError,
    UnknownNameError,
    UsageError,
    did_you_mean,
)
from influbench.registry.entries import NOUNS, Broken, Distribution, Entry, Kind
from influbench.registry.files import class_in_file, description, entry_of_file, how_to_name, is_file
from influbench.registry.selectors import Selector, written

_CONTRACTS: dict[Kind, type] = {"estimator": api.Estimator, "dataset": api.Dataset, "model": api.Model}


@dataclass(frozen=True)
class Registry:
    """All that is registered, by kind and name, and what could not be.

    `made` are instances that stand for what is named, by kind and written selector.
    """

    entries: tuple[Entry, ...]
    broken: tuple[Broken, ...] = ()
    made: Mapping[tuple[Kind, str], object] = field(default_factory=dict)
    _classes: dict[tuple[str, str], type] = field(default_factory=dict, repr=False, compare=False)

    def names(self, kind: Kind) -> list[str]:
        """Registered names of a kind, in alphabetical order."""
        return sorted({entry.spec.name for entry in self.entries if entry.kind == kind})

    def distributions(self) -> list[Distribution]:
        """Who registers something, or tried to: influbench first, then by name."""
        found = {entry.distribution for entry in self.entries} | {broken.distribution for broken in self.broken}
        return sorted(found, key=lambda one: (one.name != "influbench", one.name, one.version))

    def clashes(self, kind: Kind) -> dict[str, list[Distribution]]:
        """Names of a kind that are registered more than once, with who did."""
        owners: dict[str, list[Distribution]] = {}
        for entry in self.entries:
            if entry.kind == kind:
                owners.setdefault(entry.spec.name, []).append(entry.distribution)
        return {name: who for name, who in owners.items() if len(who) > 1}

    def entry(self, kind: Kind, name: str) -> Entry:
        """The one entry of this name, which may be that of a file."""
        found = [entry for entry in self.entries if entry.kind == kind and entry.spec.name == name]
        if not found and (of_file := entry_of_file(kind, name)):
            return of_file
        if not found:
            hint = how_to_name(kind, name) or did_you_mean(name, self.names(kind)) or self._excuse()
            raise UnknownNameError(f"unknown {NOUNS[kind]} {name!r}{hint}")
        if len(found) > 1:
            owners = sorted({str(entry.distribution) for entry in found})
            remedy = "uninstall one of them" if len(owners) > 1 else "give one of the two another name there"
            raise UsageError(f"{NOUNS[kind]} {name!r} is registered by {' and '.join(owners)}; {remedy}")
        return found[0]

    def names_with(self, kind: Kind, name: str) -> list[str]:
        """Registered names of a kind, and `name` if it is a file that holds one of that kind."""
        if is_file(name):
            return [*self.names(kind), *([name] if kind_of(class_in_file(name)) == kind else [])]
        return [*self.names(kind), *([name] if entry_of_file(kind, name) else [])]

    def supplied(self, kind: Kind, selector: Selector) -> str:
        """A selector, with who supplies what it names unless influbench does."""
        distribution = self.entry(kind, selector.name).distribution
        return str(selector) if distribution.name == "influbench" else f"{selector} ({distribution})"

    def with_instance(self, kind: Kind, instance: object) -> tuple["Registry", str]:
        """This registry with a name for an instance, and that name.

        It is the registered selector where the class is registered, and the class with its parameters where it is not.
        """
        owner = type(instance)
        target = f"{owner.__module__}:{owner.__qualname__}"
        known = [entry.spec.name for entry in self.entries if entry.kind == kind and entry.spec.target == target]
        name = known[0] if known else owner.__name__
        written_name = str(Selector(name, _parameters(instance)))
        entries = self.entries
        if name not in self.names(kind):
            entries += (
                Entry(
                    kind, api.Spec(name, target, description(owner).partition("\n")[0]), Distribution(owner.__module__)
                ),
            )
        return replace(self, entries=entries, made={**self.made, (kind, written_name): instance}), written_name

    def load(self, kind: Kind, name: str) -> type:
        """The class of this name, imported now."""
        entry = self.entry(kind, name)
        if is_file(entry.spec.target):
            return _checked_class(entry, class_in_file(entry.spec.target))
        if (kind, name) not in self._classes:
            self._classes[kind, name] = _checked_class(entry, _import(entry))
        return self._classes[kind, name]

    def create(self, kind: Kind, selector: Selector) -> Any:
        """An instance of the named class with the selector's parameters, each checked against its field's type."""
        if (kind, str(selector)) in self.made:
            return self.made[kind, str(selector)]
        owner = self.load(kind, selector.name)
        preset = self.entry(kind, selector.name).preset
        known = [f.name for f in fields(owner) if f.init and f.name not in preset]
        hints = get_type_hints(owner)
        values = dict(preset)
        for key, value in selector.parameters.items():
            if key not in known:
                has = f"it has {', '.join(known)}" if known else "it has none"
                raise UnknownNameError(
                    f"{selector.name} has no parameter {key!r}{did_you_mean(key, known) or f'; {has}'}"
                )
            values[key] = _checked(selector.name, key, value, hints[key])
        if missing := [f.name for f in fields(owner) if _required(f) and f.name not in values]:
            raise UsageError(f"{selector.name} needs a value for {missing[0]!r}: {selector.name}[{missing[0]}=...]")
        try:
            return owner(**values)
        except InflubenchError:
            raise
        except ValueError as error:
            raise UsageError(f"{selector}: {error}") from error
        except WHATEVER_A_PLUGIN_RAISES as error:
            raise PluginError(f"{self.supplied(kind, selector)} raised {type(error).__name__}: {error}") from error

    def _excuse(self) -> str:
        if not self.broken:
            return ""
        names = ", ".join(sorted({broken.distribution.name for broken in self.broken}))
        return f" (plugins that did not load, see `influbench plugins`: {names})"


def kind_of(owner: object) -> Kind | None:
    """Which kind of plugin a class is, if any."""
    if not isinstance(owner, type):
        return None
    return next((kind for kind, contract in _CONTRACTS.items() if issubclass(owner, contract)), None)


def _import(entry: Entry) -> object:
    module, _, name = entry.spec.target.partition(":")
    try:
        return getattr(import_module(module), name)
    except WHATEVER_A_PLUGIN_RAISES as error:
        raise PluginError(
            f"{entry.spec.name!r} of {entry.distribution} cannot be imported from {entry.spec.target!r}: "
            f"{type(error).__name__}: {error}"
        ) from error


def _checked_class(entry: Entry, loaded: object) -> type:
    if kind_of(loaded) != entry.kind or not isinstance(loaded, type):
        raise PluginError(
            f"{entry.spec.target!r} of {entry.distribution} does not inherit influbench."
            f"{_CONTRACTS[entry.kind].__name__}, as every {NOUNS[entry.kind]} does"
        )
    parameters = getattr(loaded, "__dataclass_params__", None)
    if parameters is None or not parameters.frozen:
        raise PluginError(
            f"{entry.spec.target!r} of {entry.distribution} is no frozen dataclass; write "
            "@dataclass(frozen=True) above it"
        )
    return loaded


def _parameters(instance: Any) -> dict[str, object]:
    """Fields of a dataclass that differ from their defaults and can be written in a selector."""
    values = {f.name: getattr(instance, f.name) for f in fields(instance) if f.init}
    defaults = {f.name: f.default if f.default_factory is MISSING else f.default_factory() for f in fields(instance)}
    return {name: value for name, value in values.items() if _is_plain(value) and value != defaults[name]}


def _is_plain(value: object) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return isinstance(value, bool | int | float | str)


def _required(a_field: Any) -> bool:
    return a_field.init and a_field.default is MISSING and a_field.default_factory is MISSING


# names of submodules of a sequence are digits
_NUMBERS_AS_WORDS = ConfigDict(coerce_numbers_to_str=True)


def _checked(owner: str, key: str, value: object, hint: Any) -> object:
    try:
        return TypeAdapter(hint, config=_NUMBERS_AS_WORDS).validate_python(value)
    except ValidationError as error:
        message = error.errors()[0]["msg"]
        raise UsageError(f"{owner}: {key}={written(value)} does not fit; {message[0].lower()}{message[1:]}") from None
