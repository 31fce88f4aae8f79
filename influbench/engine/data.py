"""The points of a problem, written for other programs."""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from influbench.api import Data
from influbench.engine.preparation import problem_data
from influbench.errors import UnknownNameError, UsageError, did_you_mean
from influbench.plan import Plan, ProblemPlan
from influbench.registry import Registry, installed
from influbench.store.files import named_by_a_user, write_bytes

_SUFFIX = ".npz"


@dataclass(frozen=True)
class WrittenData:
    """The data that were written: how many points of what."""

    dataset: str
    random_labels: float
    n_train: int
    n_test: int


def write_data(plan: Plan, path: Path, *, problem: str | None = None, registry: Registry | None = None) -> WrittenData:
    """Write the train and test points of a problem, as a run trains on them, to a file that `datasets.files.Npz` reads.

    Random labels are drawn as in a run; which they are is not written. `problem` names one of a plan that has several
    with different data; UsageError if it is missing then.
    """
    if path.suffix != _SUFFIX:
        raise UsageError(f"{path} must end in {_SUFFIX}, as data sets in files do")
    chosen = _chosen(plan, problem)
    data, _ = problem_data(plan, chosen, registry or installed())
    file = BytesIO()
    np.savez(file, **_arrays(data))
    with named_by_a_user(path):
        write_bytes(path, file.getvalue())
    return WrittenData(chosen.dataset, chosen.random_labels, len(data.train), len(data.test))


def _chosen(plan: Plan, name: str | None) -> ProblemPlan:
    problems = plan.problems()
    names = [problem.name for problem in problems]
    if name is None:
        if len({(problem.dataset, problem.random_labels) for problem in problems}) > 1:
            known = " or ".join(map(repr, names))
            raise UsageError(f"{plan.name} has several problems; choose one with --problem: {known}")
        return problems[0]
    if name not in names:
        hint = did_you_mean(name, names) or f"; it has {', '.join(map(repr, names))}"
        raise UnknownNameError(f"{plan.name} has no problem {name!r}{hint}")
    return problems[names.index(name)]


def _arrays(data: Data) -> dict[str, Any]:
    arrays = {
        f"{side}_{part}": tensor.numpy()
        for side, split in (("train", data.train), ("test", data.test))
        for part, tensor in vars(split).items()
    }
    if data.n_classes is not None:  # there may be classes without an example
        arrays["n_classes"] = np.array(data.n_classes)
    if data.class_names is not None:
        arrays["class_names"] = np.array(data.class_names, dtype=np.str_)
    return arrays
