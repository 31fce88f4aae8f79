"""A short training of a stack against the same in plain torch: own parameters, ordinary autograd, real removal.

Whatever breaks a stacked training of some module (code that runs again in the backward pass, hooks, work in place, a
lower precision inside) makes the two differ.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from influbench.isolation import isolated
from influbench.measures import example_losses
from influbench.networks.random_layers import make_keyed
from influbench.networks.replicas import Parameters
from influbench.networks.step import Step, within
from influbench.training.course import Batch
from influbench.training.loop import Trainer

_STEPS = 2


def largest_difference(trainer: Trainer, rows: Tensor) -> float:
    """The largest difference of the two in any parameter, in units of how far training moves the parameters.

    The batch of each step has these train points. One network is trained on all, one without the first.
    """
    start: Parameters = {name: torch.stack([p, p]) for name, p in trainer.initial_parameters(0).items()}
    stack, state = start, trainer.initial_state(start)
    weights = torch.ones(2, len(rows), dtype=trainer.dtype, device=trainer.device)
    weights[1, 0] = 0
    with isolated(0), torch.no_grad():
        for step in range(min(_STEPS, trainer.n_steps)):
            draws = trainer.draws(rows, seeds=[0], step=step)
            stack, state = trainer.update(stack, state, Batch(rows, weights, draws=draws))
    differences, moved = [0.0], [0.0]
    for replica, kept in enumerate((slice(None), slice(1, None))):
        for name, plain in _plainly_trained(trainer, rows, kept):
            differences.append(float((stack[name][replica] - plain).norm()))
            moved.append(float((plain - start[name][replica]).norm()))
    return max(differences) / max(moved) if max(moved) else 0.0


def _plainly_trained(trainer: Trainer, rows: Tensor, kept: slice) -> Iterator[tuple[str, Tensor]]:
    """Parameters and running statistics by name, after the steps on the kept rows."""
    with isolated(0):
        module = trainer.built(0)
    for name, part in module.named_modules():
        make_keyed(name, part)
    train, trained = trainer.data.train.rows(rows[kept]).to(trainer.dtype), trainer.network.trainable
    parameters = {name: p for name, p in module.named_parameters() if name in trained}
    state = trainer.initial_state({name: p.detach()[None] for name, p in parameters.items()})
    for step in range(min(_STEPS, trainer.n_steps)):
        keys = trainer.draws(rows, seeds=[0], step=step).of_step()[0, kept]
        in_step = Step(keys, torch.ones_like(keys, dtype=trainer.dtype), step)
        with isolated(0), torch.enable_grad(), within(in_step):
            losses = example_losses(trainer.model, module(train.inputs), train.labels, trainer.recipe.label_smoothing)
            gradients = torch.autograd.grad(losses.sum() / len(rows), list(parameters.values()))
        with torch.no_grad():
            stacked, state = trainer.rule.step(
                {name: p.detach()[None] for name, p in parameters.items()},
                {name: gradient[None] for name, gradient in zip(parameters, gradients, strict=True)},
                state,
                learning_rate=trainer.learning_rates[step],
            )
            for name, p in parameters.items():
                p.copy_(stacked[name][0])
    yield from ((name, p.detach()) for name, p in parameters.items())
    yield from ((name, values) for name, values in module.named_buffers() if name in trainer.network.statistics)
