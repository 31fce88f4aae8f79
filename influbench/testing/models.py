"""What every model owes."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from influbench.api import Data, Model
from influbench.engine.boundary import check_outputs
from influbench.engine.obstacles import in_words
from influbench.errors import ModelError
from influbench.isolation import isolated
from influbench.measures import example_losses
from influbench.process import changes
from influbench.registry import installed, parse_selector
from influbench.testing.checks import Check, ContractError, NotApplicable, Promise, assert_unchanged, checks_of
from influbench.testing.problems import blobs, in_dtype, line, pictures, small_trainer
from influbench.training.loop import Trainer

_DATA: dict[str, Callable[[], Data]] = {
    "classes": blobs,
    "pictures": lambda: pictures(size=28),
    "regression": line,
}


def model_checks(model: str | Model) -> list[Check]:
    """The contract of models for one of them, an instance or its selector: a list of checks to be called.

    `Model.exempt` declares exceptions.
    """
    if isinstance(model, str):
        model = installed().create("model", parse_selector(model))
    assert isinstance(model, Model)
    return checks_of(_PROMISES, _Subject(model), model.exempt)


@dataclass(frozen=True)
class _Subject:
    model: Model

    @property
    def data(self) -> list[Data]:
        """The small data sets that it runs on."""
        fitting, reason = self.fitting()
        if not fitting:
            raise NotApplicable(f"it runs on no small data set: {reason}")
        return fitting

    def fitting(self) -> tuple[list[Data], str]:
        """The small data sets that it can be built and run on, and why it cannot on the first of the others."""
        fitting, reasons = [], []
        for name, make in _DATA.items():
            data = in_dtype(make(), torch.float64)
            try:
                self.build(data)(data.test.inputs.clone())
                fitting.append(data)
            except ContractError:
                raise
            except Exception as error:
                reasons.append(f"on {name}: {in_words(error)}")
        return fitting, reasons[0] if reasons else ""

    def build(self, data: Data, seed: int = 1) -> nn.Module:
        with isolated(seed):
            module = self.model.build(data)
        if not isinstance(module, nn.Module):
            raise ContractError(f"build returned a {type(module).__name__}, expected a torch.nn.Module")
        return module.double()

    def trainers(self) -> list[Trainer]:
        return [small_trainer(data, self.model, batch_size=4, learning_rate=1e-3) for data in self.data]


def _outputs_fit(subject: _Subject) -> None:
    fitting, reason = subject.fitting()
    if not fitting:
        raise ContractError(f"it runs on none of {', '.join(_DATA)}: {reason}")
    for data in fitting:
        outputs = subject.build(data)(data.test.inputs)
        losses = torch.empty(0) if outputs.ndim > 2 else example_losses(subject.model, outputs, data.test.labels)
        try:
            check_outputs(
                outputs, losses, n=len(data.test), n_classes=data.n_classes, model=type(subject.model).__name__
            )
        except ModelError as error:
            raise ContractError(str(error)) from error


def _same_seed_same_parameters(subject: _Subject) -> None:
    for data in subject.data:
        first, second, other = (_parameters(subject.build(data, seed)) for seed in (1, 1, 2))
        if any(not torch.equal(first[name], second[name]) for name in first):
            raise ContractError("two modules built under one random state differ")
        if all(torch.equal(first[name], other[name]) for name in first):
            raise ContractError(
                "modules built under two random states are the same: every seed of the truth would be, too"
            )


def _examples_are_apart(subject: _Subject) -> None:
    for data in subject.data:
        module, inputs = subject.build(data), data.test.inputs
        with torch.no_grad():
            together, alone = module(inputs), torch.cat([module(one[None]) for one in inputs])
        if not _close(together, alone):
            raise ContractError("an example's outputs depend on the others of its batch")


def _inputs_are_left_alone(subject: _Subject) -> None:
    for data in subject.data:
        inputs = data.test.inputs.clone()
        subject.build(data)(inputs)
        if not torch.equal(inputs, data.test.inputs):
            raise ContractError("the module changes its inputs in place")


def _trains_in_a_stack(subject: _Subject) -> None:
    """Two networks that are trained together end where each of them ends alone."""
    for trainer in subject.trainers():
        together = trainer.train([1, 2]).parameters()
        for replica, seed in enumerate((1, 2)):
            alone = trainer.train([seed]).parameters()
            if any(not _close(together[name][replica], p[0]) for name, p in alone.items()):
                raise ContractError("a network trained in a stack is another than the same trained alone")


def _loss_can_be_descended(subject: _Subject) -> None:
    for trainer in subject.trainers():
        parameters = trainer.initial_parameters(1)
        leaves = {name: p.clone().requires_grad_(name in trainer.network.trainable) for name, p in parameters.items()}
        split = trainer.data.train
        losses = example_losses(subject.model, trainer.network.single(leaves, split.inputs), split.labels)
        gradients = torch.autograd.grad(losses.sum(), [leaves[n] for n in trainer.network.trainable], allow_unused=True)
        if not any(g is not None and bool(g.any()) for g in gradients):
            raise ContractError("the loss has no gradient in any parameter")
        if not all(g is None or bool(g.isfinite().all()) for g in gradients):
            raise ContractError("the loss has gradients that are not finite")


def _sites_can_be_masked(subject: _Subject) -> None:
    for trainer in subject.trainers():
        if not trainer.sites:
            raise NotApplicable("it has no site that could be masked")


def _recipe_is_one(subject: _Subject) -> None:
    if subject.model.recipe != subject.model.recipe:
        raise ContractError("`recipe` differs from one call to the next")


def _leaves_the_process_alone(subject: _Subject) -> None:
    for data in subject.data:
        with changes() as changed:
            subject.model.build(data)
        left = [name for name in changed if name != "torch's random state"]
        assert_unchanged(left, type(subject.model), "build")


_PROMISES = [
    Promise(
        "outputs",
        "gives outputs (n, n_classes), or (n, 1) for regression, and one loss for each example",
        "size the last layer by `data.n_classes or 1`; a loss takes outputs and labels and returns (n,)",
        _outputs_fit,
    ),
    Promise(
        "determinism",
        "builds the same parameters under the same random state, and others under another",
        "draw initial parameters from torch's global generator, without seeding it",
        _same_seed_same_parameters,
    ),
    Promise(
        "examples",
        "an example's outputs do not depend on the others of its batch",
        "use GroupNorm or LayerNorm in place of BatchNorm, and no dropout",
        _examples_are_apart,
    ),
    Promise(
        "inputs",
        "leaves its inputs as they are",
        "use layers with inplace=False",
        _inputs_are_left_alone,
    ),
    Promise(
        "gradients",
        "its loss has finite gradients",
        "keep every step from parameters to loss differentiable",
        _loss_can_be_descended,
    ),
    Promise(
        "stack",
        "trains to the same parameters in a stack of networks as alone",
        "keep no state in the module that a forward pass changes, and no control flow by values",
        _trains_in_a_stack,
    ),
    Promise(
        "sites",
        "names mask sites that exist and run once",
        "return names of submodules from `mask_sites`, each used in one place",
        _sites_can_be_masked,
    ),
    Promise(
        "recipe",
        "has one training recipe",
        "return a Recipe of fixed numbers",
        _recipe_is_one,
    ),
    Promise(
        "process",
        "leaves gradient mode, default dtype and device, the number of threads and others' generators as they are",
        "put settings back in a `finally`, and draw from torch's generator only",
        _leaves_the_process_alone,
    ),
]


def _parameters(module: nn.Module) -> dict[str, Tensor]:
    return {name: p.detach() for name, p in module.named_parameters()}


def _close(x: Tensor, y: Tensor) -> bool:
    return torch.allclose(x, y, rtol=1e-6, atol=1e-8)
