"""Finds what is installed. A plugin that does not load is kept with its reason and disturbs nobody."""

from collections.abc import Iterable
from functools import cache
from importlib.metadata import EntryPoint, entry_points

import pluggy

from influbench import api
from influbench.errors import WHATEVER_A_PLUGIN_RAISES, PluginError, did_you_mean
from influbench.registry.catalogue import Registry
from influbench.registry.entries import KINDS, Broken, Distribution, Entry

_GROUP = "influbench"


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
        except WHATEVER_A_PLUGIN_RAISES as error:
            reason = str(error) if isinstance(error, PluginError) else f"{type(error).__name__}: {error}"
            broken.append(Broken(_distribution(point), point.name, reason))
    return Registry(tuple(entries), tuple(broken))


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


def _distribution(point: EntryPoint) -> Distribution:
    return Distribution(point.dist.name, point.dist.version) if point.dist else Distribution("unknown package", "?")
