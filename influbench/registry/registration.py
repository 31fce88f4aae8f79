"""Check once what a hook returns, so that everything that is registered can be named, listed and imported."""

import re
from dataclasses import replace
from inspect import iscoroutine

from influbench.api import API_VERSION, Spec
from influbench.errors import PluginError, printable, with_article
from influbench.registry.entries import NOUNS, ROLES, Kind
from influbench.registry.files import is_of_file

_NAME = re.compile(r"\w[\w.-]*")
_TARGET = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")
_RESERVED = "all"  # the word for every estimator, where a user names estimators
# The keys of every plan. A study has a table of its own name next to them, so it cannot have one of these names.
PLAN_KEYS = ("name", "summary", "seed", "repeats", "estimators", "judges", "problem", "training", "truth")


def checked_specs(kind: Kind, returned: object) -> list[Spec]:
    """The records that a hook of this kind returned. PluginError that says what to write if it returned others."""
    hook, remedy = ROLES[kind].hook, "return a list of influbench.Spec"
    if iscoroutine(returned):
        returned.close()
    if not isinstance(returned, list | tuple):
        raise PluginError(f"{hook} returned {_a(returned)}; {remedy}")
    for spec in returned:
        if not isinstance(spec, Spec):
            raise PluginError(f"{hook} returned a list with {_a(spec)} in it; {remedy}")
        _check(kind, spec)
    return [replace(spec, summary=printable(spec.summary), reference=printable(spec.reference)) for spec in returned]


def _check(kind: Kind, spec: Spec) -> None:
    if not isinstance(spec.name, str):
        raise PluginError(f"the name of a Spec is {_a(spec.name)}; write a string")
    what = f"the Spec of {NOUNS[kind]} {spec.name!r}"
    for field, expected in (("target", "'package.module:Class'"), ("summary", "a string"), ("reference", "a string")):
        if not isinstance(value := getattr(spec, field), str):
            raise PluginError(f"{what} has {_a(value)} as its {field}; write {expected}")
    if spec.api_version != API_VERSION:
        raise PluginError(
            f"{spec.name!r} was written for plugin contract {spec.api_version!r}, but this is {API_VERSION}; "
            "install a version of it for this contract"
        )
    if not _NAME.fullmatch(spec.name) or is_of_file(spec.name) or spec.name == _RESERVED:
        raise PluginError(
            f"{NOUNS[kind]} {spec.name!r} has a name that a plan cannot hold; write letters, digits, '_', '-' and '.', "
            f"with no .py, .npz, .csv or .parquet at the end, and not {_RESERVED!r}"
        )
    if kind == "study" and spec.name in PLAN_KEYS:
        raise PluginError(f"study {spec.name!r} has the name of a key of every plan; register it under another name")
    if not _TARGET.fullmatch(spec.target) or spec.target.partition(":")[0].endswith(".py"):
        raise PluginError(f"{what} has target {spec.target!r}; write 'package.module:Class'")


def _a(value: object) -> str:
    return "None" if value is None else with_article(type(value).__name__)
