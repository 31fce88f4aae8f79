"""Kronfluence computes the scores of the estimator's docstring, up to rounding."""

from collections.abc import Callable
from typing import Any

import brute_force
import pytest
import torch
from brute_force import Network, Rows, at_every_label, factor
from influbench import Problem
from influbench.models.cnn import Cnn
from influbench.testing import blobs, line, pictures, small_problem
from networks import Made, OwnLoss, Positions, convolution, half_frozen, perceptron
from torch import Tensor, nn

from influbench_kronfluence.estimator import Kronfluence

TOLERANCE = 1e-11  # of the largest score
SETTINGS = [
    *({"strategy": strategy} for strategy in ("ekfac", "kfac", "diagonal", "identity")),
    *({"strategy": strategy, "damping": 0.001} for strategy in ("ekfac", "kfac", "diagonal", "identity")),
    {"labels": "given"},
    {"n_draws": 3},
]


def dense(problem: Problem, estimator: Kronfluence, *, run: int = 0) -> tuple[Tensor, Tensor | None]:
    """The scores of the estimator's docstring, by brute force."""
    return brute_force.influence(
        problem,
        estimator.strategy,
        damping=None if isinstance(estimator.damping, str) else estimator.damping + problem.recipe.weight_decay,
        given=estimator.labels == "given",
        n_draws=estimator.n_draws,
        run=run,
    )


def assert_close(found: Tensor | None, expected: Tensor | None) -> None:
    assert (found is None) == (expected is None)
    if found is not None and expected is not None:
        torch.testing.assert_close(found, expected, rtol=0, atol=TOLERANCE * float(expected.abs().max()))


PROBLEMS: dict[str, Callable[[], Problem]] = {
    "margin": lambda: small_problem(measure="margin"),
    "p_correct": lambda: small_problem(measure="p_correct"),
    "float32": lambda: small_problem(dtype=torch.float32),
    "weight decay": lambda: small_problem(weight_decay=0.02),
    "regression": lambda: small_problem(line(), learning_rate=0.01),
    "pictures": lambda: small_problem(pictures(), Cnn(channels=(4,)), batch_size=4),
    "strides": lambda: small_problem(pictures(), Made(convolution(stride=2, padding=1)), batch_size=4),
    "no bias": lambda: small_problem(pictures(), Made(convolution(bias=False)), batch_size=4),
    "positions": lambda: small_problem(model=Made(Positions)),
    "frozen layer": lambda: small_problem(model=Made(half_frozen)),
    "only a layer": lambda: small_problem(model=Made(nn.Linear)),
}


@pytest.mark.parametrize("setting", SETTINGS, ids=str)
def test_scores_are_those_of_dense_inverses(setting: dict[str, Any]) -> None:
    estimator = Kronfluence(**setting)
    found, (influence, memorization) = estimator.estimate(small_problem()), dense(small_problem(), estimator)
    assert_close(found.influence, influence)
    assert_close(found.memorization, memorization)


@pytest.mark.parametrize("name", PROBLEMS)
def test_scores_on_other_problems_are_those_of_dense_inverses(name: str) -> None:
    for estimator in (Kronfluence(), Kronfluence("kfac", damping=0.01)):
        assert estimator.unsupported(PROBLEMS[name]()) is None
        found, (influence, memorization) = estimator.estimate(PROBLEMS[name]()), dense(PROBLEMS[name](), estimator)
        assert_close(found.influence, influence)
        assert_close(found.memorization, memorization)


def test_a_loss_of_the_models_own_is_used() -> None:
    estimator = Kronfluence(labels="given")
    found, expected = (
        of(small_problem(model=OwnLoss(perceptron)))
        for of in (estimator.estimate, lambda one: dense(one, estimator)[0])
    )
    assert_close(found.influence, expected)


def test_the_weight_decay_of_adamw_is_not_curvature() -> None:
    problem = {"optimizer": "adamw", "weight_decay": 0.5, "learning_rate": 0.01}
    found = Kronfluence(damping=0.01).estimate(small_problem(**problem))
    assert_close(found.influence, brute_force.influence(small_problem(**problem), "ekfac", damping=0.01)[0])


def test_scores_of_several_runs_are_averaged() -> None:
    found = Kronfluence(n_runs=2).estimate(small_problem())
    of_runs = [dense(small_problem(), Kronfluence(), run=run)[0] for run in range(2)]
    assert_close(found.influence, torch.stack(of_runs).mean(0))


@pytest.mark.parametrize("seed", range(3))
def test_influbenchs_basis_is_nearer_to_the_exact_fisher_matrix(seed: int) -> None:
    """In every layer, K-FAC is farther off than EK-FAC in K-FAC's basis, which is farther off than in Shampoo's."""
    network = Network(small_problem(blobs(60, 20, seed=seed), seed=seed, epochs=10))
    for weights, rows in at_every_label(network).values():
        exact = _moment(rows.gradients.flatten(1), weights)
        kfac = [_moment(x[:, 0], weights) for x in (rows.outputs, rows.inputs)]
        shampoo = [
            torch.einsum("n,noi,npi->op", weights, rows.gradients, rows.gradients),
            torch.einsum("n,noi,noj->ij", weights, rows.gradients, rows.gradients),
        ]
        of_kfac, in_kfac, in_shampoo = (
            float((matrix - exact).norm() / exact.norm())
            for matrix in (torch.kron(*kfac), _along(kfac, rows, weights), _along(shampoo, rows, weights))
        )
        assert in_shampoo < in_kfac < min(of_kfac, 0.85)


@pytest.mark.parametrize("seed", range(3))
def test_kfac_of_a_convolution_lacks_the_number_of_positions(seed: int) -> None:
    """The exact matrix is about 80 times as large; multiplied by 64, K-FAC's matrix is nearer to it."""
    network = Network(small_problem(pictures(seed=seed), Cnn(channels=(4,)), batch_size=4, seed=seed))
    rows = network.rows(*network.drawn("covariance", 30))["0"]
    n_positions, kfac = rows.inputs.shape[1], factor("kfac", rows, rows)
    exact = _moment(rows.gradients.flatten(1), torch.full((len(rows.gradients),), 1 / len(rows.gradients)).double())
    assert n_positions == 64
    assert 60 < exact.trace() / kfac.trace() < 110
    assert (kfac - exact).norm() > 0.99 * exact.norm()
    assert (n_positions * kfac - exact).norm() < 0.96 * exact.norm()


def _moment(rows: Tensor, weights: Tensor) -> Tensor:
    return (rows.T * weights) @ rows


def _along(of_basis: list[Tensor], rows: Rows, weights: Tensor) -> Tensor:
    """Exact second moments along the Kronecker basis of these matrices' eigenvectors."""
    basis = torch.kron(*(torch.linalg.eigh(matrix)[1] for matrix in of_basis))
    return basis @ (weights @ (rows.gradients.flatten(1) @ basis).square()).diag() @ basis.T
