"""`influbench.run`: the command line's run for Python."""

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from influbench.api import Dataset, Estimator, Judge, Model
from influbench.engine import run as run_engine
from influbench.errors import UsageError
from influbench.executors import Here, LocalProcesses
from influbench.notebook.naming import OneOrSeveral, names_of
from influbench.notebook.result import Result
from influbench.notebook.values import check_counts
from influbench.plan import Plan, plan_of, read_plan
from influbench.registry import installed
from influbench.report.progress import follow
from influbench.resources import Resources


def run(
    plan: str | Path | Plan | Mapping[str, Any] = "digits",
    *,
    estimators: OneOrSeveral[Estimator] | None = None,
    judges: OneOrSeveral[Judge] | None = None,
    dataset: OneOrSeveral[Dataset] | None = None,
    model: OneOrSeveral[Model] | None = None,
    seeds: int | None = None,
    seed: int | None = None,
    reliability: float | None = None,
    max_seeds: int | None = None,
    repeats: int | None = None,
    workers: int | None = None,
    memory: int | None = None,
    device: str = "cpu",
    directory: str | Path | None = None,
    quiet: bool = False,
) -> Result:
    """Run a plan (a name, a TOML file, its content as a mapping, or a Plan), and return what it found.

    Estimators, judges, data set and model take the place of the plan's, which are used where they are None. Each may be
    one thing or several: what the command line takes, a path, an instance, or a class, installed or not. The truth is
    stored and reused as on the command line, `memory` is in bytes, and the run directory is written (`directory`, or a
    new one below `runs`). Raises `influbench.errors.UsageError` where a name or a value is wrong, before anything is
    trained, and where an estimator that is named here cannot run on any problem.
    """
    registry, chosen = names_of(installed(), "estimator", estimators)
    registry, judged = names_of(registry, "judge", judges)
    registry, datasets = names_of(registry, "dataset", dataset)
    registry, models = names_of(registry, "model", model)
    changed = _plan(plan).changed(
        estimators=chosen,
        judges=judged,
        datasets=datasets,
        models=models,
        n_seeds=seeds,
        seed=seed,
        reliability=reliability,
        max_seeds=max_seeds,
        repeats=repeats,
    )
    check_counts(workers=workers)
    check_counts(memory=memory, of="bytes")
    with closing(Here() if workers is None else LocalProcesses(workers)) as executor:
        events = run_engine(
            changed,
            directory=None if directory is None else Path(directory),
            registry=registry,
            required=chosen,
            resources=Resources(executor=executor, memory=memory, device=device),
        )
        return Result(*follow(events, quiet=quiet), registry)


def _plan(plan: str | Path | Plan | Mapping[str, Any]) -> Plan:
    if isinstance(plan, Plan):
        return plan
    if isinstance(plan, Mapping):
        return plan_of(plan, source="the plan", name="plan")
    if isinstance(plan, str | Path):
        return read_plan(str(plan))
    raise UsageError(
        f"plan is a {type(plan).__name__}; give a name, a TOML file, its content as a dict, or a Plan, or leave it out "
        "to take digits"
    )
