"""Inner products and norms of per-example gradients, without writing the gradients out where that can be spared.

A linear layer's gradient at one example is the outer product of its output's gradient and its input (with a 1 for its
bias), so that the inner product of two of them is that of the output gradients times that of the inputs. The gradient
of a convolution, or of a linear layer that runs at several positions, is a sum of such outer products over positions,
one matrix product for each example. The parameters of anything else are left to `torch.func`, and so are those that are
used twice: that a layer alone uses its parameters is not taken on trust, its outer products must add up to autograd's
gradient of the sum.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
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

_TRIED = 8  # examples on which it is seen which layers alone use their parameters
_TOLERANCE = {torch.float32: 1e-3, torch.float64: 1e-9}  # of the largest entry of the summed gradient

Names = tuple[str, ...]  # of a layer's weight, and of its bias if that is trained


class GradientProducts:
    """Per-example gradients of networks of one problem. Which layers take part as layers is seen on `parameters`."""

    def __init__(self, problem: Problem, parameters: OfNetwork) -> None:
        self._problem = problem
        few = problem.data.train.rows(slice(0, _TRIED))
        self._layers = _layers_alone(*trained_and_frozen(problem, parameters), few, example_losses(problem))

    def products(self, parameters: OfNetwork) -> Tensor:
        """Train points' loss gradients times test points' measure gradients, (n_train, n_test) float64."""
        return torch.cat([torch.cat(list(self._row(parameters, parts)), dim=1) for parts in self._of_train(parameters)])

    def norms(self, parameters: OfNetwork) -> tuple[Tensor, Tensor]:
        """Norms of train points' loss gradients, (n_train,), and test points' measure gradients, (n_test,), float64."""
        of_train, of_test = self._of_train(parameters), self._of_test(parameters)
        return torch.cat([_norms(parts) for parts in of_train]), torch.cat([_norms(parts) for parts in of_test])

    def _row(self, parameters: OfNetwork, of_loss: Sequence["_Part"]) -> Iterator[Tensor]:
        for of_measure in self._of_test(parameters):
            pairs = zip(of_loss, of_measure, strict=True)  # of one network: the same kinds in the same order
            yield torch.stack([one.dot(cast(Any, other)) for one, other in pairs]).sum(0).double().cpu()

    def _of_train(self, parameters: OfNetwork) -> Iterator[list["_Part"]]:
        return self._parts(parameters, self._problem.data.train, example_losses(self._problem))

    def _of_test(self, parameters: OfNetwork) -> Iterator[list["_Part"]]:
        return self._parts(parameters, self._problem.data.test, example_measures(self._problem))

    def _parts(self, parameters: OfNetwork, split: Split, values: OfExamples) -> Iterator[list["_Part"]]:
        """Gradients of each example's value, as parts over disjoint sets of parameters, some examples at a time."""
        trained, frozen = trained_and_frozen(self._problem, parameters)
        rest = {name: p for name, p in trained.items() if not any(name in names for names in self._layers)}
        others = {name: p for name, p in parameters.items() if name not in rest}
        for chunk in chunks(split, sum(p.numel() for p in trained.values())):
            by_layer, _ = _by_layer(trained, frozen, chunk, values) if self._layers else ({}, {})
            parts = [by_layer[names] for names in self._layers]
            yield [*parts, _Written(gradients(values, rest, others, chunk))] if rest else parts


@dataclass(frozen=True, eq=False)
class _Outer:
    """Gradients that are the outer product of two vectors for each example."""

    outputs: Tensor  # (n, n_out)
    inputs: Tensor  # (n, n_in)

    def dot(self, other: "_Outer") -> Tensor:
        return (self.outputs @ other.outputs.T) * (self.inputs @ other.inputs.T)

    def square_norms(self) -> Tensor:
        return self.outputs.square().sum(1) * self.inputs.square().sum(1)

    def total(self) -> Tensor:
        return (self.outputs.T @ self.inputs).flatten()


