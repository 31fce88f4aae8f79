"""`influbench.run`: the command line's run for Python."""

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from influbench.api import Dataset, Estimator, Executor, Judge, Model
from influbench.engine import run as run_engine
from influbench.errors import UsageError
from influbench.notebook.data import given_data
from influbench.notebook.naming import Named, OneOrSeveral, name_of, names_of
from influbench.notebook.result import Result
from influbench.notebook.values import check_counts
from influbench.plan import Plan, plan_of, read_plan
from influbench.registry import Registry, Selector, installed, parse_selector
from influbench.report.progress import follow
from influbench.resources import Resources, check_one_given


def run(
    plan: str | Path | Plan | Mapping[str, Any] = "digits",
    *,
    estimators: OneOrSeveral[Estimator] | None = None,
    judges: OneOrSeveral[Judge] | None = None,
    dataset: OneOrSeveral[Dataset] | object | None = None,
    label: str | None = None,
    regression: bool | None = None,
    model: OneOrSeveral[Model] | None = None,
    seeds: int | None = None,
    seed: int | None = None,
    reliability: float | None = None,
    max_seeds: int | None = None,
    repeats: int | None = None,
    workers: int | None = None,
    executor: Named[Executor] | None = None,
    memory: int | None = None,
    device: str | None = None,
    resources: Resources | None = None,
    truth_file: str | Path | None = None,
    directory: str | Path | None = None,
    quiet: bool = False,
) -> Result:
    """Run a plan (a name, a TOML file, its content as a mapping, or a Plan), and return what it found.

    Estimators, judges, data set and model take the place of the plan's, which are used where they are None. Each may be
    one thing or several: what the command line takes, a path, an instance, or a class, installed or not. The truth is
    stored and reused as on the command line, and the run directory is written (`directory`, or a new one below `runs`).

    The data set may also be data that are in memory: (X, y), four arrays, a pandas frame whose column `label` has the
    labels, a torch data set, a Bunch of scikit-learn, a pair of these for training and testing, or `Data`; see
    `as_dataset`. `regression` says that labels are amounts, or, if False, classes, where that is not clear.

    Trainings run in this process, in `workers` processes, or on an `executor`: "dask[address=tcp://head:8786]", for
    instance, or an instance of your own, which is left open. They take up to `memory` bytes in each process, on a
    `device`. `resources` say all of that at once, and which cache; their executor is left open. `truth_file` is a truth
    that `influbench truth export` wrote.

    Raises `influbench.errors.UsageError` where a name or a value is wrong, before anything is trained,
    and where an estimator that is named here cannot run on any problem.
    """
    registry, chosen = names_of(installed(), "estimator", estimators)
    registry, judged = names_of(registry, "judge", judges)
    registry, datasets = names_of(registry, "dataset", given_data(dataset, label=label, regression=regression))
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
    given = _opened(registry, workers=workers, executor=executor, memory=memory, device=device, resources=resources)
    with given as opened:
        events = run_engine(
            changed,
            directory=None if directory is None else Path(directory),
            registry=registry,
            required=chosen,
            resources=opened,
            truth_file=None if truth_file is None else Path(truth_file),
        )
        return Result(*follow(events, quiet=quiet), registry)


@contextmanager
def _opened(
    registry: Registry,
    *,
    workers: int | None,
    executor: Named[Executor] | None,
    memory: int | None,
    device: str | None,
    resources: Resources | None,
) -> Iterator[Resources]:
    """The resources that are given, or those that the other arguments describe.

    An executor is closed on leaving, unless it was given as an instance: whoever made it closes it.
    """
    check_counts(workers=workers)
    check_counts(memory=memory, of="bytes")
    check_one_given({"workers": workers, "executor": executor})
    for name, value in {"workers": workers, "executor": executor, "memory": memory, "device": device}.items():
        check_one_given({"resources": resources, name: value})
    if resources is not None:
        if not isinstance(resources, Resources):
            raise UsageError(f"resources is a {type(resources).__name__}; give an influbench.Resources")
        yield resources
        return
    name = "here" if workers is None else str(Selector("processes", {"n_workers": workers}))
    registry, name = name_of(registry, "executor", name if executor is None else executor)
    made: Executor = registry.create("executor", parse_selector(name))
    with nullcontext(made) if executor is made else closing(made):
        yield Resources(executor=made, memory=memory, device=device or "cpu")


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
