"""TRAK as its authors' package computes it."""

from dataclasses import dataclass
from math import inf
from typing import Any

import torch
from influbench.api import Estimate, Estimator, Problem
from influbench.errors import EstimateError
from influbench.seeds import derive
from torch import Tensor, nn

from influbench_trak.peer import batches, n_parameters, obstacle, projector, traker, workplace

_SCORES = "test points"  # the name of an experiment in traker


@dataclass(frozen=True)
class Traker(Estimator):
    """Data attribution after linearizing the network's margin and projecting its gradients at random, by traker.

    With phi(z) the gradient of the margin of z, randomly projected to `n_projected` numbers, Phi the matrix of the
    train points' projected gradients in rows, and Q the train points' 1 - p_correct,
    `influence[i, j] = mean over networks of phi(z_j)' (Phi' Phi + damping)^-1 phi(z_i) / s, times mean of Q_i` (Park et
    al. 2023, "TRAK: attributing model behavior at scale", equation 17 without the soft threshold; means are taken
    separately), positive where i helps. The factor s, which is not in the paper, is the mean absolute entry of the
    inverse: traker divides by it for each network, so the mean weights networks unequally. With one network, that only
    changes the scale.

    It predicts the margin; small effects on the loss have the same order for each test point, and the same scores are
    returned for every measure. `n_models`, `n_projected` and `damping` are the same as in influbench's `trak`: the
    networks are trained on all train points, and `damping` is in units of the mean of the diagonal of Phi' Phi. Inverts
    in float32, with random signs from traker's `BasicProjector`, on the problem's device.

    Cost: `n_models` trainings, and a gradient of every example for each, which count in seconds only.
    """

    scores_duplicates_alike = True

    n_models: int = 4
    n_projected: int = 128
    damping: float = 0.0

    def __post_init__(self) -> None:
        if self.n_models < 1:
            raise ValueError(f"n_models must be at least 1, got {self.n_models}")
        if self.n_projected < 1:
            raise ValueError(f"n_projected must be at least 1, got {self.n_projected}")
        if not 0 <= self.damping < inf:
            raise ValueError(f"damping must be at least 0 and finite, got {self.damping}")

    def unsupported(self, problem: Problem) -> str | None:
        """The reason if traker, classes, enough parameters or, without damping, enough train points are missing."""
        if problem.data.n_classes is None:
            return "regression does not have a margin to linearize"
        if self.n_projected > n_parameters(problem):
            return f"a projection to {self.n_projected} numbers is wider than the {n_parameters(problem)} parameters"
        if self.n_projected > len(problem.data.train) and not self.damping:
            return (
                f"a projection to {self.n_projected} numbers needs as many train points, there are "
                f"{len(problem.data.train)}; set damping above 0 or n_projected lower"
            )
        return obstacle()

    def estimate(self, problem: Problem) -> Estimate:
        """Influence only."""
        stacked = problem.train(replicates=range(self.n_models)).parameters()
        networks = [
            problem.module({name: p[k] for name, p in stacked.items()}, frozen_as_buffers=True)
            for k in range(self.n_models)
        ]
        random_signs = projector(problem, n_projected=self.n_projected, seed=derive(problem.seed, "projection"))
        with workplace() as folder:
            peer = traker(
                # its own module, into which it loads the networks
                problem.module(problem.initial_parameters(0), frozen_as_buffers=True),
                random_signs,
                n_train=len(problem.data.train),
                folder=folder,
                device=str(problem.device),
            )
            for number, network in enumerate(networks):
                self._featurize(problem, peer, network, number)
                # the projector has freed its signs; it redraws them for what it takes to be another network
                random_signs.model_id = None
                _score(problem, peer, network, number)
            return Estimate(torch.tensor(peer.finalize_scores(_SCORES), dtype=torch.float64))

    def _featurize(self, problem: Problem, peer: Any, network: nn.Module, number: int) -> None:
        """Write Phi (Phi' Phi + damping)^-1 to disk."""
        peer.load_checkpoint(network.state_dict(), model_id=number)
        for inputs, labels in batches(problem.data.train, n_numbers=peer.num_params_for_grad):
            peer.featurize((inputs, labels), num_samples=len(labels))
        projected = torch.tensor(peer.saver.current_store["grads"], dtype=torch.float64)  # (n_train, n_projected)
        peer.score_computer.lambda_reg = self._added(projected)
        peer.finalize_features(model_ids=[number])

    def _added(self, projected: Tensor) -> float:
        """The number to add to the diagonal of Phi' Phi. EstimateError if float32 cannot invert the sum."""
        kernel = projected.T @ projected
        added = self.damping * float(kernel.diagonal().mean())
        kernel.diagonal().add_(added)
        if torch.linalg.matrix_rank(kernel, hermitian=True, rtol=torch.finfo(torch.float32).eps) < self.n_projected:
            raise EstimateError(
                f"projected gradients span fewer than {self.n_projected} directions in float32; set damping above 0 "
                "or lower n_projected"
            )
        return added


def _score(problem: Problem, peer: Any, network: nn.Module, number: int) -> None:
    """Write the test points' projected gradients to disk."""
    test = problem.data.test
    peer.start_scoring_checkpoint(_SCORES, network.state_dict(), model_id=number, num_targets=len(test))
    for inputs, labels in batches(test, n_numbers=peer.num_params_for_grad):
        peer.score((inputs, labels), num_samples=len(labels))
