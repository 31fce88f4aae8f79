"""The contract that every model must keep."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from influbench.api import Data, Dataset, Model
from influbench.engine.rehearsal import Rehearsal
from influbench.engine.soundness import REQUIREMENTS, Requirement, checked_recipe
from influbench.isolation import isolated
from influbench.process import changes
from influbench.testing.checks import (
    Check,
    ContractError,
    NotApplicable,
    Promise,
    assert_unchanged,
    checks_of,
    described,
    instance,
)
from influbench.testing.problems import blobs, line, loaded, pictures, small_trainer, some_of
from influbench.training.loop import Trainer
from influbench.training.updates import update_rule

_DATA: Mapping[str, Callable[[], Data]] = {
    "classes": blobs,
    "pictures": lambda: pictures(size=28),
    "regression": line,
}


def model_checks(model: str | Model, *, dataset: str | Dataset | None = None) -> list[Check]:
    """The contract of models for one of them, an instance or its selector: a list of checks to be called.

    The checks use influbench's small data sets on which it can be built, or a few examples of `dataset`.
    `Model.exempt` declares exceptions.
    """
    model = instance("model", model)
    return checks_of(_PROMISES, _Subject(model, _DATA if dataset is None else _of(dataset)), model)


def _of(dataset: str | Dataset) -> Mapping[str, Callable[[], Data]]:
    name = str(dataset)
    made = instance("dataset", dataset)
    few = some_of(loaded(made))
    return {name: lambda: few}


@dataclass(frozen=True)
class _Subject:
    model: Model
    data: Mapping[str, Callable[[], Data]]

    def trainer(self, name: str) -> Trainer:
        return small_trainer(self.data[name](), self.model, batch_size=4, learning_rate=1e-3)

    @cached_property
    def rehearsals(self) -> dict[str, Rehearsal]:
        return {name: Rehearsal.of(self.trainer(name)) for name in self.data}

    @cached_property
    def fitting(self) -> dict[str, Rehearsal]:
        """The rehearsals on the data sets on which it can be built and run."""
        return {name: rehearsal for name, rehearsal in self.rehearsals.items() if _runs(rehearsal)}

    def trainers(self) -> list[Trainer]:
        return [self.trainer(name) for name in self.fitting]


def _runs(rehearsal: Rehearsal) -> bool:
    try:
        rehearsal.first  # noqa: B018
    except Exception:
        return False
    return True


def _keeps_somewhere(requirement: Requirement) -> Callable[[_Subject], None]:
    """A test that may fail because the model is not made for the data: it need not run on all data sets."""

    def test(subject: _Subject) -> None:
        reasons = []
        for name, rehearsal in subject.rehearsals.items():
            try:
                _hold(requirement, rehearsal)
            except ContractError:
                raise
            except Exception as error:
                reasons.append(f"on {name}: {described(error)}")
        if len(reasons) == len(subject.rehearsals):
            raise ContractError(
                f"it runs on none of {', '.join(subject.rehearsals)}: {reasons[0]}" if len(reasons) > 1 else reasons[0],
                "if it is made for other data, check it on those: influbench check NAME -d DATA",
            )

    return test


def _keeps(requirement: Requirement) -> Callable[[_Subject], None]:
    def test(subject: _Subject) -> None:
        for rehearsal in subject.fitting.values():
            _hold(requirement, rehearsal)

    return test


def _hold(requirement: Requirement, rehearsal: Rehearsal) -> None:
    if fault := requirement.fault(rehearsal):
        raise ContractError(fault.seen, fault.remedy)


def _trains_in_a_stack(subject: _Subject) -> None:
    """Raise ContractError unless two networks trained together end where each of them ends alone."""
    for trainer in subject.trainers():
        together = trainer.train(trainer.course(seeds=[1, 2])).parameters()
        for replica, seed in enumerate((1, 2)):
            alone = trainer.train(trainer.course(seeds=[seed])).parameters()
            if any(not _close(together[name][replica], p[0]) for name, p in alone.items()):
                raise ContractError(
                    "a network trained in a stack differs from the same network trained alone",
                    "remove state that a forward pass changes in the module, and control flow that depends on values",
                )


def _loss_can_be_descended(subject: _Subject) -> None:
    for rehearsal in subject.fitting.values():
        if not any(bool(gradient.any()) for gradient in rehearsal.gradients.values()):
            raise ContractError(
                "the loss has gradient 0 everywhere", "keep every step from parameters to loss differentiable"
            )


def _sites_can_be_masked(subject: _Subject) -> None:
    for trainer in subject.trainers():
        if not trainer.sites:
            raise NotApplicable("it has no site that could be masked")


def _recipe_is_one(subject: _Subject) -> None:
    if checked_recipe(subject.model) != subject.model.recipe:
        raise ContractError("`recipe` differs from one call to the next")
    update_rule(subject.model.recipe)


def _leaves_the_process_alone(subject: _Subject) -> None:
    for trainer in subject.trainers():
        with isolated(0), changes() as changed:
            subject.model.build(trainer.data)
        left = [name for name in changed if name != "torch's random state"]
        assert_unchanged(left, type(subject.model), "build")


_ON_SMALL_PROBLEMS = {"gradients": _loss_can_be_descended, "stack": _trains_in_a_stack}


def _promise(requirement: Requirement) -> Promise:
    """A promise for a requirement of every run, with the further tests that need a training or small data."""
    keeps = _keeps_somewhere(requirement) if requirement.name in ("build", "outputs") else _keeps(requirement)

    def test(subject: _Subject) -> None:
        keeps(subject)
        _ON_SMALL_PROBLEMS.get(requirement.name, lambda _: None)(subject)

    return Promise(requirement.name, requirement.text, "", test, needs=requirement.needs)


_PROMISES = [
    *map(_promise, REQUIREMENTS),
    Promise(
        "sites",
        "names mask sites that exist and run once",
        "return names of submodules from `mask_sites`, each used in one place",
        _sites_can_be_masked,
        needs="outputs",
    ),
    Promise(
        "recipe",
        "has one training recipe with a known optimizer and schedule",
        "return a Recipe of fixed numbers",
        _recipe_is_one,
    ),
    Promise(
        "process",
        "leaves gradient mode, default dtype and device, the number of threads and others' generators unchanged",
        "restore settings in a `finally`, and draw only from torch's generator",
        _leaves_the_process_alone,
        needs="build",
    ),
]


def _close(x: Tensor, y: Tensor) -> bool:
    return torch.allclose(x, y, rtol=1e-6, atol=1e-8)
