"""The documented scores of kronfluence, by autograd and dense matrices, one example and one label at a time."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from influbench import Problem, Split
from influbench.seeds import derive
from torch import Tensor, nn

from influbench_kronfluence.draws import drawn_labels


@dataclass(frozen=True, eq=False)
class Rows:
    """Gradients, inputs and outputs of examples at one layer; its bias is the last column of its weights."""

    gradients: Tensor  # (n, n_out, n_in)
    inputs: Tensor  # (n, n_positions, n_in)
    outputs: Tensor  # (n, n_positions, n_out) gradient by them


class Network:
    """One trained network of a problem, with its trained layers."""

    def __init__(self, problem: Problem, run: int = 0) -> None:
        parameters = {name: p[0] for name, p in problem.train(replicates=[run]).parameters().items()}
        self.problem, self.module = problem, problem.module(parameters).double()
        self._seed = derive(problem.seed, "kronfluence", run)
        self.layers = {
            name: layer
            for name, layer in self.module.named_modules()
            if isinstance(layer, nn.Linear | nn.Conv2d) and layer.weight.requires_grad
        }

    def rows(self, split: Split, labels: Tensor, *, measure: str | None = None) -> dict[str, Rows]:
        """Rows of the loss of each example at these labels, or of a measure, for each layer."""
        of_examples = [
            list(self._of_example(x, y, measure)) for x, y in zip(split.inputs.double(), labels, strict=True)
        ]
        by_layer = zip(*of_examples, strict=True)
        return {
            name: Rows(*(torch.stack(parts) for parts in zip(*rows, strict=True)))
            for name, rows in zip(self.layers, by_layer, strict=True)
        }

    def drawn(self, factor: str, n_draws: int = 1) -> tuple[Split, Tensor]:
        """The train points and the labels that the estimator draws for this factor, once for each draw."""
        problem, train = self.problem, self.problem.data.train
        with torch.no_grad():
            outputs = self.module(train.inputs.double())
        seed = derive(self._seed, factor)
        labels = drawn_labels(outputs, train.ids, n_classes=problem.data.n_classes, n_draws=n_draws, seed=seed)
        return train.rows(torch.arange(len(train)).repeat(n_draws)), labels.T.flatten()

    def _of_example(self, x: Tensor, y: Tensor, measure: str | None) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        seen: dict[str, tuple[Tensor, Tensor]] = {}
        handles = [
            layer.register_forward_hook(lambda _, given, output, name=name: seen.update({name: (given[0], output)}))
            for name, layer in self.layers.items()
        ]
        value = self._value(self.module(x[None]), y[None], measure)
        for handle in handles:
            handle.remove()
        for name, layer in self.layers.items():
            given, output = seen[name]
            *of_parameters, of_output = torch.autograd.grad(value, [*layer.parameters(), output], retain_graph=True)
            gradient = torch.cat([p.reshape(len(p), -1) for p in of_parameters], 1)
            yield gradient, _with_one(_positions(layer, given), layer).detach(), _by_position(of_output)

    def _value(self, outputs: Tensor, labels: Tensor, measure: str | None) -> Tensor:
        if measure is None:
            return self.problem.model.loss(outputs, labels).sum()
        return self.problem.measured(outputs, labels, measure=measure).sum()  # type: ignore[arg-type]


def factor(strategy: str, first: Rows, second: Rows) -> Tensor:
    """The curvature of one layer: the basis comes from the first rows, the second moments from the second."""
    flat = second.gradients.flatten(1)
    if strategy == "identity":
        return torch.eye(flat.shape[1], dtype=flat.dtype)
    if strategy == "diagonal":
        return flat.square().mean(0).diag()
    of_inputs, of_outputs = (_second_moment(x.flatten(0, 1)) for x in (first.inputs, first.outputs))
    if strategy == "kfac":
        return torch.kron(of_outputs, of_inputs)
    basis = torch.kron(torch.linalg.eigh(of_outputs)[1], torch.linalg.eigh(of_inputs)[1])
    return basis @ (flat @ basis).square().mean(0).diag() @ basis.T


def influence(
    problem: Problem, strategy: str, *, damping: float | None, given: bool = False, n_draws: int = 1, run: int = 0
) -> tuple[Tensor, Tensor | None]:
    """Influence and memorization by dense inverses. `damping` None is a tenth of each layer's mean eigenvalue."""
    network, train, test = Network(problem, run), problem.data.train, problem.data.test
    first, second = (
        network.rows(*((train, train.labels) if given else network.drawn(name, n_draws)))
        for name in ("covariance", "lambda")
    )
    of_loss = network.rows(train, train.labels)
    of_test = network.rows(test, test.labels, measure=problem.measure)
    classes = problem.data.n_classes is not None
    of_own = network.rows(train, train.labels, measure="p_correct" if classes else problem.measure)
    on_test = torch.zeros(len(train), len(test), dtype=torch.float64)
    on_itself = torch.zeros(len(train), dtype=torch.float64)
    for name in network.layers:
        matrix = factor(strategy, first[name], second[name])
        if strategy != "identity":
            size = 0.1 * matrix.trace() / len(matrix) if damping is None else damping
            matrix = matrix + size * torch.eye(len(matrix), dtype=matrix.dtype)
        solved = torch.linalg.solve(matrix, of_loss[name].gradients.flatten(1).T).T
        on_test -= solved @ of_test[name].gradients.flatten(1).T / len(train)
        on_itself -= (solved * of_own[name].gradients.flatten(1)).sum(1) / len(train)
    return on_test, on_itself if classes else None


def at_every_label(network: Network) -> dict[str, tuple[Tensor, Rows]]:
    """For each layer, the rows of every train point at every class, and their weights in the exact Fisher matrix."""
    train = network.problem.data.train
    with torch.no_grad():
        chances = network.module(train.inputs.double()).softmax(1)
    weights = (chances / len(train)).T.flatten()
    n_classes = chances.shape[1]
    everything = train.rows(torch.arange(len(train)).repeat(n_classes))
    labels = torch.arange(n_classes).repeat_interleave(len(train))
    return {name: (weights, rows) for name, rows in network.rows(everything, labels).items()}


def _second_moment(rows: Tensor) -> Tensor:
    return rows.T @ rows / len(rows)


def _positions(layer: nn.Module, given: Tensor) -> Tensor:
    """The factors of the layer's weights at each position, (n_positions, n_in) of one example."""
    if isinstance(layer, nn.Linear):
        return given.reshape(-1, given.shape[-1])
    assert isinstance(layer, nn.Conv2d)
    padded = nn.functional.pad(given[0], (layer.padding[1],) * 2 + (layer.padding[0],) * 2)  # type: ignore[arg-type]
    windows = padded.unfold(1, layer.kernel_size[0], layer.stride[0]).unfold(2, layer.kernel_size[1], layer.stride[1])
    return windows.permute(1, 2, 0, 3, 4).flatten(2).flatten(0, 1)


def _with_one(inputs: Tensor, layer: nn.Module) -> Tensor:
    return inputs if layer.bias is None else torch.cat([inputs, torch.ones_like(inputs[:, :1])], 1)


def _by_position(of_output: Tensor) -> Tensor:
    """The gradient by position, (n_positions, n_out) of one example."""
    return of_output[0].flatten(1).T if of_output.ndim == 4 else of_output.reshape(-1, of_output.shape[-1])
