"""From a plan's words to things that can run, with every mistake found before the first training."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch

from influbench.api import Data, Dataset, Estimator, Judge, Model, Recipe
from influbench.engine.boundary import Pristine, checked_data, n_duplicates
from influbench.engine.estimating import refusal
from influbench.engine.labels import RandomLabels, draw_labels
from influbench.engine.obstacles import Obstacle, called, in_words
from influbench.engine.one_logit import with_two_logits
from influbench.engine.seats import Seat, seated
from influbench.engine.soundness import check_model, checked_recipe
from influbench.engine.update_rules import check_optimizer, check_schedule
from influbench.errors import (
    InflubenchError,
    JudgeError,
    ModelError,
    PlanError,
    PluginError,
    UnjudgedError,
    UsageError,
    printable,
    whole_traceback,
)
from influbench.isolation import isolated
from influbench.measures import available, not_smoothable
from influbench.plan import ALL, Plan, ProblemPlan
from influbench.problem import TrainingProblem
from influbench.registry import Registry, Selector, parse_selector
from influbench.resources import Resources
from influbench.results import Failure
from influbench.seeds import derive
from influbench.store.truths import ExportedTruth, exported_truth
from influbench.training.loop import Trainer
from influbench.training.updates import UpdateRule
from influbench.truth.judged_problem import TruthProblem
from influbench.truth.leave_one_out import GroundTruth

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Candidate:
    """One estimator, ready to run on one problem, or what keeps it from that.

    It is given one view of the problem for each repeat, with seeds of its own; a run uses the first `n_draws`. `handed`
    are further views, by the truth's seed whose run they hand over.
    """

    selector: Selector
    supplied: str  # the selector, and by whom unless it is influbench's own
    estimator: Estimator | None
    problems: list[TrainingProblem]
    n_draws: int
    obstacle: Obstacle | None
    handed: Mapping[int, TrainingProblem]

    @property
    def draws(self) -> list[TrainingProblem]:
        """One view of the problem for each draw."""
        return self.problems[: self.n_draws]


@dataclass(frozen=True, eq=False)
class Prepared:
    """One problem with data loaded, a model that fits them, its judges and its estimators."""

    plan: ProblemPlan
    judged: TruthProblem
    labels: RandomLabels
    seats: list[Seat]
    candidates: list[Candidate]

    @property
    def trainer(self) -> Trainer:
        return self.judged.trainer

    @cached_property
    def n_duplicates(self) -> int:
        """Train points that equal an earlier one."""
        return n_duplicates(self.trainer.data.train)


def resolved(plan: Plan, registry: Registry) -> Plan:
    """The plan with "all" replaced by the estimators that are installed, so that it can be replayed elsewhere.

    What is named besides "all" and among them is there once.
    """
    judges = tuple(str(parse_selector(text)) for text in plan.judges)
    _check_each_once("judge", judges)
    named = [str(parse_selector(text)) for text in plan.estimators]
    _check_each_once("estimator", [name for name in named if name != ALL])
    names = [name for text in named for name in (registry.names("estimator") if text == ALL else [text])]
    return plan.changed(estimators=tuple(dict.fromkeys(names)), judges=judges)


def _check_each_once(kind: str, names: Sequence[str]) -> None:
    if twice := [name for name in names if names.count(name) > 1]:
        raise UsageError(f"{kind} {twice[0]} is named twice; name it once")


def prepare(
    plan: Plan,
    registry: Registry,
    *,
    named: Collection[str] = (),
    required: Collection[str] = (),
    resources: Resources | None = None,
) -> tuple[list[Prepared], list[Failure]]:
    """Every problem of a resolved plan, and those whose model cannot be trained on their data, if others can.

    An estimator that cannot be made is an error if it is among the `named` ones, and a candidate with an obstacle
    otherwise. UsageError if one of the `required` estimators, or a judge, is unsupported on every problem; the usual
    judges of a plan need not be supported.
    """
    named, required = ({str(parse_selector(name)) for name in names} for names in (named, required))
    estimators = [
        (selector, *_estimator(selector, registry, named=str(selector) in named))
        for selector in map(parse_selector, plan.estimators)
    ]
    judges = [(selector, registry.create("judge", selector)) for selector in map(parse_selector, plan.judges)]
    resources = resources or Resources()
    prepared: list[Prepared] = []
    refused: list[Failure] = []
    first_error: InflubenchError | None = None
    for problem in plan.problems():
        try:
            prepared.append(_problem(plan, problem, registry, judges, estimators, resources))
        except (ModelError, UnjudgedError, PluginError, JudgeError) as error:
            refused.append(_refusal(problem, error))
            first_error = first_error or error
    if not prepared and first_error is not None:
        raise first_error
    if plan.judges != plan.usual_judges:
        for number, (selector, _) in enumerate(judges):
            _check_supported(f"judge {selector}", [problem.seats[number].obstacle for problem in prepared])
    for number, (selector, *_) in enumerate(estimators):
        if str(selector) in required:
            _check_supported(str(selector), [problem.candidates[number].obstacle for problem in prepared])
    return prepared, refused


def _check_supported(name: str, obstacles: Sequence[Obstacle | None]) -> None:
    """UsageError where something is unsupported on every problem."""
    reasons = [obstacle.reason for obstacle in obstacles if obstacle and obstacle.status == "unsupported"]
    if len(reasons) == len(obstacles):
        raise UsageError(f"{name} cannot run on any problem of the plan: {reasons[0]}")


def fitting_truth(path: Path, prepared: Sequence[Prepared]) -> ExportedTruth:
    """The truth in a file that was exported. UsageError if it is not the truth of one of the problems."""
    exported = exported_truth(path)
    if exported.key not in {problem.judged.ground_truth.key for problem in prepared}:
        raise UsageError(
            f"{path} holds the truth of {exported.problem}, and no problem of this plan has that key: data, model, "
            "recipe, random labels or root seed differ"
        )
    return exported


def problem_data(plan: Plan, problem: ProblemPlan, registry: Registry) -> tuple[Data, RandomLabels]:
    """The data that a problem is trained on, on the CPU, and which of the train labels are random."""
    named = parse_selector(problem.dataset)
    dataset: Dataset = registry.create("dataset", named)
    who, seed = registry.supplied("dataset", named), derive(plan.seed, "data")
    loaded = called(f"data set {who}", lambda: dataset.load(seed), seed=seed)
    data = checked_data(loaded, name=who, dtype=_dtype(plan))
    return draw_labels(data, fraction=problem.random_labels, seed=derive(plan.seed, "labels"))


def _refusal(problem: ProblemPlan, error: InflubenchError) -> Failure:
    if isinstance(error, ModelError | UnjudgedError):
        return Failure(problem=problem.name, status="unsupported", reason=str(error))
    return Failure(problem=problem.name, status="failed", reason=printable(str(error)), traceback=whole_traceback())


def _estimator(selector: Selector, registry: Registry, *, named: bool) -> tuple[Estimator | None, Obstacle | None]:
    try:
        return registry.create("estimator", selector), None
    except InflubenchError as error:
        if named:
            raise
        return None, Obstacle(
            "unsupported" if isinstance(error, UsageError) else "failed", in_words(error), whole_traceback()
        )


def _problem(
    plan: Plan,
    problem: ProblemPlan,
    registry: Registry,
    judges: list[tuple[Selector, Judge]],
    estimators: list[tuple[Selector, Estimator | None, Obstacle | None]],
    resources: Resources,
) -> Prepared:
    trainer, labels = _trainer(plan, problem, registry, resources)
    truth = plan.truth
    ground_truth = GroundTruth(
        trainer,
        plan.seed,
        truth.steps,
        n_seeds=truth.seeds,
        reliability=truth.reliability,
        max_seeds=truth.max_seeds,
    )
    pristine = Pristine(trainer)
    judged = TruthProblem(ground_truth, labels.wrong)
    seats = _seats(problem, judged, judges, registry, pristine)
    candidates = [_candidate(plan, ground_truth, one, registry, seats, pristine, resources) for one in estimators]
    return Prepared(problem, judged, labels, seats, candidates)


def _trainer(
    plan: Plan, problem: ProblemPlan, registry: Registry, resources: Resources
) -> tuple[Trainer, RandomLabels]:
    """Data and model of the problem, ready to be trained by a recipe that was checked."""
    named_model = parse_selector(problem.model)
    model: Model = registry.create("model", named_model)
    who = registry.supplied("model", named_model)
    recipe = _of_model(who, lambda: checked_recipe(model))
    rule = _rule(plan, recipe, registry, who=who)
    device = resources.torch_device()
    data, labels = problem_data(plan, problem, registry)
    data = data.to(device=device)
    _check_smoothing(plan, rule.recipe, model, data, who=who)
    if plan.problem.measure not in available(data.n_classes):
        raise PlanError(f"measure {plan.problem.measure!r} needs classes, and {problem.dataset} is for regression")
    trainer = Trainer(
        data,
        model,
        rule,
        plan.problem.measure,
        _dtype(plan),
        device,
        memory=resources.memory,
        replace_batch_norm=plan.training.replace_batch_norm,
    )
    if beyond := [step for step in plan.truth.steps if step > trainer.n_steps]:
        raise PlanError(f"{plan.name}: [truth] step {beyond[0]} is beyond the last step, {trainer.n_steps}")
    _check_rule(rule, trainer.n_steps, registry)
    return _of_model(who, lambda: _checked(trainer)), labels


def _checked(trainer: Trainer) -> Trainer:
    """The trainer, or one with two logits in the place of one. ModelError if its model cannot be trained."""
    try:
        check_model(trainer)
    except ModelError:
        with_two = with_two_logits(trainer)
        if with_two is None:
            raise
        check_model(with_two)
        return with_two
    return trainer


def _candidate(
    plan: Plan,
    ground_truth: GroundTruth,
    named: tuple[Selector, Estimator | None, Obstacle | None],
    registry: Registry,
    seats: Sequence[Seat],
    pristine: Pristine,
    resources: Resources,
) -> Candidate:
    """The estimator with its views of the problem, or the obstacle that keeps it from running."""
    selector, estimator, obstacle = named
    trainer, n_draws = ground_truth.trainer, plan.repeats
    supplied = str(selector) if estimator is None else registry.supplied("estimator", selector)
    if estimator is not None:
        first = _view(plan, trainer, selector, 0, resources)
        asked = {column.quantity for seat in seats for column in seat.columns}
        obstacle = _unsupported(supplied, estimator, first, pristine) or _unasked(estimator, asked)
    if estimator is not None and obstacle is None:
        counted = _n_draws(supplied, estimator, plan)
        obstacle, n_draws = (counted, 1) if isinstance(counted, Obstacle) else (None, counted)
    views = [_view(plan, trainer, selector, repeat, resources) for repeat in range(max(plan.repeats, n_draws))]
    runs = sorted({run for seat in seats for run in seat.runs})
    handed = {run: _view(plan, trainer, selector, run, resources, run_seed=ground_truth.seed(run)) for run in runs}
    return Candidate(selector, supplied, estimator, views, n_draws, obstacle, handed)


def _seats(
    problem: ProblemPlan,
    judged: TruthProblem,
    judges: Sequence[tuple[Selector, Judge]],
    registry: Registry,
    pristine: Pristine,
) -> list[Seat]:
    """The judges on this problem. UsageError if two make one column or none can judge; JudgeError if all failed."""
    seats = []
    for selector, judge in judges:
        supplied = registry.supplied("judge", selector)
        seats.append(seated(str(selector), supplied, judge, judged, pristine=pristine))
    makers: dict[str, str] = {}
    for seat in seats:
        for column in seat.columns:
            if column.key in makers:
                raise UsageError(
                    f"judges {makers[column.key]} and {seat.name} both make the column {column.key!r}; name one of them"
                )
            makers[column.key] = seat.name
    if not makers:
        obstacles = {seat.name: seat.obstacle for seat in seats if seat.obstacle is not None}
        reasons = [f"{name}: {obstacle.reason}" for name, obstacle in obstacles.items()]
        sentence = f"no judge of the plan can judge on {problem.name} ({'; '.join(reasons)})"
        if all(obstacle.status == "unsupported" for obstacle in obstacles.values()):
            raise UnjudgedError(sentence)
        raise JudgeError(sentence)
    return seats


def _unasked(estimator: Estimator, asked: Collection[str]) -> Obstacle | None:
    """The obstacle of an estimator in a run whose judges ask for nothing that it predicts."""
    if set(estimator.predicts) & set(asked):
        return None
    predicts = " and ".join(estimator.predicts)
    reason = f"it predicts {predicts}, and the judges of the plan ask for {' and '.join(sorted(asked))} alone"
    return Obstacle("unsupported", reason)


def _n_draws(who: str, estimator: Estimator, plan: Plan) -> int | Obstacle:
    """The number of draws of an estimator in a run: one if it does not draw, and all if they come from elsewhere."""
    if not estimator.draws:
        return 1
    try:
        with isolated(plan.seed):
            stored: object = estimator.stored_draws()
    except Exception as error:
        return Obstacle("failed", in_words(error, who), whole_traceback())
    if stored is None:
        return plan.repeats
    if not isinstance(stored, int) or isinstance(stored, bool) or stored < 1:
        return Obstacle("failed", f"{who}: stored_draws returned {stored!r}, expected a whole number from 1, or None")
    return stored


def _view(
    plan: Plan,
    trainer: Trainer,
    selector: Selector,
    repeat: int,
    resources: Resources,
    *,
    run_seed: int | None = None,
) -> TrainingProblem:
    """The problem as one repeat of an estimator sees it, with the run of `run_seed` in its hands if there is one."""
    of_repeat = ("repeat", repeat) if repeat else ()
    return TrainingProblem(
        trainer,
        seed=derive(plan.seed, "estimator", selector.name, *of_repeat),
        draw=repeat,
        bank_seed=derive(plan.seed, "bank", "estimator", *of_repeat),
        run_seed=run_seed,
        resources=resources,
    )


def _rule(plan: Plan, recipe: Recipe, registry: Registry, *, who: str) -> UpdateRule:
    """The model's recipe with what the plan replaces, and the optimizer and the schedule that it then names."""
    replacements = plan.training.replacements()
    try:
        recipe = replace(recipe, **replacements)
    except ValueError as error:
        raise PlanError(f"{plan.name}: [training] {error}") from None

    def named(kind: Literal["optimizer", "schedule"]) -> Any:
        try:
            return registry.create(kind, parse_selector(getattr(recipe, kind)))
        except UsageError as error:
            if kind in replacements:
                raise PlanError(f"{plan.name}: [training] {error}") from None
            raise ModelError(f"{who}: `recipe`: {error}") from None

    return UpdateRule(recipe, named("optimizer"), named("schedule"))


