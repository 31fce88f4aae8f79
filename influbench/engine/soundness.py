"""Requirements on a model, so that two trainings differ by the left-out example alone; checked before training."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from influbench.api import Model, Recipe
from influbench.engine.plain_training import largest_difference
from influbench.engine.rehearsal import Call, Rehearsal, has_floats, same
from influbench.errors import ModelError, type_and_message
from influbench.training.batches import smallest_batch
from influbench.training.course import Batch
from influbench.training.loop import Trainer

_TOLERANCES = {torch.float64: 1e-5}  # of the largest value; a network may compute in less inside
_TOLERANCE = 1e-3  # in any other dtype
_OF_TRAINING = 1e-6  # of how far a short training in float64 moves the parameters


@dataclass(frozen=True)
class Fault:
    """Something that a model must not do, as it was observed, and how to fix it."""

    seen: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.seen}; {self.remedy}" if self.remedy else self.seen


@dataclass(frozen=True)
class Requirement:
    """A promise that every model has to keep. `faults` finds what is wrong with a model; the first fault is reported.

    `needs` names the requirement without which this one would report the same fault again.
    """

    name: str
    text: str
    faults: Callable[[Rehearsal], Iterator[Fault]]
    needs: str | None = None

    def fault(self, rehearsal: Rehearsal) -> Fault | None:
        """The fault, if there is one. Raises whatever the model's own code raises."""
        return next(self.faults(rehearsal), None)


def check_model(trainer: Trainer) -> None:
    """ModelError where training this model would give wrong numbers, or none. Runs a step of a stack of two, too."""
    rehearsal = Rehearsal.of(trainer)
    for requirement in REQUIREMENTS:
        if fault := requirement.fault(rehearsal):
            raise ModelError(str(fault))
    parameters = trainer.initial_parameters(0)
    stack = {key: torch.stack([p, p]) for key, p in parameters.items()}
    rows = torch.arange(2, device=trainer.device)
    weights = torch.ones(2, 2, dtype=trainer.dtype, device=trainer.device)
    trainer.update(stack, trainer.initial_state(stack), Batch(rows, weights, draws=trainer.draws(rows, seeds=[0])))


def checked_recipe(model: Model) -> Recipe:
    """The model's recipe; ModelError where it is something else."""
    try:
        recipe: object = model.recipe
    except ValueError as error:
        raise ModelError(f"`recipe`: {error}") from error
    if isinstance(recipe, Recipe):
        return recipe
    if callable(recipe):
        raise ModelError("`recipe` is a method; write @property above it")
    raise ModelError(f"`recipe` is {_noun(recipe)}, expected an influbench.Recipe")


def _of_build(rehearsal: Rehearsal) -> Iterator[Fault]:
    module, _ = rehearsal.built(0)
    if isinstance(module, type):
        yield Fault(f"build returned the class {module.__name__}", "return an instance of it")
    elif not isinstance(module, nn.Module):
        yield Fault(f"build returned {_noun(module)}", "return a torch.nn.Module")
    if not rehearsal.data_are_unchanged:
        yield Fault("build writes into the data that it is given", "work on copies of tensors")
    try:
        rehearsal.trainer.network  # noqa: B018
    except ModelError as error:
        yield Fault(str(error), "")


def _of_start(rehearsal: Rehearsal) -> Iterator[Fault]:
    first, second = (rehearsal.trainer.initial_parameters(0) for _ in range(2))
    if any(not same(first[name], second[name]) for name in first):
        yield Fault(
            "two modules built under one random state differ", "draw initial parameters from torch's generator only"
        )
    (module, state), (again, other) = (rehearsal.built(seed) for seed in (0, 1))
    if torch.equal(state, other):
        yield Fault(
            "build sets torch's random state, so that every seed would start alike",
            "take torch.manual_seed out of it: the state is set before the call",
        )
    if module is again or _storages(module) & _storages(again):
        yield Fault(
            "build returns the parameters that it returned before, so that every seed would start alike",
            "make a new module at each call",
        )


