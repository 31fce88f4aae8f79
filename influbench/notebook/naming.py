"""Names for what a caller gives as it is: names, paths, instances and classes."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from influbench.errors import UsageError, told
from influbench.isolation import isolated
from influbench.registry import Kind, Registry
from influbench.registry.entries import CONTRACTS, NOUNS

T = TypeVar("T")

Named: TypeAlias = str | Path | T | type[T]  # what one thing may be given as
OneOrSeveral: TypeAlias = Named[T] | Iterable[Named[T]]


def names_of(registry: Registry, kind: Kind, given: object) -> tuple[Registry, tuple[str, ...]]:
    """Names for one thing or several, and a registry that knows them; none for None, which leaves the plan's."""
    if given is None:
        return registry, ()
    things = tuple(given) if isinstance(given, Iterable) and not _is_one(kind, given) else (given,)
    if not things:
        raise UsageError(f"no {NOUNS[kind]} is given; name at least one, or leave the argument out to take the plan's")
    names = []
    for thing in things:
        registry, name = name_of(registry, kind, thing)
        names.append(name)
    return registry, tuple(names)


def name_of(registry: Registry, kind: Kind, thing: object) -> tuple[Registry, str]:
    """A name for one thing, and a registry that knows it. UsageError where it is not of this kind."""
    if isinstance(thing, str | Path):
        return registry, str(thing)
    return registry.with_instance(kind, _instance(kind, thing))


def _is_one(kind: Kind, given: object) -> bool:
    return isinstance(given, (str, Path, type, CONTRACTS[kind]))


def _instance(kind: Kind, thing: object) -> Any:
    """The instance itself, or one of the class with its defaults."""
    contract, owner = CONTRACTS[kind], thing if isinstance(thing, type) else type(thing)
    if not issubclass(owner, contract):
        raise UsageError(f"{thing!r} is neither a name nor an influbench.{contract.__name__}")
    parameters = getattr(owner, "__dataclass_params__", None)
    if parameters is None or not parameters.frozen:
        raise UsageError(f"{owner.__name__} is no frozen dataclass; write @dataclass(frozen=True) above it")
    if owner is not thing:
        return thing
    try:
        with isolated():
            return owner()
    except Exception as error:
        raise UsageError(f"{owner.__name__}() raised {told(error)}; give an instance in place of the class") from error
