"""Estimators that grow from random noise to an influence function of the last layer."""

from dataclasses import dataclass

import torch

from influbench import Estimate, Estimator, Problem
from influbench.seeds import derive, hash_integers


@dataclass(frozen=True)
class Noise(Estimator):
    """A random number for each pair of points."""

    def estimate(self, problem: Problem) -> Estimate:
        train, test = problem.data.train, problem.data.test
        seed = derive(problem.seed, "noise")
        noise = hash_integers(seed, train.ids[:, None], test.ids[None])  # (n_train, n_test)
        return Estimate(influence=noise.to(torch.float64))


def slopes(of, outputs, labels):
    """Derivatives of a loss or a measure by the outputs, (n, n_outputs)."""
    outputs = outputs.detach().requires_grad_()
    return torch.autograd.grad(of(outputs, labels).sum(), outputs)[0]


@dataclass(frozen=True)
class Errors(Estimator):
    """Products of the errors at the outputs: which train points err as the test point does."""

    scores_duplicates_alike = True

    def estimate(self, problem: Problem) -> Estimate:
        train, test = problem.data.train, problem.data.test
        runs = problem.train(replicates=[0])
        errors = slopes(problem.model.loss, runs.outputs(train)[0], train.labels)
        test_errors = slopes(problem.measured, runs.outputs(test)[0], test.labels)
        return Estimate(influence=-(errors @ test_errors.T))


def last_part(module):
    """The last of a network's parts."""
    return list(module.modules())[-1]


def why_not(problem):
    """Why a network has no last layer that we can look into, or None if it has."""
    last = last_part(problem.module(problem.initial_parameters(0)))
    if isinstance(last, torch.nn.Linear):
        return None
    return f"needs a network that ends in a linear layer, this one ends in {type(last).__name__}"


def trained(problem):
    """The network of one ordinary training."""
    parameters = problem.train(replicates=[0]).parameters()
    return problem.module({name: stacked[0] for name, stacked in parameters.items()})


def last_layer(module, split, of):
    """Slopes by the outputs, (n, n_outputs), and features that meet them in the last layer, (n, n_features)."""
    layer, entered = last_part(module), []
    hook = layer.register_forward_pre_hook(lambda _, given: entered.append(given[0].detach()))
    outputs = module(split.inputs)
    hook.remove()
    (features,) = entered
    if layer.bias is not None:  # a weight whose feature is always 1
        features = torch.cat([features, torch.ones_like(features[:, :1])], dim=1)
    return slopes(of, outputs, split.labels), features


@dataclass(frozen=True)
class Gradients(Estimator):
    """Products of the gradients by the weights of the last layer."""

    scores_duplicates_alike = True

    def unsupported(self, problem: Problem) -> str | None:
        return why_not(problem)

    def estimate(self, problem: Problem) -> Estimate:
        module = trained(problem)
        errors, features = last_layer(module, problem.data.train, problem.model.loss)
        test_errors, test_features = last_layer(module, problem.data.test, problem.measured)
        return Estimate(influence=-(errors @ test_errors.T) * (features @ test_features.T))


@dataclass(frozen=True)
class LastLayer(Estimator):
    """Influence function of the last layer; its curvature is the second moment of the features, damped."""

    scores_duplicates_alike = True

    damping: float = 0.01

    def __post_init__(self) -> None:
        if not self.damping > 0:
            raise ValueError(f"damping must be above 0, got {self.damping}")

    def unsupported(self, problem: Problem) -> str | None:
        return why_not(problem)

    def estimate(self, problem: Problem) -> Estimate:
        module = trained(problem)
        errors, features = last_layer(module, problem.data.train, problem.model.loss)
        test_errors, test_features = last_layer(module, problem.data.test, problem.measured)
        curvature = features.T @ features / len(features)  # (n_features, n_features)
        curvature.diagonal().add_(self.damping * curvature.diagonal().mean())
        solved = torch.linalg.solve(curvature, features.T).T  # (n_train, n_features)
        influence = -(errors @ test_errors.T) * (solved @ test_features.T)
        if problem.data.n_classes is None:  # regression has no probabilities
            return Estimate(influence=influence)
        own, _ = last_layer(module, problem.data.train, lambda *known: problem.measured(*known, measure="p_correct"))
        return Estimate(influence=influence, memorization=-(errors * own).sum(1) * (solved * features).sum(1))