def _check_smoothing(plan: Plan, recipe: Recipe, model: Model, data: Data, *, who: str) -> None:
    """PlanError or ModelError, by who sets it, where labels cannot be smoothed."""
    reason = not_smoothable(model, data.train.labels) if recipe.label_smoothing else None
    if reason and "label_smoothing" in plan.training.replacements():
        raise PlanError(f"{plan.name}: [training] {reason}")
    if reason:
        raise ModelError(f"{who}: `recipe`: {reason}")


def _check_rule(rule: UpdateRule, n_steps: int, registry: Registry) -> None:
    """ModelError, with who supplies it, where the optimizer or the schedule does not keep the contract."""
    optimizer, schedule = parse_selector(rule.recipe.optimizer), parse_selector(rule.recipe.schedule)
    _of_model(registry.supplied("optimizer", optimizer), lambda: check_optimizer(rule), noun="optimizer")
    _of_model(registry.supplied("schedule", schedule), lambda: check_schedule(rule, n_steps), noun="schedule")


def _unsupported(who: str, estimator: Estimator, view: TrainingProblem, pristine: Pristine) -> Obstacle | None:
    """The estimator's own reason why it cannot run on this problem, or the error that it raised instead."""
    try:
        reason = refusal(estimator, view, pristine)
    except Exception as error:
        return Obstacle("failed", in_words(error, who), whole_traceback())
    return None if reason is None else Obstacle("unsupported", reason)


def _of_model(who: str, call: Callable[[], T], *, noun: str = "model") -> T:
    """The result of code of a model, an optimizer or a schedule; ModelError with its name if it does not fit."""
    try:
        return called(f"{noun} {who}", call)
    except ModelError as error:
        raise ModelError(f"{who}: {printable(str(error))}") from error


def _dtype(plan: Plan) -> torch.dtype:
    return {"float32": torch.float32, "float64": torch.float64}[plan.problem.dtype]
