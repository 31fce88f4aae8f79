"""Influence functions of Koh & Liang 2017, with three ways to invert the curvature."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Literal, get_args

import torch
from torch import Tensor

from influbench.api import Estimate, Estimator, MeasureName, Problem
from influbench.estimators.gradients import loss_gradients, measure_gradients, n_trained_parameters
from influbench.estimators.influence_function.curvature import Curvature, Network, curvature_product, in_float64
from influbench.estimators.influence_function.ekfac import Ekfac
from influbench.estimators.influence_function.solvers import ConjugateGradients, Explicit, Solver

SolverName = Literal["explicit", "cg", "ekfac"]

_LARGEST_MATRIX = 8_000  # parameters: 0.5 GB for the matrix, and the same for its factor


@dataclass(frozen=True)
class InfluenceFunction(Estimator):
    """First-order response of the optimum to the weight of i, through the curvature of the objective.

    `influence[i, j] = - 1/n <grad measure_j, (H + damping)^-1 grad loss_i>` predicts the measure of j with i minus the
    measure without it, when i is left out of the mean loss (Koh & Liang 2017, eq. 2, divided by n, for a measure that
    is higher for better); `memorization[i]` predicts the same for `p_correct` of i itself. H is the curvature of the
    mean training loss at the end of training, over the parameters that training moves, plus the recipe's weight decay
    if it belongs to the objective, as with `sgd` and `adam`; the decay of `adamw` is not the gradient of anything and
    is left out.

    Assumes a unique optimum that training has reached: exact to first order in the weight if the objective is convex
    and training has converged, otherwise a heuristic. The `gauss_newton` matrix never has negative eigenvalues if the
    loss is convex in the outputs (Martens 2020); the `hessian` may have some if training did not end at a minimum.
    Computes in float64.

    `solver` `explicit` factorizes the matrix, for at most 8,000 parameters; `cg` runs conjugate gradients until the
    residual is `tolerance` of the gradient; `ekfac` approximates H as diagonal in a Kronecker basis of each layer
    (George et al. 2018; Grosse et al. 2023, with another basis: see `ekfac.Ekfac`). `relative` divides the influence of
    i by `sqrt(<grad loss_i, (H + damping)^-1 grad loss_i>)`, the l-RelatIF of Barshan et al. 2020. The result is no
    longer an effect but a ranking in which points with large gradients do not automatically come first. Memorization is
    not divided.

    Cost: `n_runs` trainings, whose scores are averaged. In seconds only, it also costs a gradient of every example and
    the products with the curvature. `explicit` needs one product for every parameter and, if the matrix is not positive
    definite, an eigendecomposition that takes minutes at the limit; `cg` needs at most `max_iterations` products for
    every train point; a product is a few passes over the train points. `ekfac` differentiates every output of every
    train point twice.
    """

    scores_duplicates_alike = True

    solver: SolverName = "cg"
    curvature: Curvature = "gauss_newton"
    damping: float = 0.01
    relative: bool = False
    n_runs: int = 1
    max_iterations: int = 200
    tolerance: float = 1e-3

    def __post_init__(self) -> None:
        for name, value, known in (
            ("solver", self.solver, get_args(SolverName)),
            ("curvature", self.curvature, get_args(Curvature)),
        ):
            if value not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}")
        if self.solver == "ekfac" and self.curvature != "gauss_newton":
            raise ValueError(f"curvature must be gauss_newton with solver ekfac, got {self.curvature!r}")
        if not 0 <= self.damping < inf:
            raise ValueError(f"damping must be at least 0 and finite, got {self.damping}")
        if self.n_runs < 1:
            raise ValueError(f"n_runs must be at least 1, got {self.n_runs}")
        if self.max_iterations < 1:
            raise ValueError(f"max_iterations must be at least 1, got {self.max_iterations}")
        if not 0 < self.tolerance < 1:
            raise ValueError(f"tolerance must be in (0, 1), got {self.tolerance}")

    def unsupported(self, problem: Problem) -> str | None:
        """Needs the same weight decay for all parameters, and few enough of them for the explicit matrix to fit."""
        if problem.decay_in_objective and not problem.recipe.decay_norms_and_biases:
            return "its curvature has one weight decay for all parameters, and the recipe leaves out norms and biases"
        if self.solver != "explicit":
            return None
        n_parameters = n_trained_parameters(problem)
        if n_parameters <= _LARGEST_MATRIX:
            return None
        return (
            f"the explicit solver takes at most {_LARGEST_MATRIX:,} parameters, but the model trains {n_parameters:,}; "
            "use solver=cg or solver=ekfac"
        )

    def estimate(self, problem: Problem) -> Estimate:
        """Influence, and memorization for classes."""
        stacked = problem.train(replicates=range(self.n_runs)).parameters()
        of_runs = [self._of_run(problem, {name: p[k] for name, p in stacked.items()}) for k in range(self.n_runs)]
        if self.n_runs == 1:
            return of_runs[0]
        return Estimate(
            _mean([of_run.influence for of_run in of_runs]),
            _mean([of_run.memorization for of_run in of_runs]),
            notes=tuple(f"run {k}: {note}" for k, of_run in enumerate(of_runs) for note in of_run.notes),
        )

    def _of_run(self, problem: Problem, parameters: Mapping[str, Tensor]) -> Estimate:
        network = in_float64(problem, parameters)
        solver = self._solver(network)
        influence, memorization, squared_norms = _scores(network, solver)
        notes = solver.notes()
        if self.relative:
            influence = _over_norms(influence, squared_norms)
            notes += _norm_notes(squared_norms)
        of_classes = problem.data.n_classes is not None
        return Estimate(influence.cpu(), memorization.cpu() if of_classes else None, notes=tuple(notes))

    def _solver(self, network: Network) -> Solver:
        added = self.damping + network.problem.decay_in_objective
        if self.solver == "ekfac":
            return Ekfac(network, added=added)
        product = curvature_product(network, self.curvature, added=added)
        if self.solver == "explicit":
            return Explicit(product, network.point)
        return ConjugateGradients(product, max_iterations=self.max_iterations, tolerance=self.tolerance)


def _scores(network: Network, solver: Solver) -> tuple[Tensor, Tensor, Tensor]:
    """Influence, memorization, and `<grad loss_i, H^-1 grad loss_i>`, (n_train,)."""
    problem, n_train = network.problem, len(network.train)
    # Regression has no memorization: the problem's measure replaces p_correct, and the result is not used.
    on_itself: MeasureName | None = None if problem.data.n_classes is None else "p_correct"
    influence, memorization, squared_norms = [], [], []
    for of_loss, of_own in zip(
        loss_gradients(problem, network.parameters, network.train),
        measure_gradients(problem, network.parameters, network.train, measure=on_itself),
        strict=True,
    ):
        solved = solver.solve(of_loss)  # (n, n_parameters): divided by n_train, the optimum's move without i
        of_test = measure_gradients(problem, network.parameters, network.test)
        influence.append(torch.cat([solved @ some.T for some in of_test], dim=1) / -n_train)
        memorization.append((solved * of_own).sum(1) / -n_train)
        squared_norms.append((solved * of_loss).sum(1))
    return torch.cat(influence), torch.cat(memorization), torch.cat(squared_norms)


def _over_norms(influence: Tensor, squared_norms: Tensor) -> Tensor:
    """Rows divided by their norms, and 0 for rows without a positive norm."""
    over = torch.where(squared_norms > 0, squared_norms, torch.inf).rsqrt()
    return influence * over[:, None]


def _norm_notes(squared_norms: Tensor) -> list[str]:
    if without := int((squared_norms <= 0).sum()):
        return [f"{without} of {len(squared_norms)} train points have no positive norm to divide by and score 0"]
    return []


def _mean(of_runs: list[Tensor | None]) -> Tensor | None:
    present = [scores for scores in of_runs if scores is not None]
    return torch.stack(present).mean(0) if present else None
