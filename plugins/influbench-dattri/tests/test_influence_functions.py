"""Agreement of dattri, influbench and arithmetic by hand; everything here is in float64."""

from dataclasses import dataclass

import pytest
import torch
from influbench import Data, Model, Recipe
from influbench.errors import EstimateError
from influbench.models.linear import Linear
from influbench.seeds import derive
from influbench.testing import blobs, line, small_problem
from oracles import both, estimate, gradients, hessian, network, off
from torch import nn

MINE = "influence_function[solver=explicit,curvature=hessian,damping=0.1]"
CONVEX = {"data": blobs(40, 8), "model": Linear()}


def by_hand(problem, inverse) -> torch.Tensor:
    parameters = network(problem)
    of_loss, of_measure = (gradients(problem, parameters, of=of) for of in ("train", "test"))
    return -of_loss @ inverse(hessian(problem, parameters)) @ of_measure.T / len(of_loss)


def damped_inverse(damping: float):
    return lambda matrix: torch.linalg.inv(matrix + damping * torch.eye(len(matrix)).double())


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"measure": "margin"},
        {"measure": "p_correct"},
        {"weight_decay": 0.05},
        {"optimizer": "adamw", "weight_decay": 0.05, "learning_rate": 0.01},
        {"data": line(), "learning_rate": 0.01},
    ],
    ids=str,
)
def test_explicit_is_the_influence_function_with_the_full_hessian(settings) -> None:
    of_test, of_own = both("dattri_if_explicit[damping=0.1]", MINE, **settings)
    assert of_test < 1e-11
    assert of_own < 1e-11


def test_explicit_is_the_average_over_runs() -> None:
    mine = MINE.replace("]", ",n_runs=3]")
    assert max(both("dattri_if_explicit[damping=0.1,n_runs=3]", mine)) < 1e-10


def test_explicit_is_what_the_formula_says() -> None:
    expected = by_hand(small_problem(), damped_inverse(0.1))
    assert off(estimate("dattri_if_explicit[damping=0.1]", small_problem()).influence, expected) < 1e-11


@dataclass(frozen=True)
class HalfFrozen(Model):
    """A first layer that is not trained."""

    @property
    def recipe(self) -> Recipe:
        return Recipe()

    def build(self, data: Data) -> nn.Module:
        first, last = nn.Linear(data.train.inputs.shape[1], 8), nn.Linear(8, 3)
        return nn.Sequential(first.requires_grad_(False), nn.ReLU(), last)


def test_what_is_not_trained_has_no_part_in_it() -> None:
    assert max(both("dattri_if_explicit[damping=0.1]", MINE, model=HalfFrozen())) < 1e-11


def test_the_gauss_newton_matrix_is_another_curvature_unless_the_network_is_linear() -> None:
    gauss_newton = "influence_function[solver=explicit,damping=0.1]"
    assert max(both("dattri_if_explicit[damping=0.1]", gauss_newton, **CONVEX)) < 1e-12
    assert both("dattri_if_explicit[damping=0.1]", gauss_newton)[0] > 0.5


def test_an_explicit_hessian_that_would_not_fit_is_refused() -> None:
    from influbench_dattri.influence_functions import Explicit

    problem = small_problem(blobs(20_001, 4))
    assert problem.data.train.inputs.shape[0] * 75 > 1_500_000
    assert "dattri_if_cg" in (Explicit().unsupported(problem) or "")


def test_conjugate_gradients_reach_the_explicit_solution() -> None:
    assert max(both("dattri_if_cg[damping=0.1,max_iterations=10]", MINE, **CONVEX)) < 1e-8
    assert max(both("dattri_if_cg[damping=0.1,max_iterations=60]", MINE)) < 1e-9


def test_ten_conjugate_gradient_steps_are_far_from_it_where_the_hessian_is_not_definite() -> None:
    assert both("dattri_if_cg[damping=0.1]", MINE)[0] > 0.3


def test_conjugate_gradients_continue_after_an_exact_solution() -> None:
    selector = "dattri_if_cg[damping=1e6,max_iterations=200]"
    with pytest.raises(EstimateError, match="continued after an exact solution"):
        estimate(selector, small_problem(**CONVEX))


def test_conjugate_gradients_do_not_depend_on_what_is_multiplied_together(monkeypatch) -> None:
    from influbench_dattri import influence_functions

    whole = estimate("dattri_if_cg", small_problem())
    monkeypatch.setattr(influence_functions, "_PAIRS", 60)  # three points at a time
    parts = estimate("dattri_if_cg", small_problem())
    assert off(parts.influence, whole.influence) < 1e-9
    assert off(parts.memorization, whole.memorization) < 1e-9


@pytest.mark.parametrize(("settings", "notes"), [(CONVEX, 0), ({}, 1)], ids=["convex", "indefinite"])
def test_arnoldi_is_the_inverse_along_positive_eigenvalues_within_the_krylov_space(settings, notes) -> None:
    problem = small_problem(**settings)
    found = estimate("dattri_if_arnoldi[damping=0.1,max_iterations=10]", problem)
    expected = by_hand(problem, lambda matrix: within_krylov_space(matrix, problem.seed, 9))
    assert off(found.influence, expected) < 1e-8
    assert len(found.notes) == notes
    assert all("were not positive and are left out" in note for note in found.notes)


