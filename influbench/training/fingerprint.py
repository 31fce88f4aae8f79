"""Content keys of everything that a training depends on, so that stored results are found by content, not by name."""

from collections.abc import Iterator
from dataclasses import replace
from hashlib import blake2b

import torch
from torch import Tensor

from influbench.api import Optimizer, Schedule, Split
from influbench.isolation import isolated
from influbench.measures import example_losses
from influbench.networks.step import StackedStep
from influbench.training import VERSION
from influbench.training.loop import Trainer
from influbench.training.updates import Parameters, UpdateRule

_BATCH = 32
_STEPS = 3  # of an optimizer: enough to start its moments, use them, and use them again
_SCALES = (1.0, 4.0)  # of the initial parameters, so that code that acts only on large outputs is covered


def digest(*parts: object) -> str:
    """A content key of tensors (exact bytes, shape and dtype) and of anything with a faithful repr."""
    state = blake2b(digest_size=16)
    for part in parts:
        if isinstance(part, Tensor):
            state.update(repr((tuple(part.shape), part.dtype)).encode())
            state.update(part.detach().cpu().contiguous().numpy().tobytes())
        else:
            state.update(repr(part).encode())
        state.update(b"\0")
    return state.hexdigest()


def training_key(trainer: Trainer, seed: int) -> str:
    """Key of everything that decides a training of this seed, except the contents of its course (weights, masks, ...).

    Besides data, model, recipe and initial parameters it covers what the network *does* before training (outputs,
    losses and gradients on one batch), so that an edited `forward` or `loss` gives another key. It also covers the
    learning rates of a plugin's schedule and the steps of a plugin's optimizer; VERSION covers the built-in ones.
    """
    with isolated():
        behavior = (*_behavior(trainer, seed), *_of_plugins(trainer.rule, trainer.n_steps))
        return digest(VERSION, *trainer.decided_by(seed), *behavior)


def _behavior(trainer: Trainer, seed: int) -> Iterator[object]:
    """Outputs, losses and gradients of the network before training, in float64."""
    precise = replace(trainer, dtype=torch.float64)
    batch = trainer.data.train.rows(slice(0, _BATCH)).to(torch.float64)
    for scale in _SCALES:
        parameters = {name: scale * p for name, p in precise.initial_parameters(seed).items()}
        leaves = [parameters[name].requires_grad_() for name in sorted(precise.network.trainable)]
        with torch.enable_grad():
            outputs = precise.network.single(parameters, batch.inputs)
            losses = example_losses(trainer.model, outputs, batch.labels)
            gradients = torch.autograd.grad(losses.sum(), leaves, allow_unused=True)
        for values in (outputs, losses, *gradients):
            yield from ("unused",) if values is None else _rounded(values.detach())
        if precise.network.draws or precise.network.statistics:
            yield from _behavior_in_a_step(precise, parameters, batch)


def _behavior_in_a_step(trainer: Trainer, parameters: Parameters, batch: Split) -> Iterator[object]:
    """Outputs and running statistics in the first step of a training: what random layers and batch norm do."""
    stack = {name: p.detach()[None] for name, p in parameters.items()}
    rows = torch.arange(len(batch), device=batch.ids.device)
    keys = trainer.draws(rows, seeds=[0]).of_step()
    step = StackedStep(keys, torch.ones_like(keys, dtype=torch.float64))
    with torch.no_grad():
        outputs, statistics = trainer.network.training_outputs(stack, batch.inputs[None], None, step)
    yield from _rounded(outputs)
    for name in sorted(statistics):
        yield from (name, *_rounded(statistics[name]))


def _of_plugins(rule: UpdateRule, n_steps: int) -> Iterator[object]:
    """Settings and first steps of an optimizer, and all rates of a schedule, that are not built in."""
    if not _is_built_in(rule.optimizer):
        yield repr(rule.optimizer)
        yield from _steps(rule)
    if not _is_built_in(rule.schedule):
        yield from _rounded(torch.tensor(rule.learning_rates(n_steps), dtype=torch.float64))


def _is_built_in(part: Optimizer | Schedule) -> bool:
    return type(part).__module__.partition(".")[0] == "influbench"


def _steps(rule: UpdateRule) -> Iterator[object]:
    """Parameters and moments after each of a few steps on fixed numbers, a matrix and a vector."""
    numbers = torch.linspace(-1, 1, 16, dtype=torch.float64)
    parameters: Parameters = {"weight": numbers[None, :12].reshape(1, 4, 3), "bias": numbers[None, 12:]}
    state = rule.initial_state(parameters)
    for step in range(_STEPS):
        gradients = {name: (p + step).cos() for name, p in parameters.items()}
        parameters, state = rule.step(parameters, gradients, state, learning_rate=rule.recipe.learning_rate)
        for values in (parameters, *state.moments.values()):
            yield from (item for name in sorted(values) for item in (name, *_rounded(values[name])))


def _rounded(values: Tensor) -> tuple[str, str]:
    """Values rounded to six digits of the largest; differences between processors are far smaller."""
    largest = values.abs().max().item()
    steps = (values * (1e6 / largest if largest else 0)).round().to(torch.int64)
    return f"{largest:.6e}", digest(steps)
