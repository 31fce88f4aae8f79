"""Plugins that are named by a file: a class in `./mine.py:Mine`, the data in `./cats.csv` or `./cats`."""

import re
import sys
from hashlib import blake2b
from importlib.util import module_from_spec, spec_from_file_location
from inspect import getdoc
from pathlib import Path
from types import ModuleType

import cloudpickle

from influbench.api import Spec
from influbench.errors import PluginError, UsageError, did_you_mean, type_and_message
from influbench.registry.entries import NOUNS, Distribution, Entry, Kind, kind_of
from influbench.registry.imports import importing
from influbench.registry.selectors import Selector

_CLASS = re.compile(r"(?P<path>.+\.py):(?P<name>\w+)")
_SCORES = (".safetensors", ".csv", ".npy")
_DATA = {
    ".npz": "influbench.datasets.files:Npz",
    ".csv": "influbench.datasets.files:Csv",
    ".parquet": "influbench.datasets.files:Parquet",
}
_IN_MEMORY = "InMemory"  # the class of points that were given in Python, which no plan can load again
_FOLDER = "influbench.datasets.files:Folder"


def entry_of_file(kind: Kind, name: str) -> Entry | None:
    """The entry of a plugin that is named by a file, or None if `name` does not name a file."""
    path = Path(name.rpartition(":")[0] if _CLASS.fullmatch(name) else name)
    if _CLASS.fullmatch(name):
        return Entry(kind, Spec(name, name, ""), Distribution(str(path)))
    if path.suffix == ".py":
        raise UsageError(f"{name} is a file; name the class in it, for instance {name}:Mine")
    if kind == "dataset" and path.suffix in _DATA:
        return Entry(kind, Spec(name, _DATA[path.suffix], ""), Distribution(str(path)), {"path": name})
    if kind == "dataset" and path.expanduser().is_dir():
        return Entry(kind, Spec(name, _FOLDER, ""), Distribution(str(path)), {"path": name})
    if kind == "dataset" and ("/" in name or (path.suffix and path.is_file())):
        raise UsageError(
            f"{name} is not a data set; data are in a file that ends in {', '.join(_DATA)}, or in a folder of pictures"
        )
    return None


def how_to_name(kind: Kind, name: str) -> str:
    """A hint for an error on how to name a file; empty if the user does not seem to mean a file."""
    if kind == "estimator" and Path(name).suffix.lower() in _SCORES:
        return f"; scores in a file are {Selector('from_file', {'path': name})}"
    if kind == "dataset" and name == _IN_MEMORY:
        return "; its points were given in Python, so run it from there, or store them in a file and name that with -d"
    return f"; a class in a file is ./FILE.py:{name.rpartition(':')[2]}" if ":" in name else ""


def is_file(target: str) -> bool:
    """True if a target is a class in a file and not in an installed module."""
    return _CLASS.fullmatch(target) is not None


def is_of_file(name: str) -> bool:
    """True if a name has the suffix of a file."""
    return Path(name).suffix in (".py", *_DATA)


def class_in_file(target: str, kind: Kind | None = None) -> object:
    """The object of this name in this file, which is run now. UsageError if the file or the name does not exist.

    The error lists the classes in the file, of this kind or of any.
    """
    match = _CLASS.fullmatch(target)
    assert match is not None
    module = _run(Path(match["path"]))
    if not hasattr(module, match["name"]):
        classes = [name for name, value in vars(module).items() if _is_plugin_of(module, value, kind)]
        none = f"no {NOUNS[kind]}" if kind else f"no {', '.join(NOUNS.values())}"
        hint = did_you_mean(match["name"], classes) or f"; it has {', '.join(classes) or none}"
        raise UsageError(f"{match['path']} has no {match['name']!r}{hint}")
    return getattr(module, match["name"])


def _run(path: Path) -> ModuleType:
    """The module in this file: it is run again when its content has changed, and sent whole to other processes."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None
    name = f"influbench_file_{blake2b(str(path.resolve()).encode() + content, digest_size=8).hexdigest()}"
    if name in sys.modules:
        return sys.modules[name]
    spec = spec_from_file_location(name, path.resolve())
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[name] = module
    sys.path.insert(0, str(path.resolve().parent))  # as Python does for a script, which imports the files next to it
    try:
        with importing(name):
            spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[name]
        if not isinstance(error, Exception):
            raise
        raise PluginError(f"{path} cannot be imported: {type_and_message(error)}") from error
    finally:
        sys.path.remove(str(path.resolve().parent))
    cloudpickle.register_pickle_by_value(module)
    return module


def _is_plugin_of(module: ModuleType, value: object, kind: Kind | None) -> bool:
    found = kind_of(value)
    return found is not None and kind in (None, found) and getattr(value, "__module__", "") == module.__name__


def description(owner: type) -> str:
    """A class's docstring, or an empty string if it is the one that dataclasses generate from the fields."""
    text = getdoc(owner) or ""
    return "" if text.startswith(f"{owner.__name__}(") else text
