"""Agreement of the estimator with influbench's own, with equal and with different definitions."""

from collections.abc import Callable
from functools import cache

import pytest
import torch
from influbench import Estimate, Estimator, Problem
from influbench.models.cnn import Cnn
from influbench.models.linear import Linear
from influbench.registry import installed, parse_selector
from influbench.testing import blobs, least_squares, line, pictures, small_problem

OWN = "influence_function[solver=ekfac,damping=0.01]"
PROBLEMS: dict[str, Callable[[], Problem]] = {
    "neg_loss": small_problem,
    "margin": lambda: small_problem(measure="margin"),
    "p_correct": lambda: small_problem(measure="p_correct"),
    "regression": lambda: small_problem(line(), learning_rate=0.01),
    "pictures": lambda: small_problem(pictures(), Cnn(channels=(4,)), batch_size=4),
}


def estimate(selector: str, problem: Problem) -> Estimate:
    estimator = installed().create("estimator", parse_selector(selector))
    assert isinstance(estimator, Estimator)
    return estimator.estimate(problem)


def correlation(first: torch.Tensor | None, second: torch.Tensor | None) -> float:
    assert first is not None
    assert second is not None
    return float(torch.corrcoef(torch.stack([first.flatten(), second.flatten()]))[0, 1])


@pytest.mark.parametrize("name", PROBLEMS)
def test_identity_is_grad_dot_over_the_number_of_train_points(name: str) -> None:
    found = estimate("kronfluence[strategy=identity]", PROBLEMS[name]()).influence
    expected = estimate("grad_dot", PROBLEMS[name]()).influence
    assert found is not None
    assert expected is not None
    torch.testing.assert_close(found * len(found), expected, rtol=0, atol=1e-12 * float(expected.abs().max()))


def test_kfac_is_the_influence_function_of_least_squares() -> None:
    """With one output, the only approximation is the size of the squared error, which is drawn."""
    problem = {"data": line(), "model": Linear(), "learning_rate": 0.1, "epochs": 100}
    exact = estimate("influence_function[solver=explicit,damping=1e-10]", small_problem(**problem)).influence
    one = estimate("kronfluence[strategy=kfac,damping=1e-10]", small_problem(**problem)).influence
    many = estimate("kronfluence[strategy=kfac,damping=1e-10,n_draws=400]", small_problem(**problem)).influence
    assert correlation(one, exact) > 1 - 1e-8
    assert exact is not None
    assert many is not None
    assert float(many.norm() / exact.norm()) == pytest.approx(1, abs=0.04)


def test_kfac_predicts_refits_of_least_squares() -> None:
    oracle = least_squares()
    found = estimate("kronfluence[strategy=kfac,damping=1e-6]", oracle.problem).influence
    assert correlation(found, oracle.influence) > 0.98


def test_ekfac_is_near_to_influbenchs() -> None:
    """Mean Pearson correlations over six problems: influence, memorization. More draws reduce the difference."""
    near, far = {}, {}
    for selector in (OWN, "kronfluence[damping=0.01]", "kronfluence[damping=0.01,n_draws=64]"):
        near[selector] = _mean_agreement(selector, OWN)
        far[selector] = _mean_agreement(selector, "influence_function[solver=explicit,damping=0.01]")
    assert near["kronfluence[damping=0.01]"] == pytest.approx((0.87, 0.93), abs=0.01)
    assert near["kronfluence[damping=0.01,n_draws=64]"] == pytest.approx((0.91, 0.98), abs=0.01)
    assert far[OWN] == pytest.approx((0.63, 0.95), abs=0.01)
    assert far["kronfluence[damping=0.01]"] == pytest.approx((0.63, 0.89), abs=0.01)
    assert far["kronfluence[damping=0.01,n_draws=64]"] == pytest.approx((0.62, 0.93), abs=0.01)


def _mean_agreement(first: str, second: str) -> tuple[float, float]:
    pairs = [(_on_blobs(first, seed), _on_blobs(second, seed)) for seed in range(6)]
    of_influence = [correlation(one.influence, other.influence) for one, other in pairs]
    of_memorization = [correlation(one.memorization, other.memorization) for one, other in pairs]
    return sum(of_influence) / 6, sum(of_memorization) / 6


@cache
def _on_blobs(selector: str, seed: int) -> Estimate:
    return estimate(selector, small_problem(blobs(60, 20, seed=seed), seed=seed, epochs=10))