@dataclass(frozen=True, eq=False)
class _Written:
    """Gradients that are written out."""

    entries: Tensor  # (n, n_entries)

    def dot(self, other: "_Written") -> Tensor:
        return self.entries @ other.entries.T

    def square_norms(self) -> Tensor:
        return self.entries.square().sum(1)

    def total(self) -> Tensor:
        return self.entries.sum(0)


_Part = _Outer | _Written


def _norms(parts: Sequence[_Part]) -> Tensor:
    return torch.stack([part.square_norms() for part in parts]).double().sum(0).sqrt().cpu()


def _layers_alone(trained: OfNetwork, frozen: OfNetwork, few: Split, values: OfExamples) -> list[Names]:
    """The layers whose outer products are all of the gradient of their parameters."""
    by_layer, sums = _by_layer(trained, frozen, few, values)
    found = []
    for names, part in by_layer.items():
        expected = torch.cat([sums[name].reshape(len(sums[name]), -1) for name in names], dim=1).flatten()
        largest, off = expected.abs().max(), (part.total() - expected).abs().max()
        if largest > 0 and off <= _TOLERANCE.get(expected.dtype, 0.0) * largest:
            found.append(names)
    return found


def _by_layer(
    trained: OfNetwork, frozen: OfNetwork, split: Split, values: OfExamples
) -> tuple[dict[Names, _Part], Mapping[str, Tensor]]:
    """Gradients of the layers that run once, and autograd's gradient of the sum by the name of each parameter."""
    leaves = {name: p.detach().requires_grad_() for name, p in trained.items()}
    recorder = _Recorder({id(p): name for name, p in leaves.items()}, len(split))
    with torch.enable_grad(), recorder:
        total = values({**frozen, **leaves}, split.inputs, split.labels).sum()
    layers = recorder.layers
    found = torch.autograd.grad(
        total, [*(layer.output for layer in layers), *leaves.values()], materialize_grads=True, allow_unused=True
    )
    parts = [layer.part(of_output) for layer, of_output in zip(layers, found, strict=False)]
    by_layer = {layer.names: part for layer, part in zip(layers, parts, strict=True)}
    return by_layer, dict(zip(leaves, found[len(layers) :], strict=True))


@dataclass(frozen=True, eq=False)
class _Layer:
    """A linear layer or a convolution that ran on the examples."""

    names: Names
    inputs: Tensor  # (n, n_positions, n_in), the last of them 1 where a bias is trained
    output: Tensor
    units: int  # axis of the output that counts its units

    def part(self, of_output: Tensor) -> _Part:
        """The gradient, from that of the output."""
        n, n_positions, _ = self.inputs.shape
        by_position = of_output.movedim(self.units, -1).reshape(n, n_positions, -1)
        if n_positions == 1:
            return _Outer(by_position[:, 0], self.inputs[:, 0])
        return _Written((by_position.mT @ self.inputs).flatten(1))


class _Recorder(TorchFunctionMode):
    """Within, notes what linear layers and convolutions do with these parameters, on n examples."""

    def __init__(self, names: Mapping[int, str], n: int) -> None:
        super().__init__()
        self._names, self._n = names, n
        self._found: dict[Names, list[_Layer]] = {}

    @property
    def layers(self) -> list[_Layer]:
        """Those that ran once."""
        return [layers[0] for layers in self._found.values() if len(layers) == 1]

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """What the function returns."""
        output = function(*args, **(kwargs or {}))
        if function in (functional.linear, functional.conv2d) and not kwargs:
            self._note(output, *args)
        return output

    def _note(self, output: Tensor, inputs: Tensor, weight: Tensor, bias: Tensor | None = None, *options: Any) -> None:
        """One call."""
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
    """What a convolution's kernels are multiplied with, (n, n_positions, n_in); None for what is not unfolded here."""
    if groups != 1 or isinstance(padding, str):
        return None
    patches: Tensor = functional.unfold(images, cast(Any, kernels.shape[2:]), dilation, padding, stride)  # type: ignore[arg-type]
    return patches.mT
