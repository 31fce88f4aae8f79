"""Inner products and norms of per-example gradients, without writing the gradients out where that can be avoided.

A linear layer's gradient at one example is the outer product of its output's gradient and its input (with a 1 for its
bias). The inner product of two such gradients is the inner product of the output gradients times the inner product of
the inputs. The gradient of a convolution, or of a linear layer that runs at several positions, is a sum of such outer
products over positions, one matrix product for each example. All other parameters are left to `torch.func`, including
those that are used twice: to verify that only one layer uses its parameters, its outer products must add up to
autograd's gradient of the sum.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from influbench.api import Problem, Split
from influbench.estimators.gradients import (
    OfExamples,
    OfNetwork,
    chunks,
    example_losses,
    example_measures,
    gradients,
    trained_and_frozen,
)

_TRIED = 8  # examples on which layers are tested for being the only users of their parameters
_TOLERANCE = {torch.float32: 1e-3, torch.float64: 1e-9}  # of the largest entry of the summed gradient

Names = tuple[str, ...]  # of a layer's weight, and of its bias if that is trained


class GradientProducts:
    """Per-example gradients of networks of one problem. `parameters` serve to find the layers with outer products."""

    def __init__(self, problem: Problem, parameters: OfNetwork) -> None:
        self._problem = problem
        few = problem.data.train.rows(slice(0, _TRIED))
        self._layers = _layers_alone(*trained_and_frozen(problem, parameters), few, example_losses(problem))

    def products(self, parameters: OfNetwork) -> Tensor:
        """Inner products of train points' loss and test points' measure gradients, (n_train, n_test) float64."""
        n_parameters = 2 * sum(p.numel() for p in parameters.values())  # of a train and of a test point
        rows = [
            [self._pairs(parameters, train, test) for test in chunks(self._problem.data.test, n_parameters)]
            for train in chunks(self._problem.data.train, n_parameters)
        ]
        return torch.cat([torch.cat(row, dim=1) for row in rows]).double().cpu()

    def norms(self, parameters: OfNetwork) -> tuple[Tensor, Tensor]:
        """Norms of train points' loss gradients, (n_train,), and test points' measure gradients, (n_test,), float64."""
        problem = self._problem
        of_train = self._norms(parameters, problem.data.train, example_losses(problem))
        return of_train, self._norms(parameters, problem.data.test, example_measures(problem))

    def _pairs(self, parameters: OfNetwork, train: Split, test: Split) -> Tensor:
        """The products of a few train points with a few test points, which pass through the network together."""
        losses, measures, n = example_losses(self._problem), example_measures(self._problem), len(train)
        trained, frozen = trained_and_frozen(self._problem, parameters)
        products = train.inputs.new_zeros(n, len(test))
        for part in _of_layers(self._layers, trained, frozen, _joined(train, test), self._values_of_both(n)):
            products += part.products(n)
        rest, others = self._rest(parameters)
        if rest:
            products += gradients(losses, rest, others, train) @ gradients(measures, rest, others, test).T
        return products

    def _values_of_both(self, n: int) -> OfExamples:
        """A function that returns the loss of the first n examples and the measure of the others."""
        problem = self._problem

        def values(parameters: OfNetwork, inputs: Tensor, labels: Tensor) -> Tensor:
            outputs = problem.forward(parameters, inputs)
            return torch.cat([problem.loss(outputs[:n], labels[:n]), problem.measured(outputs[n:], labels[n:])])

        return values

    def _norms(self, parameters: OfNetwork, split: Split, values: OfExamples) -> Tensor:
        trained, frozen = trained_and_frozen(self._problem, parameters)
        rest, others = self._rest(parameters)
        norms = []
        for chunk in chunks(split, sum(p.numel() for p in trained.values())):
            parts: list[_Part] = _of_layers(self._layers, trained, frozen, chunk, values)
            if rest:
                parts.append(_Written(gradients(values, rest, others, chunk)))
            norms.append(torch.stack([part.square_norms() for part in parts]).double().sum(0).sqrt().cpu())
        return torch.cat(norms)

    def _rest(self, parameters: OfNetwork) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The trained parameters that do not belong to such a layer, and all other parameters."""
        covered = {name for names in self._layers for name in names}
        rest = {name for name in self._problem.trainable if name not in covered}
        return (
            {name: p for name, p in parameters.items() if name in rest},
            {name: p for name, p in parameters.items() if name not in rest},
        )


@dataclass(frozen=True, eq=False)
class _Outer:
    """Gradients that are the outer product of two vectors for each example."""

    outputs: Tensor  # (n, n_out)
    inputs: Tensor  # (n, n_in)

    def products(self, n: int) -> Tensor:
        """The products of the first n with the others."""
        return (self.outputs[:n] @ self.outputs[n:].T).mul_(self.inputs[:n] @ self.inputs[n:].T)

    def square_norms(self) -> Tensor:
        return self.outputs.square().sum(1) * self.inputs.square().sum(1)

    def total(self) -> Tensor:
        return (self.outputs.T @ self.inputs).flatten()


@dataclass(frozen=True, eq=False)
class _Written:
    """Gradients that are written out."""

    entries: Tensor  # (n, n_entries)

    def products(self, n: int) -> Tensor:
        """The products of the first n with the others."""
        return self.entries[:n] @ self.entries[n:].T

    def square_norms(self) -> Tensor:
        return self.entries.square().sum(1)

    def total(self) -> Tensor:
        return self.entries.sum(0)


