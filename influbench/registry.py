"""Finds plugins, and makes what a user names: `tracin[n_checkpoints=3]`.

A plugin that does not load is kept with its reason and disturbs nobody; it is an error only for who names it. Nothing
that a plugin registers is imported before it is used.
"""

import ast
import re
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal, get_args, get_type_hints

import pluggy
from pydantic import ConfigDict, TypeAdapter, ValidationError

from influbench import api
from influbench.errors import PluginError, UnknownNameError, UsageError, did_you_mean

Kind = Literal["estimator", "dataset", "model"]
KINDS: tuple[Kind, ...] = get_args(Kind)
_NOUNS: dict[Kind, str] = {"estimator": "estimator", "dataset": "data set", "model": "model"}
_GROUP = "influbench"
_SELECTOR = re.compile(r"(?P<name>[^\[\]]+)(?:\[(?P<parameters>.*)\])?", re.DOTALL)


@dataclass(frozen=True)
class Distribution:
    """An installed package that registers something."""

    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


@dataclass(frozen=True)
class Entry:
    """One registered thing and who registered it."""

    kind: Kind
    spec: api.Spec
    distribution: Distribution


@dataclass(frozen=True)
class Broken:
    """A plugin that could not be used, and why."""

    distribution: Distribution
    entry_point: str
    reason: str


@dataclass(frozen=True)
class Selector:
    """A name with parameters, as a user writes it."""

    name: str
    parameters: Mapping[str, object]

    def __str__(self) -> str:
        if not self.parameters:
            return self.name
        return f"{self.name}[{','.join(f'{key}={_written(value)}' for key, value in self.parameters.items())}]"


@dataclass(frozen=True)
class Registry:
    """All that is registered, by kind and name, and what could not be."""

    entries: tuple[Entry, ...]
    broken: tuple[Broken, ...] = ()
    _classes: dict[tuple[str, str], type] = field(default_factory=dict, repr=False, compare=False)

    def names(self, kind: Kind) -> list[str]:
        """Registered names of a kind, in alphabetical order."""
        return sorted({entry.spec.name for entry in self.entries if entry.kind == kind})

    def entry(self, kind: Kind, name: str) -> Entry:
        """The one entry of this name."""
        found = [entry for entry in self.entries if entry.kind == kind and entry.spec.name == name]
        if not found:
            hint = did_you_mean(name, self.names(kind)) or self._excuse()
            raise UnknownNameError(f"unknown {_NOUNS[kind]} {name!r}{hint}")
        if len(found) > 1:
            owners = " and ".join(str(entry.distribution) for entry in found)
            raise UsageError(f"{_NOUNS[kind]} {name!r} is registered by {owners}; uninstall one of them")
        return found[0]

    def load(self, kind: Kind, name: str) -> type:
        """The class of this name, imported now."""
        entry = self.entry(kind, name)
        if (kind, name) not in self._classes:
            self._classes[kind, name] = _import(entry)
        return self._classes[kind, name]

    def create(self, kind: Kind, selector: Selector) -> Any:
        """An instance of the named class with the selector's parameters, each checked against its field's type."""
        owner = self.load(kind, selector.name)
        known = [f.name for f in fields(owner) if f.init]
        hints = get_type_hints(owner)
        values = {}
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
        except ValueError as error:
            raise UsageError(f"{selector}: {error}") from error
        except Exception as error:
            raise PluginError(f"{selector} raised {type(error).__name__}: {error}") from error

    def _excuse(self) -> str:
        if not self.broken:
            return ""
        names = ", ".join(sorted({broken.distribution.name for broken in self.broken}))
        return f" (plugins that did not load, see `influbench list`: {names})"


@cache
def installed() -> Registry:
    """The registry of every installed plugin, the built-in ones among them."""
    return collect(entry_points(group=_GROUP))


def collect(points: Iterable[EntryPoint]) -> Registry:
    """The registry of these entry points."""
    entries: list[Entry] = []
    broken: list[Broken] = []
    for point in sorted(points, key=lambda point: (_distribution(point).name, point.name)):
        try:
            entries += _registered(point)
        except Exception as error:
            reason = str(error) if isinstance(error, PluginError) else f"{type(error).__name__}: {error}"
            broken.append(Broken(_distribution(point), point.name, reason))
    return Registry(tuple(entries), tuple(broken))


