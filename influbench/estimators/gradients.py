"""Per-example gradients of one network, over the parameters that training moves."""

from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor
from torch.func import grad, vmap

from influbench.api import MeasureName, Problem, Split

OfNetwork = Mapping[str, Tensor]  # parameters of one network, by name

_NUMBERS = 2**24  # per-example gradient entries held at a time


def trained_and_frozen(problem: Problem, parameters: OfNetwork) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The parameters that training moves, and those that stay as they were initialised."""
    trained = {name: p for name, p in parameters.items() if name in problem.trainable}
    return trained, {name: p for name, p in parameters.items() if name not in problem.trainable}


def loss_gradients(problem: Problem, parameters: OfNetwork, split: Split) -> Iterator[Tensor]:
    """Gradient of each example's loss, (n, n_parameters), some examples at a time.

    Entries stand in the order of the trainable parameters, each flattened.
    """
    trained, frozen = trained_and_frozen(problem, parameters)

    def loss(trained: OfNetwork, inputs: Tensor, label: Tensor) -> Tensor:
        return problem.model.loss(problem.forward({**frozen, **trained}, inputs[None]), label[None])[0]

    return _gradients(loss, trained, split)


def measure_gradients(problem: Problem, parameters: OfNetwork, split: Split) -> Iterator[Tensor]:
    """Gradient of the problem's measure of each example, in the same form."""
    trained, frozen = trained_and_frozen(problem, parameters)
    return _gradients(_measure(problem, frozen, None), trained, split)


def measure_gradients_by_name(
    problem: Problem, parameters: OfNetwork, split: Split, *, measure: MeasureName | None = None
) -> dict[str, Tensor]:
    """Gradient of the problem's measure, or another, of each example by each trainable parameter, (n, ...)."""
    trained, frozen = trained_and_frozen(problem, parameters)
    return _by_name(_measure(problem, frozen, measure), trained, split)


def _measure(problem: Problem, frozen: OfNetwork, name: MeasureName | None) -> Callable[..., Tensor]:
    def measure(trained: OfNetwork, inputs: Tensor, label: Tensor) -> Tensor:
        return problem.measured(problem.forward({**frozen, **trained}, inputs[None]), label[None], measure=name)[0]

    return measure


def _gradients(function: Callable[..., Tensor], trained: OfNetwork, split: Split) -> Iterator[Tensor]:
    at_a_time = max(1, _NUMBERS // sum(p.numel() for p in trained.values()))
    for start in range(0, len(split), at_a_time):
        by_name = _by_name(function, trained, split.rows(slice(start, start + at_a_time)))
        yield torch.cat([gradient.flatten(1) for gradient in by_name.values()], dim=1)


def _by_name(function: Callable[..., Tensor], trained: OfNetwork, split: Split) -> dict[str, Tensor]:
    gradients: dict[str, Tensor] = vmap(grad(function), in_dims=(None, 0, 0))(dict(trained), split.inputs, split.labels)
    return gradients
