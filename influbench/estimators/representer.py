"""Representer points of Yeh et al. 2018."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from influbench.api import Estimate, Estimator, Problem, Split
from influbench.errors import EstimateError

_FITTED = 1e-6  # a fit is done when the gradient's largest entry is this small, relative to the first gradient
_ITERATIONS = 2000


@dataclass(frozen=True)
class Representer(Estimator):
    """The contribution of each train point to the outputs of a last layer that is refitted with weight decay.

    With f the inputs of the last linear layer (and 1 for its bias), its weights minimize the mean train loss plus
    `weight_decay` times their squared norm. At the minimum they are a sum over train points, and so are the outputs on
    a test point: `outputs_j = sum_i alpha_i <f_i, f_j>` with `alpha_i = - d loss_i / d outputs_i / (2 weight_decay n)`
    (Yeh et al. 2018, "Representer point selection for explaining deep neural networks", theorem 3.1).
    `influence[i, j] = <d measure_j / d outputs_j, alpha_i> <f_i, f_j>` is the loss in the measure without that summand,
    to first order. Assumes that a train point acts only through the last layer and that the other points would not
    compensate for it. Cost: one training, and a convex fit, which counts in seconds only.
    """

    predicts = ("influence",)
    scores_duplicates_alike = True

    weight_decay: float = 0.01

    def __post_init__(self) -> None:
        if not 0 < self.weight_decay < float("inf"):
            raise ValueError(f"weight_decay must be above 0 and finite, got {self.weight_decay}")

    def unsupported(self, problem: Problem) -> str | None:
        """Needs a linear layer whose outputs are the outputs of the network."""
        first = problem.data.train.rows(slice(0, 1))
        if _last_inputs(problem, problem.initial_parameters(0), first.inputs) is None:
            return "the network does not end in a linear layer"
        return None

    def estimate(self, problem: Problem) -> Estimate:
        """Influence only."""
        parameters = {name: p[0] for name, p in problem.train(replicates=[0]).parameters().items()}
        train, test = (_features(problem, parameters, split) for split in (problem.data.train, problem.data.test))
        weights, gradient = self._fitted(problem, train)
        alpha = -_output_gradients(problem, train @ weights.T, problem.data.train) / (
            2 * self.weight_decay * len(train)
        )
        outputs = (test @ weights.T).requires_grad_()
        with torch.enable_grad():
            measured = problem.measured(outputs, problem.data.test.labels).sum()
            (of_outputs,) = torch.autograd.grad(measured, outputs)
        notes = (
            () if gradient <= _FITTED else (f"its last layer is not fitted: gradient at {gradient:.1e} of the first",)
        )
        return Estimate((alpha @ of_outputs.T) * (train @ test.T), notes=notes)

    def _fitted(self, problem: Problem, features: Tensor) -> tuple[Tensor, float]:
        """Weights (n_outputs, n_features) at the minimum, and the gradient's largest entry there relative to at 0."""
        n_outputs = problem.forward(problem.initial_parameters(0), problem.data.train.inputs[:1]).numel()
        weights = features.new_zeros(n_outputs, features.shape[1], requires_grad=True)
        search = torch.optim.LBFGS(
            [weights], max_iter=_ITERATIONS, tolerance_grad=0, tolerance_change=0, line_search_fn="strong_wolfe"
        )
        gradients: list[float] = []

        def objective() -> Tensor:
            search.zero_grad()
            losses = problem.loss(features @ weights.T, problem.data.train.labels)
            value = losses.mean() + self.weight_decay * weights.square().sum()
            value.backward()
            assert weights.grad is not None
            gradients.append(float(weights.grad.abs().max()))
            return value

        with torch.enable_grad():
            search.step(objective)
            objective()
        return weights.detach(), gradients[-1] / max(gradients[0], 1e-300)


def _output_gradients(problem: Problem, outputs: Tensor, split: Split) -> Tensor:
    """Gradient of each example's loss with respect to its outputs."""
    with torch.enable_grad():
        leaf = outputs.detach().requires_grad_()
        (found,) = torch.autograd.grad(problem.loss(leaf, split.labels).sum(), leaf)
    return found


def _features(problem: Problem, parameters: Mapping[str, Tensor], split: Split) -> Tensor:
    """Inputs of the last layer, with a 1 appended, (n, n_features) float64."""
    found = _last_inputs(problem, parameters, split.inputs)
    if found is None:
        raise EstimateError("the network does not end in a linear layer")
    return torch.cat([found, found.new_ones(len(found), 1)], dim=1).double()


def _last_inputs(problem: Problem, parameters: Mapping[str, Tensor], inputs: Tensor) -> Tensor | None:
    """The inputs of a linear layer whose outputs are the network's, (n, n_features); None without such a layer."""
    calls: list[tuple[Tensor, Tensor]] = []

    class Noting(TorchFunctionMode):
        def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            output = function(*args, **(kwargs or {}))
            if function is functional.linear and not kwargs:
                calls.append((args[0], output))
            return output

    with torch.no_grad(), Noting():
        outputs = problem.forward(parameters, inputs)
    if not calls or calls[-1][1] is not outputs or calls[-1][0].ndim != 2:
        return None
    return calls[-1][0]
