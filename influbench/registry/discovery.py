"""Find installed plugins. A plugin that does not load is recorded with its reason and does not affect the others."""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.metadata import EntryPoint, entry_points

import pluggy

from influbench import api
from influbench.errors import PluginError, did_you_mean, printable, type_and_message
from influbench.registry.catalogue import Registry
from influbench.registry.entries import NOUNS, ROLES, Broken, Distribution, Entry, Remark
from influbench.registry.imports import importing
from influbench.registry.registration import checked_specs

_GROUP = "influbench"


@cache
def installed() -> Registry:
    """The registry of every installed plugin, including the built-in ones."""
    return collect(entry_points(group=_GROUP))


def collect(points: Iterable[EntryPoint]) -> Registry:
    """The registry of these entry points."""
    entries: list[Entry] = []
    broken: list[Broken] = []
    remarks: list[Remark] = []
    for point in sorted(points, key=lambda point: (_distribution(point).name, point.name)):
        put_back: list[str] = []
        try:
            _check_written(point)
            with importing(point.module) as put_back:
                entries += _registered(point)
        except Exception as error:
            reason = printable(str(error)) if isinstance(error, PluginError) else type_and_message(error)
            broken.append(Broken(_distribution(point), point.name, reason))
        if put_back:
            changed = f"{point.name} changed {' and '.join(put_back)} on import, which is put back"
            remarks.append(Remark(_distribution(point), changed))
    usable, unusable = _apart_from_ours(entries)
    return Registry(tuple(usable), tuple(broken), (*unusable, *remarks))


def _apart_from_ours(entries: Sequence[Entry]) -> tuple[list[Entry], list[Remark]]:
    """The entries that can be used, and a remark on each that cannot because influbench itself uses its name."""
    ours = {(entry.kind, entry.spec.name) for entry in entries if entry.distribution.is_influbench}
    taken = [e for e in entries if not e.distribution.is_influbench and (e.kind, e.spec.name) in ours]
    remarks = [
        Remark(
            entry.distribution,
            f"its {NOUNS[entry.kind]} {entry.spec.name!r} cannot be used: influbench already has one of this name; "
            "register it under another name",
        )
        for entry in taken
    ]
    return [entry for entry in entries if entry not in taken], remarks


def _check_written(point: EntryPoint) -> None:
    """Raise PluginError if the entry point does not name a module."""
    if not point.pattern.match(point.value):
        raise PluginError(
            f'its entry point {point.name!r} is {point.value!r}; write {point.name} = "my_package", the module of its '
            "hooks"
        )


def _registered(point: EntryPoint) -> list[Entry]:
    """The entries of one entry point, checked by a plugin manager of its own so that it cannot affect another."""
    manager = pluggy.PluginManager(_GROUP)
    manager.add_hookspecs(api.Hooks)
    try:
        manager.register(point.load(), name=point.name)
    except pluggy.PluginValidationError as error:
        raise PluginError(_in_a_line(error)) from error
    try:
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        hooks = [name for name in vars(api.Hooks) if name.startswith("influbench_")]
        misspelled = [name for name in vars(manager.hook) if name not in hooks and not name.startswith("_")]
        hint = did_you_mean(misspelled[0], hooks) if misspelled else ""
        raise PluginError(f"unknown hook {', '.join(map(repr, misspelled)) or error}{hint}") from error
    entries: list[Entry] = []
    for kind, role in ROLES.items():
        # Each hook is called here and not by pluggy, which would drop one that returns None without an error.
        for hook in getattr(manager.hook, role.hook).get_hookimpls():
            entries += [Entry(kind, spec, _distribution(point)) for spec in checked_specs(kind, hook.function())]
    if not entries:
        raise PluginError("it registers nothing; mark its functions with @influbench.hookimpl")
    return entries


def _in_a_line(error: pluggy.PluginValidationError) -> str:
    """Pluggy's objection to a hook, which takes several lines, in one."""
    if arguments := re.search(r"hookimpl definition: (\w+)\((.+)\)\n", str(error)):
        return f"{arguments[1]} takes {arguments[2]}; write it without arguments: def {arguments[1]}()"
    return " ".join(str(error).split())


def _distribution(point: EntryPoint) -> Distribution:
    """The package of an entry point; one whose metadata is damaged or missing has neither a name nor a version."""
    try:
        metadata: Mapping[str, str] = dict(point.dist.metadata.items()) if point.dist else {}  # type: ignore[attr-defined]
    except FileNotFoundError:
        # raised by the package importlib_metadata, which other packages put in place of Python's own module
        metadata = {}
    return Distribution(metadata.get("Name") or "unknown package", metadata.get("Version") or "?")