def within_krylov_space(matrix: torch.Tensor, seed: int, n: int) -> torch.Tensor:
    """The inverse of the damped matrix in a basis that is orthogonalized again for each vector."""
    matrix = matrix + 0.1 * torch.eye(len(matrix)).double()
    generator = torch.Generator().manual_seed(derive(seed, "dattri"))
    start = torch.rand(len(matrix), generator=generator, dtype=torch.float64)
    basis = (start / start.norm())[:, None]
    while basis.shape[1] < n:
        basis, _ = torch.linalg.qr(torch.cat([basis, matrix @ basis[:, -1:]], dim=1))
    values, vectors = torch.linalg.eigh(basis.T @ matrix @ basis)
    kept = basis @ vectors[:, values > 0]
    return kept / values[values > 0] @ kept.T


def test_arnoldi_without_leaving_them_out_gives_no_numbers() -> None:
    with pytest.raises(EstimateError, match="set positive_only to true"):
        estimate("dattri_if_arnoldi[positive_only=false]", small_problem())


def test_arnoldi_goes_wrong_if_it_continues_after_it_has_exhausted_its_space() -> None:
    """Of the 19 steps that 18 parameters allow, it needs 13: as many as there are different eigenvalues."""
    exact = estimate(MINE, small_problem(**CONVEX)).influence
    early = estimate("dattri_if_arnoldi[damping=0.1,tolerance=1e-4,positive_only=false]", small_problem(**CONVEX))
    assert off(early.influence, exact) < 1e-3
    assert early.notes == ()
    try:
        late = estimate("dattri_if_arnoldi[damping=0.1,positive_only=false]", small_problem(**CONVEX))
    except EstimateError:  # rounding error decides whether its last eigenvalue is just below 0 or just above
        return
    assert off(late.influence, exact) > 100
    assert "times what a Hessian without negative eigenvalues allows" in late.notes[0]


def test_lissa_approaches_the_explicit_solution_with_its_damping_added_to_the_hessian() -> None:
    whole_batches = "dattri_if_lissa[damping=0.1,scale=2.0,batch_size=40,depth=80]"
    assert max(both(whole_batches, MINE, **CONVEX)) < 0.01
    of_one_point = "dattri_if_lissa[damping=0.1,scale=10.0,depth=200]"
    assert 0.02 < both(of_one_point, MINE, **CONVEX)[0] < 0.5


def test_lissa_says_where_it_diverges() -> None:
    diverged = estimate("dattri_if_lissa[damping=0.1,scale=5.0,batch_size=20,depth=80]", small_problem())
    assert "the series diverged" in diverged.notes[0]
    with pytest.raises(EstimateError, match="the series diverged"):
        estimate("dattri_if_lissa[scale=0.0001,depth=80]", small_problem())


def test_dattri_adds_up_the_inverses_of_several_batches() -> None:
    """The reason why dattri gets the train points as one batch."""
    from dattri.algorithm import IFAttributorExplicit

    from influbench_dattri.boundary import dattri_runs, handover

    problem = small_problem(**CONVEX)
    parameters = network(problem)
    with dattri_runs(problem, torch.float64):
        given = handover(problem, [parameters], torch.float64)
        attributor = IFAttributorExplicit(given.task(given.loss, given.negative("neg_loss")), regularization=0.1)
        attributor.cache(given.loader(given.train, batch_size=20))
        found = attributor.attribute(given.loader(given.train), given.loader(given.test))
    of_loss, of_measure = (gradients(problem, parameters, of=of) for of in ("train", "test"))
    halves = [problem.data.train.rows(given.rows.argsort()[half]) for half in (slice(0, 20), slice(20, 40))]
    inverses = sum(damped_inverse(0.1)(hessian_of(problem, parameters, half)) for half in halves)
    assert off(found[given.rows], -of_loss @ inverses @ of_measure.T) < 1e-10
    assert off(found[given.rows], -of_loss @ damped_inverse(0.1)(hessian(problem, parameters)) @ of_measure.T) > 0.5


def test_dattri_takes_a_point_with_itself_in_a_single_batch_only() -> None:
    """The reason why memorization is computed batch by batch."""
    from dattri.algorithm import IFAttributorCG

    from influbench_dattri.boundary import dattri_runs, handover

    problem = small_problem(**CONVEX)
    with dattri_runs(problem, torch.float64):
        given = handover(problem, [network(problem)], torch.float64)
        attributor = IFAttributorCG(given.task(given.loss, given.negative("p_correct")), regularization=0.1)
        attributor.cache(given.loader(given.train))
        assert attributor.self_attribute(given.loader(given.train)).shape == (40,)
        with pytest.raises(RuntimeError, match="must match the size"):
            attributor.self_attribute(given.loader(given.train, batch_size=20))


def hessian_of(problem, parameters, split) -> torch.Tensor:
    from dataclasses import replace
    from types import SimpleNamespace

    some = SimpleNamespace(model=problem.model, forward=problem.forward, data=replace(problem.data, train=split))
    return hessian(some, parameters)


@pytest.mark.parametrize(
    "wrong",
    [
        "dattri_if_explicit[damping=-1]",
        "dattri_if_explicit[n_runs=0]",
        "dattri_if_cg[max_iterations=0]",
        "dattri_if_arnoldi[n_projected=0]",
        "dattri_if_arnoldi[max_iterations=1]",
        "dattri_if_arnoldi[tolerance=0]",
        "dattri_if_lissa[depth=0]",
        "dattri_if_lissa[scale=0]",
    ],
)
def test_values_that_make_no_sense_are_refused(wrong) -> None:
    from influbench.errors import UsageError

    with pytest.raises(UsageError, match="must be"):
        estimate(wrong, small_problem())