def _of_outputs(rehearsal: Rehearsal) -> Iterator[Fault]:
    try:
        call = rehearsal.first
    except (RuntimeError, ValueError) as error:
        if _runs_in_float32(rehearsal):
            yield Fault(
                f"the model runs in float32 and not in float64, which is needed, too ({type_and_message(error)})",
                "make new tensors like the inputs, for instance by inputs.new_zeros(...)",
            )
        raise
    if not isinstance(call.outputs, Tensor):
        yield Fault(f"forward returns {_noun(call.outputs)}", "return the outputs alone, one tensor")
    if not has_floats(call.outputs):
        yield Fault(f"forward returns {call.outputs.dtype}", "return floating-point scores, before any argmax")
    yield from _of_shapes(rehearsal, call, len(rehearsal.examples))
    if bool(call.outputs.isnan().any()):
        yield Fault(
            "forward gives outputs that are NaN before training",
            "start from smaller values, and take no logarithm or quotient of what may be 0",
        )
    if not call.outputs.requires_grad:
        yield Fault(
            "no gradient reaches the parameters from the outputs",
            "take detach(), .data, numpy and no_grad() out of forward",
        )
    yield from _of_shapes(rehearsal, rehearsal.alone[0], 1)


def _of_shapes(rehearsal: Rehearsal, call: Call, n: int) -> Iterator[Fault]:
    shape, expected = tuple(call.outputs.shape), rehearsal.shapes(n)
    examples = f"{n} example{'s' * (n != 1)}"
    if shape not in expected:
        names = "(n, n_classes)" if len(expected) == 1 else "(n, 1)"
        yield Fault(
            f"forward gives outputs of shape {shape} for {examples}, expected {names} = {expected[0]}",
            "size the last layer by `data.n_classes or 1`, and keep the axis of examples",
        )
    if call.wrote is None and not (has_floats(call.losses) and tuple(call.losses.shape) == (n,)):
        given = f"shape {tuple(call.losses.shape)}" if has_floats(call.losses) else _noun(call.losses)
        yield Fault(
            f"loss gives {given} for {examples}, expected one loss each, ({n},)",
            'do not average over the examples: reduction="none"',
        )


def _of_inputs(rehearsal: Rehearsal) -> Iterator[Fault]:
    if wrote := rehearsal.first.wrote:
        yield Fault(wrote, "work on a copy: x = x * 2 in place of x *= 2, and layers with inplace=False")


def _of_calls(rehearsal: Rehearsal) -> Iterator[Fault]:
    again, drawn = (rehearsal.call(rehearsal.examples, seed=seed, in_step=True) for seed in (0, 1))
    if not _agree(rehearsal.first, again):
        yield Fault(
            "a second call on the same inputs gives other outputs",
            "keep no counters, running averages or caches in the module",
        )
    if not _agree(again, drawn):
        yield Fault(
            "forward or loss draws random numbers",
            "write dropout as layers of torch, whose draws are keyed by example: nn.Dropout in place of F.dropout",
        )


def _of_examples(rehearsal: Rehearsal) -> Iterator[Fault]:
    first, alone = rehearsal.evaluated, rehearsal.alone
    if not _close(first.outputs, torch.cat([call.outputs for call in alone])):
        yield Fault(
            "an example's outputs depend on the others of its batch",
            "take no mean, norm or softmax over the axis of examples, except by torch's own batch norm",
        )
    if not _close(first.losses, torch.cat([call.losses for call in alone])):
        yield Fault(
            "an example's loss depends on the others of its batch", "compute each loss from its own outputs and label"
        )


def _of_stacks(rehearsal: Rehearsal) -> Iterator[Fault]:
    together, alone = rehearsal.in_a_stack_and_alone()
    if not _close(together, alone):
        yield Fault(
            "a network in a stack gives other outputs than alone", "use no control flow by values and keep no state"
        )
    if not _close(rehearsal.as_module(), alone[1]):
        yield Fault(
            "a network gives other outputs than a module of its own with its parameters",
            "keep nothing in the module that depends on its parameters",
        )
    network = rehearsal.trainer.network
    if not (network.draws or network.statistics or _close(rehearsal.first.outputs, rehearsal.evaluated.outputs)):
        yield Fault(
            "forward gives other outputs in evaluation mode than in training mode",
            "do the same in both: let forward see no self.training",
        )


