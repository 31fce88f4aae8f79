"""The contracts that every optimizer and every schedule must keep."""

from collections.abc import Callable, Iterator

from influbench.api import Optimizer, Recipe, Schedule
from influbench.engine.soundness import Fault
from influbench.engine.update_rules import (
    argument_faults,
    derivative_faults,
    in_place_faults,
    moment_faults,
    replica_faults,
    schedule_faults,
    step_faults,
)
from influbench.process import changes
from influbench.testing.checks import Check, ContractError, Promise, assert_unchanged, checks_of, instance
from influbench.training.optimizers.sgd import Sgd
from influbench.training.schedules.constant import Constant
from influbench.training.updates import UpdateRule

_RECIPES = (Recipe(), Recipe(momentum=0.9, weight_decay=0.1, learning_rate=0.01))
_N_STEPS = (1, 7, 120)


def optimizer_checks(optimizer: str | Optimizer) -> list[Check]:
    """The contract of optimizers for one of them, an instance or its selector: a list of checks to be called.

    The checks take a few steps on a matrix and a vector, in a stack of two. `Optimizer.exempt` declares exceptions.
    """
    optimizer = instance("optimizer", optimizer)
    return checks_of(_OF_OPTIMIZERS, optimizer, optimizer)


def schedule_checks(schedule: str | Schedule) -> list[Check]:
    """The contract of schedules for one of them, an instance or its selector: a list of checks to be called.

    `Schedule.exempt` declares exceptions.
    """
    schedule = instance("schedule", schedule)
    return checks_of(_OF_SCHEDULES, schedule, schedule)


def _rules(optimizer: Optimizer) -> list[UpdateRule]:
    return [UpdateRule(recipe, optimizer, Constant()) for recipe in _RECIPES]


def _without(faults: Callable[[UpdateRule], Iterator[Fault]]) -> Callable[[Optimizer], None]:
    """A test that an optimizer does not have these faults, with and without momentum and weight decay."""

    def test(optimizer: Optimizer) -> None:
        for rule in _rules(optimizer):
            if fault := next(faults(rule), None):
                raise ContractError(fault.seen, fault.remedy)

    return test


def _gives_rates(schedule: Schedule) -> None:
    rule = UpdateRule(Recipe(), Sgd(), schedule)
    for n_steps in _N_STEPS:
        if fault := next(schedule_faults(rule, n_steps), None):
            raise ContractError(fault.seen, fault.remedy)


def _gives_them_again(schedule: Schedule) -> None:
    rule = UpdateRule(Recipe(), Sgd(), schedule)
    if rule.learning_rates(_N_STEPS[-1]) != rule.learning_rates(_N_STEPS[-1]):
        raise ContractError("two calls for the same step give different learning rates")


def _optimizer_leaves_the_process_alone(optimizer: Optimizer) -> None:
    with changes() as changed:
        for rule in _rules(optimizer):
            next(step_faults(rule), None)
    assert_unchanged(changed, type(optimizer), "it")


def _schedule_leaves_the_process_alone(schedule: Schedule) -> None:
    with changes() as changed:
        _gives_rates(schedule)
    assert_unchanged(changed, type(schedule), "it")


_RESTORE = "restore settings in a `finally`, and do not draw random numbers"

_OF_OPTIMIZERS = [
    Promise("moments", "begins with float tensors by moment and parameter, or without", "", _without(moment_faults)),
    Promise(
        "step",
        "returns finite parameters and the moments that it was given, with the same shapes and types",
        "",
        _without(step_faults),
        needs="moments",
    ),
    Promise("arguments", "leaves its arguments unchanged", "", _without(argument_faults), needs="step"),
    Promise("in_place", "gives the same numbers again, in place or not", "", _without(in_place_faults), needs="step"),
    Promise(
        "replicas", "moves a network in a stack like the network alone", "", _without(replica_faults), needs="in_place"
    ),
    Promise(
        "derivative",
        "autograd finds the derivative of its steps, which metagradient needs",
        "",
        _without(derivative_faults),
        needs="in_place",
    ),
    Promise(
        "process",
        "leaves random states, gradient mode, default dtype and device, and the number of threads unchanged",
        _RESTORE,
        _optimizer_leaves_the_process_alone,
        needs="step",
    ),
]
_OF_SCHEDULES = [
    Promise("rates", "gives a finite learning rate that is not negative at every step", "", _gives_rates),
    Promise(
        "determinism",
        "gives the same learning rate for the same step",
        "do not draw random numbers, and do not store anything in self",
        _gives_them_again,
        needs="rates",
    ),
    Promise(
        "process",
        "leaves random states, gradient mode, default dtype and device, and the number of threads unchanged",
        _RESTORE,
        _schedule_leaves_the_process_alone,
        needs="rates",
    ),
]
