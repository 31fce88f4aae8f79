"""A run's directory: plan.toml replays it, environment.json records where it ran, result.json has the result."""

import json
import os
import platform
import re
import sys
from datetime import datetime
from hashlib import blake2b
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

import torch
from pydantic import ValidationError
from torch import Tensor

from influbench import __version__
from influbench.errors import StoreError, UsageError
from influbench.plan import Plan, read_plan
from influbench.registry import installed, study_of_schema
from influbench.results import Record, Results, earlier, to_json
from influbench.store.files import Arrays, read_arrays, write_arrays, write_bytes

PLAN, ENVIRONMENT, RESULT = "plan.toml", "environment.json", "result.json"
_LONGEST = 180  # characters; file systems allow 255, which has to hold the suffix and the temporary name as well


class RunDirectory:
    """The directory that one run or study of a plan is written to, file by file, each whole."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def begin(self, plan: Plan) -> None:
        """Create the directory and write the plan. The result of an earlier run of the same plan is removed.

        UsageError if the directory holds another plan's run, or anything else.
        """
        content = plan.to_toml().encode()
        try:
            self._refuse_what_is_not_ours(plan)
            (self.path / RESULT).unlink(missing_ok=True)
            write_bytes(self.path / PLAN, content)
            write_bytes(self.path / ENVIRONMENT, (json.dumps(environment(), indent=2) + "\n").encode())
        except OSError as error:
            raise UsageError(f"cannot write to {self.path}: {error.strerror}; name another directory with -o") from None

    def withdraw(self) -> None:
        """Remove what `begin` wrote if nothing was added since, so that a corrected plan can use the directory."""
        if {file.name for file in self.path.iterdir()} == {PLAN, ENVIRONMENT}:
            (self.path / PLAN).unlink()
            (self.path / ENVIRONMENT).unlink()
            self.path.rmdir()

    def _refuse_what_is_not_ours(self, plan: Plan) -> None:
        existing = self.path / PLAN
        if existing.is_file():
            if existing.read_bytes() != plan.to_toml().encode() and read_plan(str(existing)) != plan:
                raise UsageError(f"{self.path} holds the run of another plan; name another directory with -o")
        elif self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
            raise UsageError(f"{self.path} exists and is not a run directory; name another directory with -o")

    def write_scores(self, problem: str, name: str, tensors: dict[str, Tensor]) -> str:
        """Store tensors of one estimator (or the truth) of a problem. Return the file's place in the directory."""
        place = scores_place(problem, name)
        write_arrays(self.path / place, Arrays(tensors, {"problem": problem, "name": name}))
        return place

    def write_yardsticks(self, problem: str, arrays: Arrays) -> None:
        """Store the yardsticks that the scores of a problem are compared with."""
        write_arrays(self.path / yardsticks_place(problem), arrays)

    def write_result(self, result: Record) -> None:
        write_bytes(self.path / RESULT, (to_json(result) + "\n").encode())


def read_result(directory: Path) -> Results:
    """The result of the run in this directory. UsageError if it holds a study."""
    found = read_found(directory)
    if not isinstance(found, Results):
        raise UsageError(f"{directory} holds a study and not a run; `influbench report {directory}` shows it")
    return found


def read_found(directory: Path) -> Record:
    """The result of the run or study in this directory. UsageError if the study is not installed."""
    path = directory / RESULT
    if not path.is_file():
        if (directory / PLAN).is_file():
            raise UsageError(f"{directory} holds a run that did not finish; run its {PLAN} again with -o {directory}")
        raise UsageError(f"{directory} is not a run directory: it has no {RESULT}")
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        if earlier.is_earlier(raw):
            raw = earlier.current(raw)
        return _record_class(directory, raw.get("schema")).model_validate_json(json.dumps(raw))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(f"{path} does not fit the schema of this influbench: {_misfit(error)}") from error


