"""The fields of a plugin's class as a user sets them: `tracin[n_checkpoints=3]`."""

from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

from influbench.errors import PluginError, UnknownNameError, UsageError, did_you_mean, type_and_message
from influbench.registry.entries import CONTRACTS
from influbench.registry.selectors import Selector, written

# the names of submodules of an nn.Sequential are digits
_NUMBERS_AS_WORDS = ConfigDict(coerce_numbers_to_str=True)


def filled(owner: type, selector: Selector, preset: Mapping[str, object], *, who: str) -> dict[str, object]:
    """Values for the fields of a class: the preset ones, and the selector's, each checked against its field's type.

    UsageError if a parameter is unknown, does not fit or is missing. If the class itself is at fault, the error names
    `who`.
    """
    known = [f.name for f in fields(owner) if f.init and f.name not in preset]
    values = dict(preset)
    for key, value in selector.parameters.items():
        if key not in known:
            raise UnknownNameError(f"{selector.name} has no parameter {key!r}{_hint(owner, key, known)}")
        values[key] = _checked(selector.name, key, value, _type(owner, key, who=who))
    if missing := [f.name for f in fields(owner) if _required(f) and f.name not in values]:
        raise UsageError(f"{selector.name} needs a value for {missing[0]!r}: {selector.name}[{missing[0]}=...]")
    return values


def changed_parameters(instance: Any) -> dict[str, object]:
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


def _hint(owner: type, key: str, known: list[str]) -> str:
    """A hint on an unknown parameter: a similar name, or an attribute that needs a type to be a field."""
    value = getattr(owner, key, None)
    is_of_contract = any(hasattr(contract, key) for contract in CONTRACTS.values())  # declared there, not a parameter
    if _is_plain(value) and not key.startswith("_") and not is_of_contract:
        return f"; a field needs a type: write `{key}: {type(value).__name__} = {value!r}` in {owner.__name__}"
    return did_you_mean(key, known) or f"; it has {', '.join(known) or 'none'}"


def _type(owner: type, key: str, *, who: str) -> Any:
    try:
        return get_type_hints(owner)[key]
    except Exception as error:
        raise PluginError(f"{who}: the types of its fields cannot be read: {type_and_message(error)}") from error


def _checked(owner: str, key: str, value: object, hint: Any) -> object:
    try:
        return TypeAdapter(hint, config=_NUMBERS_AS_WORDS).validate_python(value)
    except ValidationError as error:
        message = error.errors()[0]["msg"]
        raise UsageError(f"{owner}: {key}={written(value)} does not fit; {message[0].lower()}{message[1:]}") from None
