"""A plugin's optimizer and schedule train like a plain loop of torch, and those that do not fit are rejected."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import cloudpickle
import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.optim import SGD
from torch.optim.lr_scheduler import LambdaLR

from influbench.api import Optimizer, OptimizerState, Recipe, Schedule
from influbench.engine.update_rules import check_optimizer, check_schedule, derivative_faults
from influbench.errors import ModelError
from influbench.testing import model_checks, optimizer_checks, schedule_checks
from influbench.testing.checks import Check
from influbench.training.optimizers.sgd import Sgd
from influbench.training.schedules.constant import Constant
from influbench.training.updates import UpdateRule
from tests.plugins import Decoupled, Nesterov, OddRecipe, WarmUp, registry
from tests.problems import problem, trainer

Tensors = Mapping[str, Tensor]
THEIRS = {"optimizer": "nesterov[beta=0.7]", "schedule": "warm_up[n=4]", "weight_decay": 0.05, "momentum": 0.0}


def test_a_strangers_optimizer_and_schedule_train_as_a_plain_loop_does() -> None:
    of = trainer(registry=registry(nesterov="Nesterov", warm_up="WarmUp"), **THEIRS)  # type: ignore[arg-type]
    runs = of.train(of.course(seeds=[3]))
    module = of.module(of.initial_parameters(3)).train()
    optimizer = SGD(module.parameters(), lr=0.1, momentum=0.7, nesterov=True, weight_decay=0.05)
    schedule = LambdaLR(optimizer, lambda step: min(1, (step + 1) / 4))
    for rows in runs.batches:
        optimizer.zero_grad()
        cross_entropy(module(of.data.train.inputs[rows[0]]), of.data.train.labels[rows[0]]).backward()
        optimizer.step()
        schedule.step()
    for name, p in module.named_parameters():
        torch.testing.assert_close(runs.parameters()[name][0], p.detach(), rtol=1e-12, atol=1e-12)


def test_it_travels_to_workers_and_trains_the_same_there() -> None:
    of = trainer(registry=registry(nesterov="Nesterov", warm_up="WarmUp"), **THEIRS)  # type: ignore[arg-type]
    there = cloudpickle.loads(cloudpickle.dumps(of))
    assert there.rule == of.rule
    found = there.train(there.course(seeds=[1])).parameters()
    assert all(torch.equal(found[name], p) for name, p in of.train(of.course(seeds=[1])).parameters().items())


@pytest.mark.parametrize(
    ("optimizer", "expected"), [("sgd", 0.3), ("adam", 0.3), ("adamw", 0.0), ("nesterov", 0.3), ("decoupled", 0.0)]
)
def test_a_problem_says_which_weight_decay_belongs_to_its_objective(optimizer: str, expected: float) -> None:
    known = registry(nesterov="Nesterov", decoupled="Decoupled")
    assert problem(trainer(registry=known, optimizer=optimizer, weight_decay=0.3)).decay_in_objective == expected


def test_a_decoupled_decay_shrinks_the_parameters_by_the_rate_of_the_step() -> None:
    rule = UpdateRule(Recipe(weight_decay=0.5), Decoupled(), Constant())
    parameters = {"w": torch.tensor([[2.0, -4.0]], dtype=torch.float64)}
    gradients = {"w": torch.zeros(1, 2, dtype=torch.float64)}
    stepped, state = rule.step(parameters, gradients, rule.initial_state(parameters), learning_rate=0.2)
    torch.testing.assert_close(stepped["w"], parameters["w"] * 0.9, rtol=1e-15, atol=0)
    assert state.step == 1
    assert parameters["w"].tolist() == [[2.0, -4.0]]


@dataclass(frozen=True)
class Faulty(Optimizer):
    """Momentum with one fault."""

    fault: str = ""

    def initial_moments(self, recipe: Recipe, parameters: Tensors) -> Mapping[str, Tensors]:
        match self.fault:
            case "moments None":
                return None  # type: ignore[return-value]
            case "moments flat":
                return {name: torch.zeros_like(p) for name, p in parameters.items()}  # type: ignore[misc]
            case "moments alone":
                return {"v": {name: torch.zeros_like(p[0]) for name, p in parameters.items()}}
        return {"v": {name: torch.zeros_like(p) for name, p in parameters.items()}}

    def step(
        self,
        recipe: Recipe,
        parameters: Tensors,
        gradients: Tensors,
        state: OptimizerState,
        *,
        learning_rate: float,
        in_place: bool = False,
    ) -> tuple[Tensors, Mapping[str, Tensors]]:
        v = {name: 0.5 * state.moments["v"][name] + g for name, g in gradients.items()}
        match self.fault:
            case "detach":
                v = {name: of.detach() for name, of in v.items()}
            case "norm":
                v = {name: of / of.norm() for name, of in v.items()}
            case "draws":
                v = {name: of + torch.rand(()) for name, of in v.items()}
            case "nan":
                v = {name: of / 0 for name, of in v.items()}
            case "writes":
                for name, p in parameters.items():
                    p.sub_(learning_rate * v[name])
                return parameters, {"v": v}
            case "in place":
                v = {name: of * (1 + in_place) for name, of in v.items()}
            case "writes gradients":
                for g in gradients.values():
                    g.mul_(1)
                    g.add_(1)
        stepped = {name: p - learning_rate * v[name] for name, p in parameters.items()}
        match self.fault:
            case "parameters alone":
                return stepped  # type: ignore[return-value]
            case "bias lost":
                del stepped["bias"]
            case "moment lost":
                return stepped, {}
            case "one moment lost":
                del v["bias"]
            case "float32":
                stepped = {name: p.float() for name, p in stepped.items()}
            case "shape":
                stepped = {name: p[:1] for name, p in stepped.items()}
        return stepped, {"v": v}


OPTIMIZER_FAULTS = {
    "moments None": ("moments", "initial_moments returned None as moments"),
    "moments flat": ("moments", "initial_moments returned moments 'weight' that are not float tensors with an axis of"),
    "moments alone": ("moments", "initial_moments returned moments 'v' that are not float tensors with an axis of"),
    "parameters alone": ("step", "step returned a dict; return the parameters and the moments"),
    "bias lost": ("step", "step returned parameters 'weight', expected 'weight', 'bias'"),
    "moment lost": ("step", "step returned moments none and was given 'v'; keep the same ones"),
    "one moment lost": ("step", "step returned moments 'v' 'weight', expected 'weight', 'bias'"),
    "float32": ("step", "step returned parameters with shape (2, 4, 3), torch.float32 for 'weight', expected shape"),
    "shape": ("step", "step returned parameters with shape (1, 4, 3), torch.float64 for 'weight', expected shape (2,"),
    "nan": ("step", "step returned parameters that are not finite"),
    "writes": ("arguments", "step writes into the parameters that it is given; do so with `in_place` alone"),
    "writes gradients": ("arguments", "step writes into the gradients that it is given"),
    "in place": ("in_place", "step gives other numbers with `in_place` than without"),
    "draws": ("in_place", "the same step twice gives other numbers"),
    "norm": ("replicas", "step moves a network in a stack otherwise than alone"),
}


@pytest.mark.parametrize("fault", OPTIMIZER_FAULTS)
def test_an_optimizer_that_would_train_wrongly_is_refused_and_its_check_fails(fault: str) -> None:
    name, seen = OPTIMIZER_FAULTS[fault]
    with pytest.raises(ModelError) as caught:
        check_optimizer(UpdateRule(Recipe(), Faulty(fault), Constant()))
    assert str(caught.value).startswith(seen)
    (check,) = [check for check in optimizer_checks(Faulty(fault)) if str(check) == name]
    outcome = check.outcome()
    assert outcome.status == "failed"
    assert seen.startswith(outcome.detail) or outcome.detail.startswith(seen.partition(";")[0])


def test_a_step_that_cannot_be_differentiated_fails_its_check_and_can_still_train() -> None:
    rule = UpdateRule(Recipe(), Faulty("detach"), Constant())
    check_optimizer(rule)
    (fault,) = derivative_faults(rule)
    assert fault.seen.startswith("autograd finds the derivative 0 of a step, finite differences ")
    outcomes = {str(check): check.outcome().status for check in optimizer_checks(Faulty("detach"))}
    assert [name for name, status in outcomes.items() if status != "passed"] == ["derivative"]


def test_a_model_whose_recipe_names_no_one_fails_its_check() -> None:
    (check,) = [check for check in model_checks(OddRecipe()) if str(check) == "recipe"]
    outcome = check.outcome()
    assert (outcome.status, outcome.detail) == (
        "failed",
        "unknown optimizer 'nesterof'; known are adam, adamw, lion, muon, sgd",
    )


@pytest.mark.parametrize(
    "check",
    [check for one in (Nesterov(), Decoupled(), Faulty(), "sgd", "adam", "adamw") for check in optimizer_checks(one)],
    ids=str,
)
def test_sound_optimizers_pass(check: Check) -> None:
    check()


@pytest.mark.parametrize("check", [*schedule_checks(WarmUp()), *schedule_checks("cosine")], ids=str)
def test_sound_schedules_pass(check: Check) -> None:
    check()


@dataclass(frozen=True)
class Rates(Schedule):
    """Gives this at the last step, and the full learning rate before."""

    last: object = 1.0

    def learning_rate(self, recipe: Recipe, step: int, n_steps: int) -> float:
        return recipe.learning_rate if step < n_steps - 1 else self.last  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("last", "seen"),
    [
        (None, "learning_rate returned None at step 4; return a number (float)"),
        (torch.ones(()), "learning_rate returned a Tensor at step 4; return a number (float)"),
        (True, "learning_rate returned a bool at step 4; return a number (float)"),
        (float("nan"), "learning_rate returned nan at step 4 of 5; return a finite number that is not negative"),
        (float("inf"), "learning_rate returned inf at step 4 of 5; return a finite number that is not negative"),
        (-0.1, "learning_rate returned -0.1 at step 4 of 5; return a finite number that is not negative"),
    ],
)
def test_what_is_not_a_learning_rate_is_refused(last: object, seen: str) -> None:
    with pytest.raises(ModelError) as caught:
        check_schedule(UpdateRule(Recipe(), Sgd(), Rates(last)), 5)
    assert str(caught.value) == seen
    assert schedule_checks(Rates(last))[0].outcome().status == "failed"
    check_schedule(replace(UpdateRule(Recipe(), Sgd(), Rates(0.0))), 5)
