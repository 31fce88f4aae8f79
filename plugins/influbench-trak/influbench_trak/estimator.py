"""TRAK as its authors' package computes it."""

from dataclasses import dataclass
from math import inf
from typing import Any

import torch
from influbench.api import Estimate, Estimator, Problem
from influbench.errors import EstimateError
from influbench.seeds import derive
from torch import Tensor, nn

from influbench_trak.peer import batches, module_of, n_parameters, obstacle, projector, traker, workplace

_SCORES = "test points"  # what traker calls an experiment


@dataclass(frozen=True)
class Traker(Estimator):
    """Data attribution after linearising the network's margin and projecting its gradients at random, by traker.

    With phi(z) the gradient of the margin of z, randomly projected to `n_projected` numbers, Phi those of the train
    points in rows, and Q the train points' 1 - p_correct,
    `influence[i, j] = mean over networks of phi(z_j)' (Phi' Phi + damping)^-1 phi(z_i) / s, times mean of Q_i` (Park et
    al. 2023, "TRAK: attributing model behavior at scale", equation 17 without the soft threshold; means are taken
    separately), positive where i helps. s, which the paper does not have, is the mean absolute entry of the inverse:
    traker divides by it, network by network, so that the mean weights networks unequally. With one network, that
    changes a scale alone.

    It predicts the margin; effects on the loss have the same order for each test point as long as they are small, and
    the same scores are returned for every measure. `n_models`, `n_projected` and `damping` are those of influbench's
    `trak`: the networks are trained on all train points, and `damping` is in units of the mean of the diagonal of
    Phi' Phi. Inverts in float32, with random signs from traker's `BasicProjector`, on the problem's device.

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
        """Needs traker, classes, more parameters than projections, and without damping as many train points."""
        if problem.data.n_classes is None:
            return "regression has no margin to linearise"
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
        networks = [module_of(problem, {name: p[k] for name, p in stacked.items()}) for k in range(self.n_models)]
        random_signs = projector(problem, n_projected=self.n_projected, seed=derive(problem.seed, "projection"))
        with workplace() as folder:
            peer = traker(
                module_of(problem, problem.initial_parameters(0)),  # its own, which it loads the networks into
                random_signs,
                n_train=len(problem.data.train),
                folder=folder,
                device=str(problem.device),
            )
            for number, network in enumerate(networks):
                self._featurize(problem, peer, network, number)
                # the projector has freed its signs, and draws them anew for what it takes for another network
                random_signs.model_id = None
                _score(problem, peer, network, number)
            return Estimate(torch.tensor(peer.finalize_scores(_SCORES), dtype=torch.float64))

    def _featurize(self, problem: Problem, peer: Any, network: nn.Module, number: int) -> None:
        """Phi (Phi' Phi + damping)^-1, on disk."""
        peer.load_checkpoint(network.state_dict(), model_id=number)
        for inputs, labels in batches(problem.data.train, n_numbers=peer.num_params_for_grad):
            peer.featurize((inputs, labels), num_samples=len(labels))
        projected = torch.tensor(peer.saver.current_store["grads"], dtype=torch.float64)  # (n_train, n_projected)
        peer.score_computer.lambda_reg = self._added(projected)
        peer.finalize_features(model_ids=[number])

    def _added(self, projected: Tensor) -> float:
        """What is added to the diagonal of Phi' Phi; EstimateError where float32 cannot invert the sum."""
        kernel = projected.T @ projected
        added = self.damping * float(kernel.diagonal().mean())
        kernel.diagonal().add_(added)
        if torch.linalg.matrix_rank(kernel, hermitian=True, rtol=torch.finfo(torch.float32).eps) < self.n_projected:
            raise EstimateError(
                f"projected gradients span fewer than {self.n_projected} directions, as float32 tells them apart; set "
                "damping above 0 or lower n_projected"
            )
        return added


def _score(problem: Problem, peer: Any, network: nn.Module, number: int) -> None:
    """The test points' projected gradients, on disk."""
    test = problem.data.test
    peer.start_scoring_checkpoint(_SCORES, network.state_dict(), model_id=number, num_targets=len(test))
    for inputs, labels in batches(test, n_numbers=peer.num_params_for_grad):
        peer.score((inputs, labels), num_samples=len(labels))