_Part = _Outer | _Written


def _joined(first: Split, second: Split) -> Split:
    return Split(*(torch.cat([getattr(split, field.name) for split in (first, second)]) for field in fields(Split)))


def _layers_alone(trained: OfNetwork, frozen: OfNetwork, few: Split, values: OfExamples) -> list[Names]:
    """The layers whose outer products give the whole gradient of their parameters."""
    total, layers, leaves = _recorded(trained, frozen, few, values)
    outputs = [layer.output for layer in layers]
    found = torch.autograd.grad(total, [*outputs, *leaves.values()], materialize_grads=True, allow_unused=True)
    sums = dict(zip(leaves, found[len(layers) :], strict=True))
    alone = []
    for layer, of_output in zip(layers, found, strict=False):
        expected = torch.cat([sums[name].reshape(len(sums[name]), -1) for name in layer.names], dim=1).flatten()
        largest, off = expected.abs().max(), (layer.part(of_output).total() - expected).abs().max()
        if largest > 0 and off <= _TOLERANCE.get(expected.dtype, 0.0) * largest:
            alone.append(layer.names)
    return alone


def _of_layers(
    names: Sequence[Names], trained: OfNetwork, frozen: OfNetwork, split: Split, values: OfExamples
) -> list[_Part]:
    """Gradients of each example's value with respect to the parameters of these layers."""
    if not names:
        return []
    total, layers, _ = _recorded(trained, frozen, split, values)
    by_names = {layer.names: layer for layer in layers}
    chosen = [by_names[of_layer] for of_layer in names]
    found = torch.autograd.grad(total, [layer.output for layer in chosen])
    return [layer.part(of_output) for layer, of_output in zip(chosen, found, strict=True)]


def _recorded(
    trained: OfNetwork, frozen: OfNetwork, split: Split, values: OfExamples
) -> tuple[Tensor, list["_Layer"], dict[str, Tensor]]:
    """The summed value, the layers that ran once to compute it, and the parameters that it depends on."""
    leaves = {name: p.detach().requires_grad_() for name, p in trained.items()}
    recorder = _Recorder({id(p): name for name, p in leaves.items()}, len(split))
    with torch.enable_grad(), recorder:
        total = values({**frozen, **leaves}, split.inputs, split.labels).sum()
    return total, recorder.layers, leaves


@dataclass(frozen=True, eq=False)
class _Layer:
    """A linear layer or a convolution that ran on the examples."""

    names: Names
    inputs: Tensor  # (n, n_positions, n_in), the last of them 1 where a bias is trained
    output: Tensor
    units: int  # axis of the output that counts its units

    def part(self, of_output: Tensor) -> _Part:
        """The gradient of the layer's parameters, from the gradient of its output."""
        n, n_positions, _ = self.inputs.shape
        by_position = of_output.movedim(self.units, -1).reshape(n, n_positions, -1)
        if n_positions == 1:
            return _Outer(by_position[:, 0], self.inputs[:, 0])
        return _Written((by_position.mT @ self.inputs).flatten(1))


class _Recorder(TorchFunctionMode):
    """A context that records the calls of linear layers and convolutions with these parameters, on n examples."""

    def __init__(self, names: Mapping[int, str], n: int) -> None:
        super().__init__()
        self._names, self._n = names, n
        self._found: dict[Names, list[_Layer]] = {}

    @property
    def layers(self) -> list[_Layer]:
        """The layers that ran once."""
        return [layers[0] for layers in self._found.values() if len(layers) == 1]

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the result of the function, and record the call if it is a layer's."""
        output = function(*args, **(kwargs or {}))
        if function in (functional.linear, functional.conv2d) and not kwargs:
            self._note(output, *args)
        return output

    def _note(self, output: Tensor, inputs: Tensor, weight: Tensor, bias: Tensor | None = None, *options: Any) -> None:
        """Record one call."""
        if id(weight) not in self._names or inputs.ndim == 1 or len(inputs) != self._n:
            return
        patches = _patches(inputs.detach(), weight, *options) if weight.ndim == 4 else inputs.detach()
        if patches is None:
            return
        by_position = patches.reshape(self._n, -1, patches.shape[-1])
        names: Names = (self._names[id(weight)],)
        if bias is not None and id(bias) in self._names:
            names = (*names, self._names[id(bias)])
            by_position = torch.cat([by_position, by_position.new_ones(*by_position.shape[:2], 1)], dim=2)
        layer = _Layer(names, by_position, output, units=1 if weight.ndim == 4 else -1)
        self._found.setdefault(names, []).append(layer)


def _patches(
    images: Tensor,
    kernels: Tensor,
    stride: Sequence[int] | int = 1,
    padding: Sequence[int] | int | str = 0,
    dilation: Sequence[int] | int = 1,
    groups: int = 1,
) -> Tensor | None:
    """The patches that a convolution's kernels multiply, (n, n_positions, n_in); None if unfolding is not supported."""
    if groups != 1 or isinstance(padding, str):
        return None
    patches: Tensor = functional.unfold(images, cast(Any, kernels.shape[2:]), dilation, padding, stride)  # type: ignore[arg-type]
    return patches.mT
