"""A trained network in float64 as a function of one vector, and the curvature of its mean training loss there."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.func import grad, jacrev, vjp, vmap

from influbench.api import Problem, Split
from influbench.estimators.gradients import trained_and_frozen

Curvature = Literal["gauss_newton", "hessian"]
OfTensor = Callable[[Tensor], Tensor]

_EXAMPLES, _DIRECTIONS = 128, 16  # in one product, which holds the activations of every pair in memory
_NUMBERS = 2**24  # entries of output gradients held in memory at a time


@dataclass(frozen=True, eq=False)
class Network:
    """One trained network. A point is a vector of trainable parameters, in the order of `gradients.loss_gradients`."""

    problem: Problem
    parameters: Mapping[str, Tensor]  # of one network, by name, float64
    train: Split  # float64
    test: Split  # float64

    @property
    def trained(self) -> Mapping[str, Tensor]:
        """The parameters that training moves."""
        return trained_and_frozen(self.problem, self.parameters)[0]

    @property
    def point(self) -> Tensor:
        """The point at which training ended, (n_parameters,)."""
        return torch.cat([p.flatten() for p in self.trained.values()])

    def outputs(self, point: Tensor, inputs: Tensor) -> Tensor:
        """Outputs of the network at this point."""
        trained = self.trained
        pieces = point.split([p.numel() for p in trained.values()])
        moved = {name: piece.view_as(p) for (name, p), piece in zip(trained.items(), pieces, strict=True)}
        return self.problem.forward({**self.parameters, **moved}, inputs)

    def loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Summed loss of the examples with these outputs."""
        return self.problem.loss(outputs, labels).sum()


def in_float64(problem: Problem, parameters: Mapping[str, Tensor]) -> Network:
    """The network with these parameters and its data, in float64 because influences are small differences."""
    doubled = {name: p.detach().double() for name, p in parameters.items()}
    data = problem.data.to(torch.float64)
    return Network(problem, doubled, data.train, data.test)


def curvature_product(network: Network, curvature: Curvature, *, added: float) -> OfTensor:
    """A map from rows (n, n_parameters) to their products with the mean loss's curvature plus `added` times identity.

    `gauss_newton` is the mean of J^T L J, where J holds the derivatives of an example's outputs and L the loss's second
    derivatives in the outputs: the Hessian without the curvature of the network itself (Martens 2020, section 8).
    """
    of_examples = {"gauss_newton": _gauss_newton_product, "hessian": _hessian_product}[curvature]

    def product(directions: Tensor) -> Tensor:
        total = added * directions
        for examples in _chunks(network.train, _EXAMPLES):
            total += vmap(of_examples(network, examples), chunk_size=_DIRECTIONS)(directions) / len(network.train)
        return total

    return product


def gauss_newton_factors(network: Network) -> Iterator[tuple[Tensor, Tensor]]:
    """Rows r (n, n_parameters) and signs s (n,), a few at a time; the Gauss-Newton matrix is the sum of s r r^T.

    An example gives as many rows as it has outputs. All signs are 1 if the loss is convex in the outputs.
    """
    point = network.point

    def derivatives(inputs: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        outputs = network.outputs(point, inputs[None])
        first = jacrev(lambda at: network.outputs(at, inputs[None]))(point)
        second = jacrev(grad(network.loss))(outputs, label[None])
        return first.reshape(outputs.numel(), -1), second.reshape(outputs.numel(), -1)

    n_outputs = network.outputs(point, network.train.inputs[:1]).numel()
    for examples in _chunks(network.train, max(1, _NUMBERS // (n_outputs * len(point)))):
        jacobians, seconds = vmap(derivatives)(examples.inputs, examples.labels)
        weights, axes = torch.linalg.eigh(seconds)
        scaled = (weights.abs() / len(network.train)).sqrt()[..., None] * (axes.mT @ jacobians)
        yield scaled.flatten(0, 1), weights.sign().flatten()


# Only reverse mode, which more operations support than forward mode: J^T is linear, so its own pull-back is J.


def _gauss_newton_product(network: Network, examples: Split) -> OfTensor:
    """The product of one direction with the Gauss-Newton matrix, summed over these examples."""
    point = network.point

    def outputs_at(at: Tensor) -> Tensor:
        return network.outputs(at, examples.inputs)

    def pulled_back(slopes: Tensor) -> Tensor:
        return _pull_back(outputs_at, point)(slopes)

    outputs = outputs_at(point)
    pull_back = _pull_back(outputs_at, point)
    push_forward = _pull_back(pulled_back, torch.zeros_like(outputs))
    bend = _pull_back(grad(lambda at: network.loss(at, examples.labels)), outputs)
    return lambda direction: pull_back(bend(push_forward(direction)))


def _hessian_product(network: Network, examples: Split) -> OfTensor:
    """The product of one direction with the Hessian, summed over these examples."""
    slope = grad(lambda at: network.loss(network.outputs(at, examples.inputs), examples.labels))
    return _pull_back(slope, network.point)


def _pull_back(function: OfTensor, at: Tensor) -> OfTensor:
    """The transposed derivative of a function of one tensor."""
    pulled = vjp(function, at)[1]

    def first(cotangent: Tensor) -> Tensor:
        gradient: Tensor = pulled(cotangent)[0]
        return gradient

    return first


def _chunks(split: Split, size: int) -> Iterator[Split]:
    for start in range(0, len(split), size):
        yield split.rows(slice(start, start + size))
