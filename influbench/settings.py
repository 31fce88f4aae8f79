"""A plan's table as the fields of a dataclass: every key is checked, and each mistake is one sentence."""

import json
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields
from typing import Any, NotRequired, TypeVar, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic_core import to_jsonable_python
from typing_extensions import TypedDict

from influbench.errors import InflubenchError, PlanError, PluginError, did_you_mean, first_line, type_and_message

T = TypeVar("T")

_NEW_TABLE: Any = TypedDict  # called with types that are known only at run time
_EXPECTED = {
    "model_type": "expected a table of keys",
    "tuple_type": "expected a list",
    "too_short": "expected at least one value",
    "too_long": "expected fewer values",
    "missing": "expected more values",
    "string_pattern_mismatch": "expected a name without slashes that does not begin with a dot",
}


def filled_from_table(owner: type[T], table: object, *, name: str) -> T:
    """An instance of this dataclass with the values of the table [name]. PlanError if one does not fit.

    Values are converted only where TOML requires it: a list to a tuple, and a whole number to a float.
    """
    if not isinstance(table, Mapping):
        raise PlanError(f"{name} = {table!r} does not fit; {_EXPECTED['model_type']}")
    known = [field.name for field in _settable(owner)]
    try:
        # from JSON, since pydantic accepts JSON lists as tuples even in strict mode
        values = _adapter(owner).validate_json(json.dumps(table, default=str))
    except ValidationError as error:
        raise PlanError(in_a_sentence(error, lambda _tables: known, table=name)) from None
    try:
        return owner(**values)
    except InflubenchError:
        raise
    except ValueError as error:
        raise PlanError(f"[{name}] {first_line(error)}") from None
    except Exception as error:
        raise PluginError(f"{name} raised {type_and_message(error)}") from error


def table_of(settings: Any) -> dict[str, Any]:
    """All fields of a dataclass that are not None, with their values as TOML and JSON have them."""
    values = {field.name: getattr(settings, field.name) for field in _settable(type(settings))}
    written = to_jsonable_python(values)
    return {key: value for key, value in written.items() if value is not None}


def are_defaults(settings: Any) -> bool:
    """True if every field of a dataclass has its default value."""
    return all(getattr(settings, field.name) == _default(field) for field in _settable(type(settings)))


def in_a_sentence(error: ValidationError, known: Callable[[list[str]], list[str]], *, table: str = "") -> str:
    """The first mistake that pydantic found. `known` returns the keys of an inner table, given its path."""
    first = error.errors()[0]
    *inner, key = [part for part in first["loc"] if isinstance(part, str) and "[" not in part]
    path = ".".join([table, *inner] if table else inner)
    where = f" in [{path}]" if path else ""
    if first["type"] == "extra_forbidden":
        keys = known(inner)
        hint = did_you_mean(key, keys) or f"; known are {', '.join(keys)}"
        return f"unknown key {key!r}{where}{hint}"
    if first["type"] == "missing" and first["loc"][-1] == key:
        return f"key {key!r} is missing{where}"
    message = _EXPECTED.get(first["type"]) or first["msg"][0].lower() + first["msg"][1:]
    return f"{key} = {first['input']!r}{where} does not fit; {message}"


def _adapter(owner: type) -> TypeAdapter[dict[str, Any]]:
    try:
        hints = get_type_hints(owner, include_extras=True)
        types = {
            field.name: hints[field.name] if _default(field) is MISSING else NotRequired[hints[field.name]]
            for field in _settable(owner)
        }
        table: Any = _NEW_TABLE(owner.__name__, types)
        table.__pydantic_config__ = ConfigDict(extra="forbid", strict=True)
        return TypeAdapter(table)
    except Exception as error:
        raise PluginError(
            f"{owner.__name__}: the types of its fields cannot be read: {type_and_message(error)}"
        ) from error


def _settable(owner: type) -> "list[Field[Any]]":
    return [field for field in fields(owner) if field.init]


def _default(field: "Field[Any]") -> object:
    return field.default if field.default_factory is MISSING else field.default_factory()
