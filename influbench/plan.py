"""A plan: what to train and what to judge. It is TOML on disk, every key is checked, and a run can be replayed."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from importlib import resources
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_origin, get_type_hints

import tomli_w
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    InstanceOf,
    ValidationError,
    create_model,
    model_validator,
)

from influbench.api import MeasureName, Recipe, Study
from influbench.errors import PlanError, UnknownNameError, did_you_mean
from influbench.registry import Registry, installed
from influbench.results import FEWEST_DRAWS
from influbench.settings import are_defaults, filled_from_table, in_a_sentence, table_of

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
ProperFractions = Annotated[tuple[ProperFraction, ...], BeforeValidator(_as_list), Field(min_length=1, strict=False)]


class ProblemTable(_Table):
    """[problem]: one value or a list for each of the first three keys; lists span a grid of problems."""

    dataset: Names
    model: Names
    random_labels: Fractions = (0.0,)
    measure: MeasureName = "neg_loss"
    dtype: Literal["float32", "float64"] = "float32"


def _recipe_table() -> type[_Table]:
    """A table with a key for each field of `Recipe`, of its type, or None if the key is left out."""
    types = get_type_hints(Recipe)
    keys = {field.name: (_as_key(types[field.name]) | None, None) for field in fields(Recipe)}
    table: type[_Table] = create_model("_RecipeTable", __base__=_Table, **keys)  # type: ignore[call-overload]
    return table


def _as_key(type_of_field: Any) -> Any:
    """The type of a field as TOML can give it, where a tuple is written as a list."""
    return Annotated[type_of_field, Field(strict=False)] if get_origin(type_of_field) is tuple else type_of_field


if TYPE_CHECKING:
    _RecipeTable = _Table
else:
    _RecipeTable = _recipe_table()


class TrainingTable(_RecipeTable):
    """[training]: fields that replace those of the model's own recipe; and whether group norm replaces batch norm."""

    replace_batch_norm: bool = False

    def replacements(self) -> dict[str, Any]:
        """The fields of the recipe that are set."""
        return self.model_dump(exclude_none=True, exclude={"replace_batch_norm"})


class TruthTable(_Table):
    """[truth]: the seeds that every train point is left out with; the `steps`, besides the last, to store effects at.

    With `reliability`, seeds are added until the interval of the influence truth's reliability lies above it, or until
    there are `max_seeds`.
    """

    seeds: int = Field(default=8, ge=1)
    max_seeds: int = Field(default=64, ge=2)
    reliability: float | None = Field(default=None, gt=0, lt=1)
    steps: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(strict=False)] = ()


@dataclass(frozen=True)
class ProblemPlan:
    """One problem of a plan. `dataset` and `model` are selectors."""

    name: str
    dataset: str
    model: str
    random_labels: float


class Plan(_Table):
    """Everything that decides a run. `estimators` are selectors, or the word "all" for every installed one.

    Each estimator that draws at random runs `repeats` times with different seeds, so that intervals and letters hold
    for other draws as well; any other runs once. `judges` decide what estimates are compared with. By default it is
    leave-one-out, and also the labels that are known to be wrong if some are drawn at random. `studies` has the
    settings of studies by name if they differ from the defaults; each is a table of that name in the TOML.
    """

    name: str = Field(default="plan", pattern=r"^[^/\\.][^/\\]*$")
    summary: str = ""
    seed: int = Field(default=0, ge=0)
    repeats: int = Field(default=FEWEST_DRAWS, ge=1)
    estimators: Names
    judges: Names
    problem: ProblemTable
    training: TrainingTable = TrainingTable()
    truth: TruthTable = TruthTable()
    studies: dict[str, InstanceOf[Study[Any]]] = {}

    @model_validator(mode="before")
    @classmethod
    def _with_judges(cls, given: dict[str, Any]) -> dict[str, Any]:
        return given if "judges" in given else {**given, "judges": _usual_judges(given)}

    @property
    def usual_judges(self) -> tuple[str, ...]:
        """The judges that this plan would have if it did not name any."""
        return tuple(_usual_judges({"problem": {"random_labels": self.problem.random_labels}}))

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
        judges: tuple[str, ...] = (),
        datasets: tuple[str, ...] = (),
        models: tuple[str, ...] = (),
        n_seeds: int | None = None,
        seed: int | None = None,
        reliability: float | None = None,
        max_seeds: int | None = None,
        repeats: int | None = None,
    ) -> "Plan":
        """This plan with the values that a caller replaces. PlanError if one does not fit."""
        given = {"seeds": n_seeds, "reliability": reliability, "max_seeds": max_seeds}
        truth = {**dict(self.truth), **{key: value for key, value in given.items() if value is not None}}
        problem = self.problem.model_copy(
            update={"dataset": datasets or self.problem.dataset, "model": models or self.problem.model}
        )
        replaced = {
            "problem": problem,
            "estimators": estimators or self.estimators,
            "judges": judges or self.judges,
            "truth": truth,
            "seed": self.seed if seed is None else seed,
            "repeats": self.repeats if repeats is None else repeats,
        }
        try:
            return Plan.model_validate({**dict(self), **replaced})
        except ValidationError as error:
            raise PlanError(in_a_sentence(error, _keys)) from None

    def to_toml(self) -> str:
        """The plan as TOML, which reads back as this plan."""
        own = self.model_dump(mode="json", exclude_none=True, exclude={"studies"})
        return tomli_w.dumps({**own, **{name: table_of(study) for name, study in self.studies.items()}})

    def with_study(self, name: str, settings: Study[Any]) -> "Plan":
        """This plan with these settings of the study of this name."""
        others = {other: its for other, its in self.studies.items() if other != name}
        return self.model_copy(update={"studies": others if are_defaults(settings) else {**others, name: settings}})


