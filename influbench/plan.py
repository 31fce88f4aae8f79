"""A plan: what to train, what to judge. TOML on disk, checked to the last key, and complete enough to be replayed."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from importlib import resources
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_origin, get_type_hints

import tomli_w
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, create_model

from influbench.api import MeasureName, Recipe
from influbench.errors import PlanError, UnknownNameError, did_you_mean

DEFAULT = "digits"
ALL = "all"


def _as_list(value: object) -> object:
    return list(value) if isinstance(value, list | tuple) else [value]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


Fraction = Annotated[float, Field(ge=0, le=1)]
ProperFraction = Annotated[float, Field(gt=0, lt=1)]
Names = Annotated[tuple[str, ...], BeforeValidator(_as_list), Field(min_length=1, strict=False)]
Fractions = Annotated[tuple[Fraction, ...], BeforeValidator(_as_list), Field(min_length=1, strict=False)]


class ProblemTable(_Table):
    """[problem]: one value or a list for each of the first three; lists span a grid of problems."""

    dataset: Names
    model: Names
    random_labels: Fractions = (0.0,)
    measure: MeasureName = "neg_loss"
    dtype: Literal["float32", "float64"] = "float32"


def _recipe_table() -> type[_Table]:
    """A table with a key for each field of `Recipe`, of its type, or None where the key is left out."""
    types = get_type_hints(Recipe)
    keys = {field.name: (_as_key(types[field.name]) | None, None) for field in fields(Recipe)}
    table: type[_Table] = create_model("_RecipeTable", __base__=_Table, **keys)  # type: ignore[call-overload]
    return table


def _as_key(type_of_field: Any) -> Any:
    """The type of a field as TOML can give it: a tuple is written as a list."""
    return Annotated[type_of_field, Field(strict=False)] if get_origin(type_of_field) is tuple else type_of_field


if TYPE_CHECKING:
    _RecipeTable = _Table
else:
    _RecipeTable = _recipe_table()


class TrainingTable(_RecipeTable):
    """[training]: what replaces fields of the model's own recipe; and whether group norm replaces batch norm."""

    replace_batch_norm: bool = False

    def replacements(self) -> dict[str, Any]:
        """The fields of the recipe that are set."""
        return self.model_dump(exclude_none=True, exclude={"replace_batch_norm"})


class TruthTable(_Table):
    """[truth]: how many seeds every train point is left out with; `steps` at which effects are stored besides the last.

    With `reliability`, seeds are added until the interval of the influence truth's reliability lies above it, or there
    are `max_seeds`. With `subsets`, networks trained on so many random subsets, each of a share `subset_ratio` of the
    train points, are a second truth.
    """

    seeds: int = Field(default=8, ge=1)
    max_seeds: int = Field(default=64, ge=2)
    reliability: float | None = Field(default=None, gt=0, lt=1)
    steps: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(strict=False)] = ()
    subsets: int = Field(default=0, ge=0)
    subset_ratio: float = Field(default=0.5, gt=0, lt=1)


class InformativenessTable(_Table):
    """[informativeness]: the groups that `influbench study informativeness` retrains without, and what decides.

    Groups hold each of `fractions` of the train points; `random_groups` of each size are the reference. Every estimator
    in `difficulty` orders the points by its memorization, the mean of `difficulty_repeats` runs; `influence` is what
    tells the influence of a group's points. With `balanced_classes`, all groups of a size have the same class counts.
    Claims are about groups of the fraction `decided_at`: supported where the 95 % interval lies above
    `supported_above`, not supported where it lies below `refuted_below`, in the problem's measure per removed example.
    """

    fractions: Annotated[tuple[ProperFraction, ...], BeforeValidator(_as_list), Field(min_length=1, strict=False)] = (
        0.02,
        0.05,
        0.1,
        0.2,
    )
    decided_at: ProperFraction = 0.1
    random_groups: int = Field(default=10, ge=2)
    difficulty: Names = ("turn_over_dropout[n_masks=8]", "subset", "learning_time")
    difficulty_repeats: int = Field(default=8, ge=1)
    influence: str = "subset[n_models=512]"
    balanced_classes: bool = True
    supported_above: float = 0.0
    refuted_below: float = 0.0


class DynamicsTable(_Table):
    """[dynamics]: what `influbench study dynamics` trains, and what its claims stand or fall with.

    `estimator` is a turn-over dropout, whose networks are looked at after the `[truth] steps`, or after about so many
    `checkpoints`. Difficulty is learnt from `difficulty_trainings` other, ordinary trainings; points are divided by it
    into up to `quantiles` groups, none of fewer than `fewest` points. Times run from the share `tail` of a group's own
    gain to 1 - `tail`. One group overlaps another if the share of its gain that falls into that time is surely above
    `together_above`, and does not if it is surely below `apart_below`.
    """

    estimator: str = "turn_over_dropout[n_masks=64,p=0.5,antithetic=true]"
    checkpoints: int = Field(default=20, ge=2)
    leave_one_out: bool = True
    difficulty: Literal["learning_time", "subset"] = "learning_time"
    difficulty_trainings: int = Field(default=32, ge=1)
    quantiles: int = Field(default=10, ge=2)
    fewest: int = Field(default=20, ge=2)
    resamples: int = Field(default=1000, ge=100)
    tail: float = Field(default=0.1, gt=0, lt=0.5)
    apart_below: Fraction = 0.05
    together_above: Fraction = 0.25
    initial_epochs: float = Field(default=1.0, gt=0)


@dataclass(frozen=True)
class ProblemPlan:
    """One problem of a plan. `dataset` and `model` are selectors."""

    name: str
    dataset: str
    model: str
    random_labels: float


