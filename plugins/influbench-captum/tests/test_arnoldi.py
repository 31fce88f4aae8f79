"""Captum's low-rank inverse against influbench's exact inverse and against an inverse by hand."""

import by_hand
import pytest
import torch
from influbench.models.linear import Linear
from influbench.models.mlp import Mlp
from influbench.registry import installed, parse_selector
from influbench.seeds import derive
from influbench.testing import line, small_problem

from influbench_captum.arnoldi import CaptumArnoldi

EXACT = "influence_function[solver=explicit,curvature=hessian,damping=0.1]"
TRAINED = {"model": Mlp(hidden=(4,)), "epochs": 20}
LEAST_SQUARES = {"data": line(), "model": Linear(), "learning_rate": 0.01}


def estimated(selector, **problem):
    return installed().create("estimator", parse_selector(selector)).estimate(small_problem(**problem))


def difference(found, expected):
    """The largest difference, relative to the largest entry."""
    return float((found - expected).abs().max() / expected.abs().max())


def end_of(problem):
    return {name: p[0] for name, p in problem.train(replicates=[0]).parameters().items()}


def within_krylov(problem, n_directions, *, damping):
    """Influence through the inverse in this many directions of the Krylov space that captum starts."""
    parameters = end_of(problem)
    matrix = by_hand.hessian(problem, parameters)
    with torch.random.fork_rng([]):
        torch.manual_seed(derive(problem.seed, "arnoldi", 0))
        start = torch.cat([torch.randn_like(p).flatten() for p in parameters.values()])
    basis = by_hand.krylov(matrix, start, n_directions)
    inverse = by_hand.inverse_within(matrix, basis, damping=damping * len(problem.data.train))
    of_train = by_hand.loss_gradients(problem, parameters, problem.data.train)
    return -of_train @ inverse @ by_hand.measure_gradients(problem, parameters, problem.data.test).T


@pytest.mark.parametrize("measure", ["neg_loss", "margin", "p_correct"])
def test_equals_influence_functions_where_all_curvature_is_kept(measure):
    expected = estimated(EXACT, measure=measure, **TRAINED)
    found = estimated("captum_arnoldi[damping=0.1,n_projected=100,tolerance=1e-10]", measure=measure, **TRAINED)
    assert difference(found.influence, expected.influence) < 1e-5
    assert difference(found.memorization, expected.memorization) < 1e-5


@pytest.mark.parametrize(("n_projected", "off"), [(12, 0.0066), (4, 0.020), (1, 0.99)])
def test_fewer_directions_are_further_from_influence_functions(n_projected, off):
    expected = estimated(EXACT, **TRAINED).influence
    found = estimated(f"captum_arnoldi[damping=0.1,n_projected={n_projected},tolerance=1e-10]", **TRAINED).influence
    assert difference(found, expected) == pytest.approx(off, rel=0.1)


def test_one_direction_of_the_krylov_space_is_left_out():
    """On a problem with four parameters, where four directions give the exact answer."""
    exact = estimated(EXACT, **LEAST_SQUARES).influence
    found = estimated("captum_arnoldi[damping=0.1]", **LEAST_SQUARES).influence
    assert difference(within_krylov(small_problem(**LEAST_SQUARES), 4, damping=0.1), exact) < 1e-10
    assert difference(found, within_krylov(small_problem(**LEAST_SQUARES), 3, damping=0.1)) < 1e-10
    assert difference(found, exact) == pytest.approx(0.138, abs=0.005)


@pytest.mark.parametrize("n_iterations", [3, 8])
def test_is_the_inverse_within_one_direction_fewer_than_iterations(n_iterations):
    """Early in training, where the Hessian has directions of negative curvature, which are left out as well."""
    found = CaptumArnoldi(n_iterations=n_iterations).estimate(small_problem()).influence
    assert difference(found, within_krylov(small_problem(), n_iterations - 1, damping=0.01)) < 1e-8


@pytest.mark.parametrize(("optimizer", "damping"), [("sgd", 0.11), ("adam", 0.11), ("adamw", 0.1)])
def test_weight_decay_is_added_to_the_damping_but_for_adamw(optimizer, damping):
    problem = {"optimizer": optimizer, "momentum": 0.0, "weight_decay": 0.01}
    found = estimated("captum_arnoldi[damping=0.1,n_iterations=5]", **problem).influence
    assert (
        difference(found, within_krylov(small_problem(**problem), 4, damping=damping)) < 1e-7
    )  # captum rounds it to float32


def test_runs_are_averaged_and_start_elsewhere():
    one = estimated("captum_arnoldi", **TRAINED)
    two = estimated("captum_arnoldi[n_runs=2]", **TRAINED)
    assert difference(two.influence, one.influence) > 0.01


def test_frozen_parameters_are_left_out():
    def half_frozen(_data):
        net = torch.nn.Sequential(torch.nn.Linear(5, 4), torch.nn.Tanh(), torch.nn.Linear(4, 3))
        net[0].requires_grad_(False)
        return net

    problem = {"model": by_hand.ModuleModel(half_frozen), "epochs": 20}
    expected = estimated("influence_function[solver=explicit,curvature=hessian,damping=1]", **problem)
    found = estimated("captum_arnoldi[damping=1,tolerance=1e-10]", **problem)
    assert difference(found.influence, expected.influence) < 0.002  # the direction that captum leaves out


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"damping": -1}, "damping must be at least 0 and finite, got -1"),
        ({"n_iterations": 1}, "n_iterations must be at least 2, got 1"),
        ({"n_projected": 0}, "n_projected must be at least 1, got 0"),
        ({"tolerance": 0}, "tolerance must be above 0 and finite, got 0"),
        ({"n_runs": 0}, "n_runs must be at least 1, got 0"),
    ],
)
def test_impossible_values_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        CaptumArnoldi(**fields)