def parse_selector(text: str) -> Selector:
    """`name` or `name[key=value,...]`; values are numbers, true, false, lists, quoted or bare words."""
    match = _SELECTOR.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"cannot read {text!r}; write NAME or NAME[parameter=value,...]")
    name, inside = match["name"].strip(), (match["parameters"] or "").strip()
    parameters: dict[str, object] = {}
    for item in _split(inside) if inside else []:
        key, equals, value = item.partition("=")
        if not equals or not key.strip() or not value.strip():
            raise UsageError(f"cannot read {item.strip()!r} in {text!r}; write parameter=value")
        if key.strip() in parameters:
            raise UsageError(f"{key.strip()!r} is given twice in {text!r}")
        parameters[key.strip()] = _literal(value.strip())
    return Selector(name, parameters)


def _registered(point: EntryPoint) -> list[Entry]:
    """What one entry point registers, checked by a plugin manager of its own so that it cannot disturb another."""
    manager = pluggy.PluginManager(_GROUP)
    manager.add_hookspecs(api.Hooks)
    manager.register(point.load(), name=point.name)
    try:
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        hooks = [name for name in vars(api.Hooks) if name.startswith("influbench_")]
        misspelt = [name for name in vars(manager.hook) if name not in hooks and not name.startswith("_")]
        hint = did_you_mean(misspelt[0], hooks) if misspelt else ""
        raise PluginError(f"unknown hook {', '.join(map(repr, misspelt)) or error}{hint}") from error
    entries = []
    for kind in KINDS:
        for specs in getattr(manager.hook, f"influbench_{kind}s")():
            entries += [Entry(kind, _checked_spec(spec), _distribution(point)) for spec in specs]
    if not entries:
        raise PluginError("it registers nothing; mark its functions with @influbench.hookimpl")
    return entries


def _checked_spec(spec: object) -> api.Spec:
    if not isinstance(spec, api.Spec):
        raise PluginError(f"a hook returned {spec!r}; expected influbench.Spec records")
    if spec.api_version != api.API_VERSION:
        raise PluginError(
            f"{spec.name!r} was written for plugin contract {spec.api_version}, this is {api.API_VERSION}; "
            "install a version of it that fits"
        )
    return spec


def _import(entry: Entry) -> type:
    module, _, name = entry.spec.target.partition(":")
    try:
        loaded = getattr(import_module(module), name)
    except Exception as error:
        raise PluginError(
            f"{entry.spec.name!r} of {entry.distribution} cannot be imported from {entry.spec.target!r}: "
            f"{type(error).__name__}: {error}"
        ) from error
    contract: type = {"estimator": api.Estimator, "dataset": api.Dataset, "model": api.Model}[entry.kind]
    if not (isinstance(loaded, type) and issubclass(loaded, contract) and is_dataclass(loaded)):
        raise PluginError(
            f"{entry.spec.target!r} of {entry.distribution} is no dataclass that inherits "
            f"influbench.{contract.__name__}"
        )
    return loaded


def _distribution(point: EntryPoint) -> Distribution:
    return Distribution(point.dist.name, point.dist.version) if point.dist else Distribution("unknown package", "?")


def _required(a_field: Any) -> bool:
    return a_field.init and a_field.default is MISSING and a_field.default_factory is MISSING


# names of submodules of a sequence are digits
_NUMBERS_AS_WORDS = ConfigDict(coerce_numbers_to_str=True)


def _checked(owner: str, key: str, value: object, hint: Any) -> object:
    try:
        return TypeAdapter(hint, config=_NUMBERS_AS_WORDS).validate_python(value)
    except ValidationError as error:
        message = error.errors()[0]["msg"]
        raise UsageError(f"{owner}: {key}={_written(value)} does not fit; {message[0].lower()}{message[1:]}") from None


def _split(inside: str) -> list[str]:
    """Split at commas that stand outside of brackets and quotes."""
    parts, depth, quote, start = [], 0, "", 0
    for at, character in enumerate(inside):
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character in "[(":
            depth += 1
        elif character in "])":
            depth -= 1
        elif character == "," and depth == 0:
            parts.append(inside[start:at])
            start = at + 1
    return [*parts, inside[start:]]


def _literal(text: str) -> object:
    if text in ("true", "false"):
        return text == "true"
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        if text.startswith("[") and text.endswith("]"):
            return [_literal(item.strip()) for item in _split(text[1:-1])]
        return text


def _written(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value if re.fullmatch(r"[\w./:-]+", value) and _literal(value) == value else repr(value)
    if isinstance(value, list | tuple):
        return f"[{','.join(map(_written, value))}]"
    return repr(value)