class Plan(_Table):
    """All that decides a run. `estimators` are selectors, or the word "all" for every one that is installed.

    Each estimator runs `repeats` times with seeds of its own, so that its own chance enters the intervals.
    """

    name: str = Field(default="plan", pattern=r"^[^/\\.][^/\\]*$")
    summary: str = ""
    seed: int = Field(default=0, ge=0)
    repeats: int = Field(default=1, ge=1)
    estimators: Names
    problem: ProblemTable
    training: TrainingTable = TrainingTable()
    truth: TruthTable = TruthTable()
    informativeness: InformativenessTable = InformativenessTable()
    dynamics: DynamicsTable = DynamicsTable()

    def problems(self) -> list[ProblemPlan]:
        """The grid of data sets, models and shares of random labels."""
        grid = product(self.problem.dataset, self.problem.model, self.problem.random_labels)
        problems = [ProblemPlan(_problem_name(*of_problem), *of_problem) for of_problem in grid]
        names = [problem.name for problem in problems]
        if twice := [name for name in names if names.count(name) > 1]:
            raise PlanError(f"problem {twice[0]!r} is in the plan twice")
        return problems

    def changed(
        self,
        *,
        estimators: tuple[str, ...] = (),
        datasets: tuple[str, ...] = (),
        models: tuple[str, ...] = (),
        n_seeds: int | None = None,
        seed: int | None = None,
        reliability: float | None = None,
        max_seeds: int | None = None,
        subsets: int | None = None,
        repeats: int | None = None,
    ) -> "Plan":
        """This plan with what a caller replaces. PlanError where a value does not fit."""
        given = {"seeds": n_seeds, "reliability": reliability, "max_seeds": max_seeds, "subsets": subsets}
        truth = {**dict(self.truth), **{key: value for key, value in given.items() if value is not None}}
        problem = self.problem.model_copy(
            update={"dataset": datasets or self.problem.dataset, "model": models or self.problem.model}
        )
        replaced = {
            "problem": problem,
            "estimators": estimators or self.estimators,
            "truth": truth,
            "seed": self.seed if seed is None else seed,
            "repeats": self.repeats if repeats is None else repeats,
        }
        try:
            return Plan.model_validate({**dict(self), **replaced})
        except ValidationError as error:
            raise PlanError(_first_problem(error)) from None

    def to_toml(self) -> str:
        """The plan as TOML that reads back as this plan."""
        studies = {"dynamics": DynamicsTable(), "informativeness": InformativenessTable()}
        unasked = {name for name, default in studies.items() if getattr(self, name) == default}
        return tomli_w.dumps(self.model_dump(mode="json", exclude_none=True, exclude=unasked))


def read_plan(name_or_path: str) -> Plan:
    """The plan that ships under this name, or the one in this file."""
    shipped = shipped_plans()
    if name_or_path in shipped:
        return parse_plan(shipped[name_or_path], source=f"{name_or_path}.toml", name=name_or_path)
    path = Path(name_or_path)
    if path.suffix != ".toml" and not path.exists():
        hint = did_you_mean(name_or_path, list(shipped)) or "; name a TOML file or a plan that `influbench list` shows"
        raise UnknownNameError(f"unknown plan {name_or_path!r}{hint}")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise PlanError(f"cannot read the plan {name_or_path}: {reason}") from None
    return parse_plan(text, source=path.name, name=path.stem)


def shipped_plans() -> dict[str, str]:
    """TOML text of the plans that ship with the package, by name."""
    folder = resources.files("influbench") / "plans"
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".toml")), key=lambda file: file.name)
    return {file.name.removesuffix(".toml"): file.read_text(encoding="utf-8") for file in files}


def parse_plan(text: str, *, source: str, name: str) -> Plan:
    """The plan in this TOML text; `source` is what errors call it, `name` its name unless it has one."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        last_line = f"at line {len(text.splitlines())}, the end of the document"
        reason = str(error).replace("at end of document", last_line)
        raise PlanError(f"{source} is no TOML: {reason}") from None
    return plan_of(raw, source=source, name=name)


def plan_of(raw: Mapping[str, Any], *, source: str, name: str) -> Plan:
    """The plan with these keys and tables, which are those of the TOML."""
    try:
        return Plan.model_validate({"name": name, **raw})
    except ValidationError as error:
        raise PlanError(f"{source}: {_first_problem(error)}") from None


_EXPECTED = {
    "model_type": "expected a table of keys",
    "tuple_type": "expected a list",
    "too_short": "expected at least one value",
    "too_long": "expected fewer values",
    "missing": "expected more values",
    "string_pattern_mismatch": "expected a name without slashes that does not begin with a dot",
}


def _first_problem(error: ValidationError) -> str:
    """The first thing that does not fit, in one sentence."""
    first = error.errors()[0]
    *tables, key = [part for part in first["loc"] if isinstance(part, str) and "[" not in part]
    where = f" in [{'.'.join(tables)}]" if tables else ""
    known = _keys(tables)
    if first["type"] == "extra_forbidden":
        hint = did_you_mean(key, known) or f"; known are {', '.join(known)}"
        return f"unknown key {key!r}{where}{hint}"
    if first["type"] == "missing" and first["loc"][-1] == key:
        return f"key {key!r} is missing{where}"
    message = _EXPECTED.get(first["type"]) or first["msg"][0].lower() + first["msg"][1:]
    return f"{key} = {first['input']!r}{where} does not fit; {message}"


def _keys(tables: list[str]) -> list[str]:
    model: Any = Plan
    for table in tables:
        model = model.model_fields[table].annotation
    return list(model.model_fields)


def _problem_name(dataset: str, model: str, random_labels: float) -> str:
    return f"{dataset}, {model}" + (f", random_labels={random_labels:g}" if random_labels else "")
