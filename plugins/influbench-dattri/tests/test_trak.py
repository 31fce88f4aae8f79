"""dattri's TRAK and influbench's use one formula with different random numbers."""

import pytest
import torch
from influbench.errors import EstimateError, UsageError
from influbench.models.linear import Linear
from influbench.testing import blobs, line, small_problem
from oracles import estimate, flat_gradient, off

CONVEX = {"data": blobs(40, 8), "model": Linear()}  # whose margins' gradients span 12 of 18 directions


@pytest.mark.parametrize("measure", ["neg_loss", "margin", "p_correct"])
def test_as_wide_as_the_gradients_span_both_are_exact_and_equal(measure) -> None:
    found, expected = (
        estimate(f"{name}[n_projected=12]", small_problem(**CONVEX, measure=measure)).influence
        for name in ("dattri_trak", "trak")
    )
    assert off(found, expected) < 1e-9


def test_narrower_than_that_they_differ_by_their_random_numbers() -> None:
    found, expected = (
        estimate(f"{name}[n_projected=8]", small_problem(**CONVEX)).influence for name in ("dattri_trak", "trak")
    )
    assert off(found, expected) > 0.05


@pytest.mark.parametrize("damping", [0.0, 0.001])
def test_it_is_what_the_formula_says_with_dattris_random_numbers(damping) -> None:
    problem = small_problem()
    found = estimate(f"dattri_trak[n_models=2,n_projected=8,damping={damping}]", problem).influence
    assert off(found, by_hand(problem, n_models=2, n_projected=8, damping=damping)) < 1e-9


def by_hand(problem, *, n_models: int, n_projected: int, damping: float) -> torch.Tensor:
    from dattri.func.projection import random_project

    from influbench_dattri.boundary import projection

    runs = problem.train(replicates=range(n_models))
    mean, n_parameters = 0, 75
    for run in range(n_models):
        parameters = {name: p[run] for name, p in runs.parameters().items()}
        everything = torch.eye(n_parameters, dtype=torch.float64)
        project = random_project(everything, n_parameters, **projection(problem, n_projected))
        matrix = project(everything, ensemble_id=run) / n_parameters**0.5
        of_train, of_test = (
            margins(problem, parameters, split) @ matrix for split in (problem.data.train, problem.data.test)
        )
        kernel = of_train.T @ of_train + damping * torch.eye(n_projected, dtype=torch.float64)
        mean = mean + of_train @ torch.linalg.inv(kernel) @ of_test.T / n_models
    return mean * (1 - runs.p_correct(problem.data.train)).mean(0)[:, None]


def margins(problem, parameters, split) -> torch.Tensor:
    leaves = {name: p.clone().requires_grad_() for name, p in parameters.items()}
    values = problem.measured(problem.forward(leaves, split.inputs), split.labels, measure="margin")
    return torch.stack([flat_gradient(value, leaves, graph=True).detach() for value in values])


def test_gradients_that_do_not_span_the_projection_are_an_error() -> None:
    """dattri itself solves with the singular matrix, and returns numbers."""
    with pytest.raises(EstimateError, match="span fewer than 14 directions"):
        estimate("dattri_trak[n_projected=14]", small_problem(**CONVEX))


def test_it_says_what_it_cannot_do() -> None:
    from influbench_dattri.trak import Trak

    assert Trak().unsupported(small_problem(line())) == "regression does not have a margin to linearize"
    assert "wider than the 75 parameters" in (Trak().unsupported(small_problem()) or "")
    assert "set damping above 0" in (Trak(n_projected=30).unsupported(small_problem()) or "")
    assert Trak(n_projected=30, damping=0.1).unsupported(small_problem()) is None


@pytest.mark.parametrize("wrong", ["n_models=0", "n_projected=0", "damping=-1"])
def test_values_that_make_no_sense_are_refused(wrong) -> None:
    with pytest.raises(UsageError, match="must be"):
        estimate(f"dattri_trak[{wrong}]", small_problem())
