"""From a plan's words to things that can run, with every mistake found before the first training."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import TypeVar

import torch

from influbench.api import Data, Dataset, Estimator, Model, Recipe
from influbench.engine.boundary import check_outputs, checked_data, isolated
from influbench.engine.labels import RandomLabels, draw_labels
from influbench.errors import InflubenchError, ModelError, PlanError, PluginError, UsageError
from influbench.measures import available, example_losses
from influbench.plan import ALL, Plan, ProblemPlan
from influbench.problem import TrainingProblem
from influbench.registry import Registry, Selector, parse_selector
from influbench.seeds import derive
from influbench.training.loop import Trainer

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Candidate:
    """One estimator, ready to run on one problem, or the reason why it cannot."""

    selector: Selector
    estimator: Estimator
    problem: TrainingProblem
    unsupported: str | None


@dataclass(frozen=True, eq=False)
class Prepared:
    """One problem with data loaded, a model that fits them, and its estimators."""

    plan: ProblemPlan
    trainer: Trainer
    labels: RandomLabels
    candidates: list[Candidate]


def prepare(plan: Plan, registry: Registry, *, required: Collection[str] = ()) -> list[Prepared]:
    """Every problem of the plan. UsageError if one of the `required` estimators is unsupported on all of them."""
    selectors = _selectors(plan, registry)
    estimators = [(selector, registry.create("estimator", selector)) for selector in selectors]
    prepared = [_problem(plan, problem, registry, estimators) for problem in plan.problems()]
    wanted = {str(parse_selector(name)) for name in required} - {ALL}
    for number, selector in enumerate(selectors):
        reasons = [problem.candidates[number].unsupported for problem in prepared]
        if str(selector) in wanted and all(reasons):
            raise UsageError(f"{selector} cannot run on any problem of the plan: {reasons[0]}")
    return prepared


def _selectors(plan: Plan, registry: Registry) -> list[Selector]:
    names = [name for text in plan.estimators for name in (registry.names("estimator") if text == ALL else [text])]
    selectors = [parse_selector(name) for name in names]
    written = [str(selector) for selector in selectors]
    if twice := [name for name in written if written.count(name) > 1]:
        raise UsageError(f"estimator {twice[0]} is named twice")
    return selectors


def _problem(
    plan: Plan, problem: ProblemPlan, registry: Registry, estimators: list[tuple[Selector, Estimator]]
) -> Prepared:
    dataset: Dataset = registry.create("dataset", parse_selector(problem.dataset))
    model: Model = registry.create("model", parse_selector(problem.model))
    data, labels = _data(plan, problem, dataset)
    if plan.problem.measure not in available(data.n_classes):
        raise PlanError(f"measure {plan.problem.measure!r} needs classes, and {problem.dataset} is for regression")
    trainer = Trainer(data, model, _recipe(plan, model), plan.problem.measure, _dtype(plan), torch.device("cpu"))
    _try(f"model {problem.model}", lambda: _check_model(trainer, problem.model))
    bank_seed = derive(plan.seed, "bank", "estimator")
    candidates = []
    for selector, estimator in estimators:
        seed = derive(plan.seed, "estimator", selector.name)
        view = TrainingProblem(trainer, seed=seed, bank_seed=bank_seed)
        candidates.append(Candidate(selector, estimator, view, _unsupported(selector, estimator, view)))
    return Prepared(problem, trainer, labels, candidates)


def _data(plan: Plan, problem: ProblemPlan, dataset: Dataset) -> tuple[Data, RandomLabels]:
    seed = derive(plan.seed, "data")
    with isolated(seed):
        loaded = _try(f"data set {problem.dataset}", lambda: dataset.load(seed))
    data = checked_data(loaded, name=problem.dataset, dtype=_dtype(plan), device=torch.device("cpu"))
    return draw_labels(data, fraction=problem.random_labels, seed=derive(plan.seed, "labels"))


def _recipe(plan: Plan, model: Model) -> Recipe:
    try:
        return replace(model.recipe, **plan.training.replacements())
    except ValueError as error:
        raise PlanError(f"[training] {error}") from None


def _check_model(trainer: Trainer, name: str) -> None:
    """Run the initial network once; a model that draws anew under the same seed would break the pairing."""
    probe = trainer.data.train.rows(slice(0, 2))
    parameters = trainer.initial_parameters(0)
    again = trainer.initial_parameters(0)
    if not all(torch.equal(parameters[name], again[name]) for name in parameters):
        raise ModelError(f"{name} draws other initial parameters under the same seed; draw from torch's generator only")
    with torch.no_grad():
        outputs = trainer.network.single(parameters, probe.inputs)
        n_classes = trainer.data.n_classes
        losses = torch.empty(0) if outputs.ndim > 2 else example_losses(trainer.model, outputs, probe.labels)
    check_outputs(outputs, losses, n=len(probe), n_classes=n_classes, model=name)


def _unsupported(selector: Selector, estimator: Estimator, view: TrainingProblem) -> str | None:
    try:
        with isolated(view.seed):
            return _try(f"estimator {selector}", lambda: estimator.unsupported(view))
    except ModelError as error:
        return str(error)


def _try(who: str, call: Callable[[], T]) -> T:
    """What a plugin's code returns; PluginError if it raises anything that is not ours."""
    try:
        return call()
    except InflubenchError:
        raise
    except Exception as error:
        raise PluginError(f"{who} raised {type(error).__name__}: {error}") from error


def _dtype(plan: Plan) -> torch.dtype:
    return {"float32": torch.float32, "float64": torch.float64}[plan.problem.dtype]
