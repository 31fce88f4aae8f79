"""Running a study, from its name and a plan to its findings; the same for influbench's studies and for plugins'."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from rich.console import Console

from influbench.api import Study
from influbench.engine.obstacles import called
from influbench.engine.preparation import resolved
from influbench.errors import InflubenchError, PluginError, UsageError, first_line
from influbench.plan import Plan
from influbench.registry import Registry, Selector, installed, schema_of, study_of_schema
from influbench.registry.parameters import filled
from influbench.resources import Progress, Resources, no_progress
from influbench.results import Record
from influbench.settings import filled_from_table
from influbench.store.run_directory import RunDirectory, new_directory
from influbench.studies.subjects import check_estimators, subjects_of


def run_study(
    name: str,
    plan: Plan,
    *,
    directory: Path | None = None,
    registry: Registry | None = None,
    resources: Resources | None = None,
    progress: Progress = no_progress,
) -> tuple[Path, Record]:
    """Run this study on the problems of a plan and write its findings, as `influbench study` does.

    The findings go to `directory`, or to a new directory below `runs`, which is created after all checks and before any
    training.
    """
    places: list[RunDirectory] = []

    def begin() -> None:
        place = RunDirectory(directory or new_directory(plan.name))
        place.begin(plan)
        places.append(place)

    try:
        record = ask(name, plan, registry=registry, resources=resources, progress=progress, ready=begin)
    except InflubenchError:
        for place in places:
            place.withdraw()
        raise
    (place,) = places
    place.write_result(record)
    return place.path, record


def ask(
    name: str,
    plan: Plan,
    *,
    registry: Registry | None = None,
    resources: Resources | None = None,
    progress: Progress = no_progress,
    ready: Callable[[], None] = lambda: None,
) -> Record:
    """The findings of this study on the problems of a plan. `ready` is called after all checks, before any training.

    Raises UsageError before that if the study's settings do not fit, an estimator cannot run, or a problem is invalid.
    """
    registry, resources = registry or installed(), resources or Resources()
    study, who = settings_of(plan, name, registry), _supplied(name, registry)
    _check_record(study, who)
    planned: object = called(who, lambda: study.planned(resolved(plan, registry)))
    if not isinstance(planned, Plan):
        raise PluginError(f"{who} planned {type(planned).__name__}, expected a Plan; return plan.changed(...)")
    subjects = subjects_of(planned, registry, study=name, resources=resources, progress=progress)
    called(who, lambda: study.check(planned, subjects))
    check_estimators(subjects)
    ready()
    record: object = called(who, lambda: study.ask(planned, subjects))
    if not isinstance(record, Record) or not isinstance(record, study.record):
        raise PluginError(f"{who} found {type(record).__name__}, expected its record, {study.record.__name__}")
    return record


def settings_of(plan: Plan, name: str, registry: Registry) -> Study[Any]:
    """The study of this name, with the settings of the plan's table [name]."""
    owner: type[Study[Any]] = registry.load("study", name)
    return plan.studies[name] if name in plan.studies else filled_from_table(owner, {}, name=name)


def with_options(plan: Plan, name: str, values: Mapping[str, object], registry: Registry) -> Plan:
    """The plan with these values of a study's options, by what they replace. UsageError if a value does not fit."""
    settings = settings_of(plan, name, registry)
    keys = [field.name for field in fields(settings) if field.init]  # type: ignore[arg-type]
    if "estimators" not in keys and "estimators" in values:
        plan = plan.changed(estimators=tuple(values["estimators"]))  # type: ignore[arg-type]
    given = {key: value for key, value in values.items() if key in keys}
    if not given:
        return plan
    who = registry.supplied("study", Selector(name, {}))
    kept = {key: getattr(settings, key) for key in keys if key not in given}
    try:
        return plan.with_study(name, type(settings)(**filled(type(settings), Selector(name, given), kept, who=who)))
    except InflubenchError:
        raise
    except ValueError as error:
        raise UsageError(f"{name}: {first_line(error)}") from error


def print_study(console: Console, record: Record, *, name: str = "", registry: Registry | None = None) -> None:
    """Print a study's findings at the width of the console. Without a name, use the study with the record's schema."""
    registry = registry or installed()
    name = name or study_of_schema(record.schema_name, registry) or ""  # type: ignore[attr-defined]
    study, who = registry.load("study", name), _supplied(name, registry)
    for part in called(who, lambda: list(study.report(record, width=console.width))):  # type: ignore[attr-defined]
        console.print(part)


def _supplied(name: str, registry: Registry) -> str:
    """The study and, unless it is influbench's own, who supplies it, as errors name it."""
    return f"study {registry.supplied('study', Selector(name, {}))}"


def _check_record(study: Study[Any], who: str) -> None:
    """Raise PluginError if the findings of this study could not be read back from a file."""
    if schema_of(type(study)) is None or not issubclass(study.record, Record):
        raise PluginError(
            f"{who} has no record with a schema; write `record = ...`, a subclass of influbench.results.Record "
            "with a field schema_name"
        )
