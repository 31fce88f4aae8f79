"""Per-example gradients of one network with respect to the parameters that training moves."""

from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor
from torch.func import grad, vmap

from influbench.api import MeasureName, Problem, Split

OfNetwork = Mapping[str, Tensor]  # parameters of one network, by name
OfExamples = Callable[[OfNetwork, Tensor, Tensor], Tensor]  # parameters, inputs (n, ...), labels (n,) -> (n,)

_NUMBERS = 2**24  # entries of per-example gradients held in memory at a time


def example_losses(problem: Problem) -> OfExamples:
    """The loss of each example."""
    return lambda parameters, inputs, labels: problem.loss(problem.forward(parameters, inputs), labels)


def example_measures(problem: Problem, measure: MeasureName | None = None) -> OfExamples:
    """The problem's measure, or another one, of each example."""
    return lambda parameters, inputs, labels: problem.measured(
        problem.forward(parameters, inputs), labels, measure=measure
    )


def trained_and_frozen(problem: Problem, parameters: OfNetwork) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The parameters that training moves, and the parameters that keep their initial values."""
    trained = {name: p for name, p in parameters.items() if name in problem.trainable}
    return trained, {name: p for name, p in parameters.items() if name not in problem.trainable}


def moved(problem: Problem, parameters: OfNetwork) -> dict[str, Tensor]:
    """What training changes: the trained parameters, and the running statistics of batch norm."""
    names = {*problem.trainable, *problem.statistics}
    return {name: values for name, values in parameters.items() if name in names}


def n_trained_parameters(problem: Problem) -> int:
    """The number of scalar parameters that training moves."""
    trained, _ = trained_and_frozen(problem, problem.initial_parameters(0))
    return sum(p.numel() for p in trained.values())


def loss_gradients(problem: Problem, parameters: OfNetwork, split: Split) -> Iterator[Tensor]:
    """Gradient of each example's loss, (n, n_parameters), a few examples at a time.

    Entries are in the order of the trainable parameters, each flattened.
    """
    return _in_chunks(example_losses(problem), *trained_and_frozen(problem, parameters), split)


def measure_gradients(
    problem: Problem, parameters: OfNetwork, split: Split, *, measure: MeasureName | None = None
) -> Iterator[Tensor]:
    """Gradient of each example's measure, the problem's or another one, in the same form."""
    return _in_chunks(example_measures(problem, measure), *trained_and_frozen(problem, parameters), split)


def measure_gradients_by_name(
    problem: Problem, parameters: OfNetwork, split: Split, *, measure: MeasureName | None = None
) -> dict[str, Tensor]:
    """Gradients of all examples at once, (n, ...) for each trained parameter and each running statistic."""
    of = moved(problem, parameters)
    others = {name: values for name, values in parameters.items() if name not in of}
    return _by_name(example_measures(problem, measure), of, others, split)


def gradients(values: OfExamples, trained: OfNetwork, others: OfNetwork, split: Split) -> Tensor:
    """Gradient of each example's value with respect to the parameters `trained`, (n, n_parameters)."""
    by_name = _by_name(values, trained, others, split)
    return torch.cat([gradient.flatten(1) for gradient in by_name.values()], dim=1)


def chunks(split: Split, n_parameters: int) -> Iterator[Split]:
    """The examples, as many at a time as have gradients that fit in memory together."""
    at_a_time = max(1, _NUMBERS // max(1, n_parameters))
    for start in range(0, len(split), at_a_time):
        yield split.rows(slice(start, start + at_a_time))


def _in_chunks(values: OfExamples, trained: OfNetwork, frozen: OfNetwork, split: Split) -> Iterator[Tensor]:
    for chunk in chunks(split, sum(p.numel() for p in trained.values())):
        yield gradients(values, trained, frozen, chunk)


def _by_name(values: OfExamples, trained: OfNetwork, others: OfNetwork, split: Split) -> dict[str, Tensor]:
    def value(trained: OfNetwork, inputs: Tensor, label: Tensor) -> Tensor:
        return values({**others, **trained}, inputs[None], label[None])[0]

    of_one, at = grad(value), dict(trained)
    try:
        found: dict[str, Tensor] = vmap(of_one, in_dims=(None, 0, 0))(at, split.inputs, split.labels)
    except RuntimeError:  # vmap cannot follow some modules, nn.GRU among them
        each = [of_one(at, inputs, label) for inputs, label in zip(split.inputs, split.labels, strict=True)]
        found = {name: torch.stack([gradients[name] for gradients in each]) for name in at}
    return found
