"""Selectors, by which a user names a plugin and sets its parameters: `tracin[n_checkpoints=3]`."""

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass

from influbench.errors import UsageError

_SELECTOR = re.compile(r"(?P<name>[^\[\]]+)(?:\[(?P<parameters>.*)\])?", re.DOTALL)


@dataclass(frozen=True)
class Selector:
    """A name with parameters, as a user writes it."""

    name: str
    parameters: Mapping[str, object]

    def __str__(self) -> str:
        if not self.parameters:
            return self.name
        return f"{self.name}[{','.join(f'{key}={written(value)}' for key, value in self.parameters.items())}]"


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


def _split(inside: str) -> list[str]:
    """Split at the commas outside brackets and quotes."""
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


def written(value: object) -> str:
    """A value as a user writes it in a selector."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value if re.fullmatch(r"[\w./:-]+", value) and _literal(value) == value else repr(value)
    if isinstance(value, list | tuple):
        return f"[{','.join(map(written, value))}]"
    return repr(value)