def _misfit(error: Exception) -> str:
    """The first thing in a stored result that does not fit its schema, in a few words."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        if first["loc"] == ("schema",):
            return f"it has the schema {first['input']}; upgrade influbench"
        return f"{'.'.join(map(str, first['loc']))}: {first['msg'][0].lower()}{first['msg'][1:]}"
    return f"it lacks {error}" if isinstance(error, KeyError) else str(error).splitlines()[0]


def _record_class(directory: Path, schema: object) -> type[Record]:
    """The class of the records with this schema, of runs or of a registered study."""
    if schema == Results.model_fields["schema_name"].default or not isinstance(schema, str):
        return Results
    name = study_of_schema(schema, installed())
    if name is not None:
        study: Any = installed().load("study", name)
        record: type[Record] = study.record
        return record
    if schema.startswith("influbench."):
        return Results  # of another version, so that reading it is an error
    raise UsageError(
        f"{directory} holds the result of a study ({schema}) that is not installed; install its package, one of the "
        f"plugins in its {ENVIRONMENT}{installed().excuse()}"
    )


def read_scores(directory: Path, place: str) -> dict[str, Tensor]:
    """The tensors that a run stored at this place in its directory."""
    path = directory / place
    if not path.is_file():
        raise UsageError(f"{directory} does not hold {place}: only a whole run directory holds its scores")
    return dict(read_arrays(path).tensors)


def scores_place(problem: str, name: str) -> str:
    """The place in the directory of the scores of one estimator (or "truth") of a problem."""
    return f"scores/{file_name(problem)}/{file_name(name)}.safetensors"


def read_yardsticks(directory: Path, problem: str) -> Arrays:
    """The yardsticks that the scores of a problem were compared with. UsageError if the run did not store them."""
    path = directory / yardsticks_place(problem)
    if not path.is_file():
        raise UsageError(f"{directory} was written by an earlier influbench; run its {PLAN} again")
    return read_arrays(path)


def yardsticks_place(problem: str) -> str:
    """The place in the directory of the yardsticks of a problem."""
    return f"yardsticks/{file_name(problem)}.safetensors"


def truth_beside(place: str) -> str:
    """The place of a problem's truth, from the place of an estimator's scores."""
    return str(PurePosixPath(place).with_name("truth.safetensors"))


def new_directory(plan_name: str) -> Path:
    """A new folder in `runs`, named after the plan and the time."""
    stem = f"{plan_name}-{datetime.now():%Y%m%d-%H%M%S}"
    for suffix in ("", *(f"-{number}" for number in range(2, 1000))):
        path = Path("runs") / f"{stem}{suffix}"
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise UsageError(f"cannot create {path}: {error.strerror}; name a directory with -o") from None
        return path
    raise UsageError(f"runs already holds a thousand runs named {stem}; name a directory with -o")


def environment() -> dict[str, object]:
    """The facts that a reader needs to judge the numbers: versions, processor, threads."""
    packages = ("torch", "numpy", "scipy", "scikit-learn")
    return {
        "influbench": __version__,
        "python": platform.python_version(),
        **{package: version(package) for package in packages},
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "plugins": _plugins(),
        "cuda": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "command": " ".join(["influbench", *sys.argv[1:]]),
    }


def _plugins() -> dict[str, str]:
    """Versions of the packages besides influbench that register something, and of the packages that they require."""
    registered = {one.name: one.version for one in installed().distributions() if one.name != "influbench"}
    required: list[str] = []
    for name in registered:
        required += [line for line in _requirements(name) if "extra ==" not in line]
    wanted = {match[0] for line in required if (match := re.match(r"[\w.-]+", line))} - {"influbench"}
    versions = {name: found for name in wanted if (found := _version(name))}
    return dict(sorted((registered | versions).items()))


def _requirements(package: str) -> list[str]:
    try:
        return requires(package) or []
    except PackageNotFoundError:
        return []


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "unknown"


def file_name(name: str) -> str:
    """`name` as a file name, different for different names. A name that is too long ends in its hash."""
    quoted = quote(name, safe="=[],")
    if len(quoted) <= _LONGEST:
        return quoted
    return f"{quoted[:_LONGEST]}~{blake2b(name.encode(), digest_size=8).hexdigest()}"
