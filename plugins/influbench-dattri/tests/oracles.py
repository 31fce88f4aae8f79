"""Oracles and helpers that the tests of agreement share."""

import torch
from influbench import Estimate, Problem
from influbench.registry import installed, parse_selector
from influbench.testing import small_problem
from torch import Tensor


def estimate(selector: str, problem: Problem) -> Estimate:
    return installed().create("estimator", parse_selector(selector)).estimate(problem)


def off(found: Tensor, expected: Tensor) -> float:
    """The largest difference, relative to the largest score."""
    return float((found - expected).abs().max() / expected.abs().max())


def both(first: str, second: str, **settings: object) -> tuple[float, float]:
    """The differences of two estimators in influence and in memorization, on equal networks."""
    x, y = (estimate(selector, small_problem(**settings)) for selector in (first, second))
    of_own = 0.0 if x.memorization is None else off(x.memorization, y.memorization)
    return off(x.influence, y.influence), of_own


def network(problem: Problem, replicate: int = 0) -> dict[str, Tensor]:
    """The parameters of a training, in float64."""
    return {name: p[0].double() for name, p in problem.train(replicates=[replicate]).parameters().items()}


def flat_gradient(value: Tensor, leaves: dict[str, Tensor], *, graph: bool = False) -> Tensor:
    return torch.cat([g.flatten() for g in torch.autograd.grad(value, list(leaves.values()), create_graph=graph)])


def gradients(problem: Problem, parameters: dict[str, Tensor], *, of: str) -> Tensor:
    """Gradients of the loss of train points or of the measure of test points, by one call of autograd for each."""
    split = problem.data.train if of == "train" else problem.data.test
    function = problem.model.loss if of == "train" else problem.measured
    leaves = {name: p.clone().requires_grad_() for name, p in parameters.items()}
    rows = []
    for x, y in zip(split.inputs, split.labels, strict=True):
        value = function(problem.forward(leaves, x[None]), y[None])[0]
        rows.append(flat_gradient(value, leaves))
    return torch.stack(rows)


def hessian(problem: Problem, parameters: dict[str, Tensor]) -> Tensor:
    """The Hessian of the mean training loss, row by row."""
    leaves = {name: p.clone().requires_grad_() for name, p in parameters.items()}
    train = problem.data.train
    slope = flat_gradient(
        problem.model.loss(problem.forward(leaves, train.inputs), train.labels).mean(), leaves, graph=True
    )
    rows = [torch.autograd.grad(entry, list(leaves.values()), retain_graph=True) for entry in slope]
    return torch.stack([torch.cat([g.flatten() for g in row]) for row in rows])
