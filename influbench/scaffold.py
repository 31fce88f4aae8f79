"""Write a new plugin package from the templates that ship with influbench.

The templates are working packages named `my_estimator` and the like; a new package is a copy with other names.
"""

import keyword
import re
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from influbench.errors import UsageError
from influbench.registry import Kind, Registry
from influbench.store.files import write_bytes

WITH_TEMPLATES: tuple[Kind, ...] = ("estimator", "dataset", "model", "judge")


def write_package(kind: Kind, name: str, *, into: Path, registry: Registry) -> Path:
    """Write a new package for one plugin of this kind and name into `into`, and return the package's folder.

    UsageError if the name is not valid or is already registered, or if the folder exists.
    """
    name = name.replace("-", "_")
    _check_name(kind, name, registry)
    folder = into / f"influbench-{name.replace('_', '-')}"
    if folder.exists():
        raise UsageError(f"{folder} exists; choose another name, or another folder with --into")
    template = resources.files("influbench") / "templates" / f"influbench-my-{kind}"
    for place, content in _files(template):
        text = content.read_text(encoding="utf-8")
        try:
            write_bytes(folder / _renamed(place, kind, name), _renamed(text, kind, name).encode())
        except OSError as error:
            raise UsageError(f"cannot write to {folder}: {error.strerror}; name another folder with --into") from None
    return folder


def _check_name(kind: Kind, name: str, registry: Registry) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name) or name.endswith("_"):
        raise UsageError(f"{name!r} cannot be a name; use lowercase letters, digits and _, and begin with a letter")
    if name in registry.names(kind):
        owner = registry.entry(kind, name).distribution
        raise UsageError(f"{kind} {name!r} is already registered by {owner}; choose another name")


def _files(folder: Traversable, place: str = "") -> list[tuple[str, Traversable]]:
    """Every file of a template, with its place in the template."""
    files: list[tuple[str, Traversable]] = []
    for item in sorted(folder.iterdir(), key=lambda item: item.name):
        if item.is_dir() and item.name != "__pycache__":
            files += _files(item, f"{place}{item.name}/")
        elif item.is_file():
            files.append((f"{place}{item.name}", item))
    return files


def _renamed(text: str, kind: Kind, name: str) -> str:
    """A template's text with this name in place of its own, in each of its spellings."""
    camel = "".join(part.capitalize() for part in name.split("_"))
    text = text.replace(f"influbench-my-{kind}", f"influbench-{name.replace('_', '-')}")
    return text.replace(f"my_{kind}", name).replace(f"My{kind.capitalize()}", camel)