def read_plan(name_or_path: str) -> Plan:
    """The plan of this name that ships with influbench, or the plan in this file."""
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
    """The TOML text of each plan that ships with influbench, by name; a study's plan is in its folder."""
    package = resources.files("influbench")
    plans = {file.name.removesuffix(".toml"): file for file in (package / "plans").iterdir()}
    studies = {folder.name: folder / "plan.toml" for folder in (package / "studies").iterdir()}
    files = {name: file for name, file in {**plans, **studies}.items() if file.is_file()}
    return {name: files[name].read_text(encoding="utf-8") for name in sorted(files)}


def parse_plan(text: str, *, source: str, name: str, registry: Registry | None = None) -> Plan:
    """The plan in this TOML text. Errors call it `source`; `name` is its name unless the text has one."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        last_line = f"at line {len(text.splitlines())}, the end of the document"
        reason = str(error).replace("at end of document", last_line)
        raise PlanError(f"{source} is not valid TOML: {reason}") from None
    return plan_of(raw, source=source, name=name, registry=registry)


def plan_of(raw: Mapping[str, Any], *, source: str, name: str, registry: Registry | None = None) -> Plan:
    """The plan with these keys and tables, which are the same as in TOML.

    A table that is not the plan's own belongs to a study; the registry has the study and its keys.
    """
    keys = _keys([])
    try:
        given = _of_this_version({key: raw[key] for key in raw if key in keys})
        plan = Plan.model_validate({"name": name, **given})
    except ValidationError as error:
        raise PlanError(f"{source}: {in_a_sentence(error, _keys)}") from None
    for key in raw:
        if key not in keys:
            plan = plan.with_study(key, _settings(key, raw[key], source=source, registry=registry or installed()))
    return plan


def _usual_judges(given: Mapping[str, Any]) -> list[str]:
    """The judges of a plan that does not name any."""
    problem = given.get("problem")
    shares = problem.get("random_labels", 0.0) if isinstance(problem, Mapping) else 0.0
    if not isinstance(shares, list | tuple):
        shares = [shares]
    some_are_wrong = any(share not in (0, 1) for share in shares)
    return ["leave_one_out", "wrong_labels"] if some_are_wrong else ["leave_one_out"]


def _of_this_version(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same plan for this version; an earlier one wrote the judge of random subsets as two keys of [truth]."""
    truth = raw.get("truth")
    if "judges" in raw or not isinstance(truth, Mapping) or not {"subsets", "subset_ratio"} & truth.keys():
        return raw
    rest = {key: value for key, value in truth.items() if key not in ("subsets", "subset_ratio")}
    n, ratio = truth.get("subsets", 0), truth.get("subset_ratio", 0.5)
    subsets = [f"subsets[n={n},ratio={ratio}]"] if n else []
    return {**raw, "judges": [*_usual_judges(raw), *subsets], "truth": rest}


def _settings(name: str, table: object, *, source: str, registry: Registry) -> Study[Any]:
    """The study of this name with the settings in its table."""
    known = registry.names_with("study", name)
    if name not in known:
        keys = [*_keys([]), *known]
        hint = did_you_mean(name, keys) or f"; known are {', '.join(keys)}{registry.excuse()}"
        raise PlanError(f"{source}: unknown key {name!r}{hint}")
    try:
        settings: Study[Any] = filled_from_table(registry.load("study", name), table, name=name)
    except PlanError as error:
        raise PlanError(f"{source}: {error}") from None
    return settings


def _keys(tables: list[str]) -> list[str]:
    """The keys of a plan, or of one of its own tables."""
    model: Any = Plan
    for table in tables:
        model = model.model_fields[table].annotation
    return [key for key in model.model_fields if key != "studies"]


def _problem_name(dataset: str, model: str, random_labels: float) -> str:
    return f"{dataset}, {model}" + (f", random_labels={random_labels:g}" if random_labels else "")