def _of_training(rehearsal: Rehearsal) -> Iterator[Fault]:
    difference = largest_difference(rehearsal.trainer, rehearsal.rows)
    if difference > _OF_TRAINING:
        yield Fault(
            f"training in a stack differs from training in plain torch by {difference:.1g} of what training moves",
            "take out what acts on the backward pass: hooks, checkpointing, autocast, work in place",
        )


def _of_batches(rehearsal: Rehearsal) -> Iterator[Fault]:
    trainer = rehearsal.trainer
    n_train = len(trainer.data.train)
    if trainer.network.statistics and smallest_batch(trainer.recipe, n_train) == 1:
        yield Fault(
            "batch norm has no variance in a batch of one example",
            f"choose a batch_size that does not leave one example of {n_train} over",
        )


def _of_gradients(rehearsal: Rehearsal) -> Iterator[Fault]:
    gradients = rehearsal.gradients
    if not gradients:
        yield Fault(
            "no gradient reaches the parameters from the loss", "keep every step from parameters to loss differentiable"
        )
    if unused := [name for name in rehearsal.leaves if name not in gradients]:
        yield Fault(
            f"no gradient reaches the parameter {unused[0]!r} from the loss",
            "use it, or take it out of training by requires_grad_(False)",
        )
    if not all(bool(gradient.isfinite().all()) for gradient in gradients.values()):
        yield Fault("the loss has gradients that are not finite before training", "start from smaller values")


REQUIREMENTS = [
    Requirement("build", "builds a torch module that can be trained in replicas", _of_build),
    Requirement(
        "determinism",
        "builds the same parameters under the same random state, and does not set that state",
        _of_start,
        needs="build",
    ),
    Requirement(
        "outputs",
        "gives outputs (n, n_classes), or (n, 1) for regression, and one loss for each example",
        _of_outputs,
        needs="build",
    ),
    Requirement("inputs", "leaves inputs, labels and parameters unchanged", _of_inputs, needs="outputs"),
    Requirement(
        "calls", "gives the same outputs for the same inputs and parameters at every call", _of_calls, needs="inputs"
    ),
    Requirement(
        "examples",
        "an example's outputs and loss do not depend on the others of its batch",
        _of_examples,
        needs="calls",
    ),
    Requirement("gradients", "its loss has finite gradients", _of_gradients, needs="examples"),
    Requirement(
        "stack", "is the same in a stack of networks as alone, and in evaluation mode", _of_stacks, needs="gradients"
    ),
    Requirement(
        "batches", "has batch norm only where batches have more than one example", _of_batches, needs="outputs"
    ),
    Requirement("training", "trains in a stack as in plain torch", _of_training, needs="stack"),
]


def _storages(module: object) -> set[int]:
    """The storage of its trained parameters."""
    parameters = module.parameters() if isinstance(module, nn.Module) else ()
    return {p.untyped_storage().data_ptr() for p in parameters if p.requires_grad and p.numel()}


def _runs_in_float32(rehearsal: Rehearsal) -> bool:
    trainer, examples = replace(rehearsal.trainer, dtype=torch.float32), rehearsal.examples.to(torch.float32)
    try:
        outputs = trainer.network.single(trainer.initial_parameters(0), examples.inputs)
        trainer.model.loss(outputs, examples.labels)
    except (RuntimeError, ValueError):
        return False
    return True


def _agree(first: Call, second: Call) -> bool:
    return _close(first.outputs, second.outputs) and _close(first.losses, second.losses)


def _close(expected: Tensor, found: Tensor) -> bool:
    expected, found = expected.detach(), found.detach()
    largest = float(expected.nan_to_num(0, 0, 0).abs().max())
    tolerance = largest * _TOLERANCES.get(expected.dtype, _TOLERANCE)
    return expected.shape == found.shape and torch.allclose(expected, found, rtol=0, atol=tolerance, equal_nan=True)


def _noun(value: object) -> str:
    return "None" if value is None else f"a {type(value).__name__}"
