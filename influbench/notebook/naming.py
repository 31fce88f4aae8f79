"""Names for the things that a caller passes: names, paths, instances and classes."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from influbench.errors import UsageError, type_and_message
from influbench.isolation import isolated
from influbench.registry import Kind, Registry
from influbench.registry.entries import CONTRACTS, NOUNS

T = TypeVar("T")

Named: TypeAlias = str | Path | T | type[T]  # what one thing may be given as
OneOrSeveral: TypeAlias = Named[T] | Iterable[Named[T]]


def names_of(registry: Registry, kind: Kind, given: object) -> tuple[Registry, tuple[str, ...]]:
    """Names for one thing or several, and a registry that knows them; none for None, which leaves the plan's.

    UsageError where two instances would have one name.
    """
    if given is None:
        return registry, ()
    things = tuple(given) if isinstance(given, Iterable) and not _is_one(kind, given) else (given,)
    if not things:
        raise UsageError(f"no {NOUNS[kind]} is given; name at least one, or leave the argument out to take the plan's")
    names = []
    for thing in things:
        registry, name = name_of(registry, kind, thing)
        names.append(name)
    _check_apart(kind, Counter(name for name, thing in zip(names, things, strict=True) if not _is_name(thing)))
    return registry, tuple(names)


def _check_apart(kind: Kind, given: Counter[str]) -> None:
    """UsageError if an instance or a class is given twice, as reports would see it."""
    if twice := [name for name, times in given.items() if times > 1]:
        owner = twice[0].partition("[")[0]
        raise UsageError(
            f"{NOUNS[kind]} {twice[0]} is given twice; leave one out, or, where the two differ, give {owner} a field "
            "of a number or a text that distinguishes them in reports"
        )


def name_of(registry: Registry, kind: Kind, thing: object) -> tuple[Registry, str]:
    """A name for one thing, and a registry that knows it. UsageError where it is not of this kind."""
    if _is_name(thing):
        return registry, str(thing)
    return registry.with_instance(kind, _instance(kind, thing))


def _is_name(thing: object) -> bool:
    return isinstance(thing, str | Path)


def _is_one(kind: Kind, given: object) -> bool:
    """True for one thing, and for arrays and tables, which iterate over rows or columns but are not several things."""
    return isinstance(given, (str, Path, type, Mapping, CONTRACTS[kind])) or hasattr(given, "shape")


def _seen(thing: object) -> str:
    """The thing that was passed, in a word: not the content of arrays."""
    if isinstance(thing, type):
        return f"the class {thing.__name__}"
    return repr(thing) if isinstance(thing, int | float | None) else f"a {type(thing).__name__}"


_OF_DATA: dict[Kind, str] = {
    "dataset": "; give (X, y), a pandas frame with label='...', a torch data set, influbench.Data, or a class whose "
    "load(seed) returns that"
}


def _instance(kind: Kind, thing: object) -> Any:
    """The instance itself, or one of the class with its defaults."""
    contract, owner = CONTRACTS[kind], thing if isinstance(thing, type) else type(thing)
    if not issubclass(owner, contract):
        raise UsageError(
            f"{_seen(thing)} is neither a name nor an influbench.{contract.__name__}{_OF_DATA.get(kind, '')}"
        )
    parameters = getattr(owner, "__dataclass_params__", None)
    if parameters is None or not parameters.frozen:
        raise UsageError(f"{owner.__name__} is not a frozen dataclass; write @dataclass(frozen=True) above it")
    if owner is not thing:
        return thing
    try:
        with isolated():
            return owner()
    except Exception as error:
        raise UsageError(
            f"{owner.__name__}() raised {type_and_message(error)}; give an instance in place of the class"
        ) from error
