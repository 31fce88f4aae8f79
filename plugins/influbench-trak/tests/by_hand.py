"""TRAK written out with autograd on a handful of points, in float64, with the random signs that traker draws."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from influbench.api import Data, Model, Problem, Recipe, Split
from influbench.seeds import derive
from torch import Tensor, nn

from influbench_trak import peer


def margin_gradients(problem: Problem, parameters: Mapping[str, Tensor], split: Split) -> Tensor:
    """Gradients of margins by the trained parameters, (n, n_parameters)."""
    leaves = {name: p.detach().clone() for name, p in parameters.items()}
    trained = [p.requires_grad_() for name, p in leaves.items() if name in problem.trainable]
    margins = problem.measured(problem.forward(leaves, split.inputs), split.labels, measure="margin")
    rows = [torch.autograd.grad(margin, trained, retain_graph=True) for margin in margins]
    return torch.stack([torch.cat([part.flatten() for part in row]) for row in rows])


def signs(problem: Problem, *, n_projected: int, network: int) -> Tensor:
    """Random signs, (n_parameters, n_projected)."""
    projector = peer.projector(problem, n_projected=n_projected, seed=derive(problem.seed, "projection"))
    return projector.project(torch.eye(peer.n_parameters(problem), dtype=torch.float64), model_id=network)


@dataclass(frozen=True)
class OfNetworks:
    """The terms of TRAK's mean over networks."""

    scores: Tensor  # (n_models, n_train, n_test) without Q
    inverse_sizes: Tensor  # (n_models,) mean absolute entries of the inverses
    weights: Tensor  # (n_train,) mean of Q

    def mean(self) -> Tensor:
        """Equation 17 of the paper."""
        return self.scores.mean(0) * self.weights[:, None]

    def scaled_mean(self) -> Tensor:
        """The mean after each network's inverse has been divided by its size."""
        return (self.scores / self.inverse_sizes[:, None, None]).mean(0) * self.weights[:, None]


def trak(problem: Problem, *, n_models: int, n_projected: int, damping: float = 0.0) -> OfNetworks:
    runs = problem.train(replicates=range(n_models))
    scores, sizes = [], []
    for network in range(n_models):
        parameters = {name: p[network] for name, p in runs.parameters().items()}
        matrix = signs(problem, n_projected=n_projected, network=network) / peer.n_parameters(problem) ** 0.5
        of_train, of_test = (
            margin_gradients(problem, parameters, split) @ matrix for split in (problem.data.train, problem.data.test)
        )
        kernel = of_train.T @ of_train
        kernel.diagonal().add_(damping * kernel.diagonal().mean())
        inverse = torch.linalg.inv(kernel)
        scores.append(of_train @ inverse @ of_test.T)
        sizes.append(inverse.abs().mean())
    return OfNetworks(torch.stack(scores), torch.stack(sizes), (1 - runs.p_correct(problem.data.train)).mean(0))


@dataclass(frozen=True)
class ModuleModel(Model):
    """Any module, made anew by `make`."""

    make: Callable[[Data], nn.Module]

    @property
    def recipe(self) -> Recipe:
        return Recipe(batch_size=6, epochs=2)

    def build(self, data: Data) -> nn.Module:
        return self.make(data)
