"""Influence functions, against retraining, closed forms and curvature by plain autograd."""

import re
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.functional import hessian, jacobian

from influbench.api import Data, Problem, Split
from influbench.estimators.influence_function.curvature import Curvature, curvature_product, in_float64
from influbench.estimators.influence_function.ekfac import layer_positions
from influbench.estimators.influence_function.estimator import InfluenceFunction, SolverName
from influbench.models.linear import Linear
from influbench.models.mlp import Mlp
from influbench.training.loop import Trainer
from tests.problems import ModuleModel, ResidualModel, blobs, line, permuted, problem, trainer

N = 60


def logistic(**changes: object) -> Trainer:
    """L2-regularized logistic regression, trained to its optimum."""
    data = blobs(N, 12, n_inputs=3)
    recipe = {"learning_rate": 0.5, "batch_size": N, "epochs": 200, "weight_decay": 0.1, **changes}
    return trainer(data, Linear(), **recipe)  # type: ignore[arg-type]


def scores(problem: Problem, **parameters: object) -> Tensor:
    influence = InfluenceFunction(**parameters).estimate(problem).influence  # type: ignore[arg-type]
    assert influence is not None
    return influence


def effects(of: Trainer, weight: float) -> tuple[Tensor, Tensor]:
    """The change in the measure, and in the point's own p_correct, when its weight goes from `weight` to 1."""
    n = len(of.data.train)
    runs = problem(of).train(torch.cat([torch.ones(1, n), 1 - (1 - weight) * torch.eye(n)]), replicates=[0] * (n + 1))
    measured, own = runs.measured(of.data.test), runs.p_correct(of.data.train)
    return measured[0] - measured[1:], own[0] - own[1:].diagonal()


def pearson(a: Tensor, b: Tensor) -> float:
    return torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1].item()


@dataclass(frozen=True, eq=False)
class Plain:
    """Gradients and curvature of one trained network by plain autograd, one example after the other."""

    of_loss: Tensor  # (n_train, n_parameters)
    of_measure: Tensor  # (n_test, n_parameters)
    of_p_correct: Tensor | None  # (n_train, n_parameters)
    gauss_newton: Tensor
    hessian: Tensor

    def inverse(self, curvature: Curvature, added: float) -> Tensor:
        matrix: Tensor = getattr(self, curvature)
        return torch.linalg.inv(matrix + added * torch.eye(len(matrix), dtype=torch.float64))

    def influence(self, inverse: Tensor) -> Tensor:
        return -self.of_loss @ inverse @ self.of_measure.T / len(self.of_loss)


def plain(view: Problem, *, replicate: int = 0) -> Plain:
    runs = view.train(replicates=[replicate])
    parameters = {name: p[0].double() for name, p in runs.parameters().items()}
    trained = {name: p for name, p in parameters.items() if name in view.trainable}
    point = torch.cat([p.flatten() for p in trained.values()])
    train, test = view.data.train, view.data.test

    def outputs(at: Tensor, split: Split) -> Tensor:
        moved, start = dict(parameters), 0
        for name, p in trained.items():
            moved[name] = at[start : start + p.numel()].view_as(p)
            start += p.numel()
        return view.forward(moved, split.inputs.double())

    def losses(at: Tensor) -> Tensor:
        return view.model.loss(outputs(at, train), train.labels)

    per_example = jacobian(lambda at: outputs(at, train).reshape(len(train), -1), point)
    fixed = outputs(point, train)
    gauss_newton = torch.zeros(len(point), len(point), dtype=torch.float64)
    for i in range(len(train)):
        label = train.labels[i : i + 1]
        second = hessian(lambda of_one, label=label: view.model.loss(of_one, label).sum(), fixed[i : i + 1])
        second = second.reshape(per_example.shape[1], per_example.shape[1])
        gauss_newton += per_example[i].T @ second @ per_example[i] / len(train)
    classes = view.data.n_classes is not None
    return Plain(
        jacobian(losses, point),
        jacobian(lambda at: view.measured(outputs(at, test), test.labels), point),
        jacobian(lambda at: view.measured(outputs(at, train), train.labels, measure="p_correct"), point)
        if classes
        else None,
        gauss_newton,
        hessian(lambda at: losses(at).mean(), point),
    )


def relative_error(found: Tensor, expected: Tensor) -> float:
    return ((found - expected).abs().max() / expected.abs().max()).item()


# Against retraining


def test_logistic_regression_without_each_point() -> None:
    of = logistic()
    estimate = InfluenceFunction(solver="explicit", damping=0.0).estimate(problem(of))
    assert estimate.influence is not None
    assert estimate.memorization is not None
    assert estimate.notes == ()
    for predicted, effect in zip((estimate.influence, estimate.memorization), effects(of, 0.0), strict=True):
        assert pearson(predicted, effect) > 0.99
        slope = ((predicted * effect).sum() / predicted.square().sum()).item()
        assert 1 < slope < 1.15  # without i the curvature is smaller than with it


@pytest.mark.parametrize("measure", ["neg_loss", "margin"])
def test_scores_are_the_derivative_in_the_weight(measure: str) -> None:
    """Lowering the weight by a thousandth changes the measure by a thousandth of the score."""
    of = logistic(measure=measure)
    estimate = InfluenceFunction(solver="explicit", damping=0.0).estimate(problem(of))
    assert estimate.influence is not None
    assert estimate.memorization is not None
    on_test, own = effects(of, 0.999)
    assert relative_error(estimate.influence, on_test * 1000) < 1e-3
    assert relative_error(estimate.memorization, own * 1000) < 1e-3


def test_ridge_regression_in_closed_form() -> None:
    """Leaving out is first order over 1 - leverage, and a square on top: both are known for squared error."""
    decay, n = 0.2, 20
    of = trainer(line(), Linear(), learning_rate=0.2, momentum=0.5, batch_size=n, epochs=300, weight_decay=decay)
    estimate = InfluenceFunction(solver="explicit", damping=0.0).estimate(problem(of))
    assert estimate.influence is not None
    assert estimate.memorization is None

    def refitted(weights: Tensor) -> Tensor:
        curvature = 2 / n * (x * weights[:, None]).T @ x + decay * torch.eye(4, dtype=torch.float64)
        return torch.linalg.solve(curvature, 2 / n * x.T @ (weights * of.data.train.labels))

    def with_ones(inputs: Tensor) -> Tensor:
        return torch.cat([inputs, torch.ones(len(inputs), 1, dtype=torch.float64)], dim=1)

    x, x_test, y_test = with_ones(of.data.train.inputs), with_ones(of.data.test.inputs), of.data.test.labels
    everything = torch.ones(n, dtype=torch.float64)
    inverse = torch.linalg.inv(2 / n * x.T @ x + decay * torch.eye(4, dtype=torch.float64))
    leverage = 2 / n * (x @ inverse * x).sum(1)
    for i in range(n):
        without = everything.clone()
        without[i] = 0
        before, after = x_test @ refitted(everything), x_test @ refitted(without)
        effect = (after - y_test).square() - (before - y_test).square()
        expected = (effect - (after - before).square()) * (1 - leverage[i])
        torch.testing.assert_close(estimate.influence[i], expected, rtol=1e-6, atol=1e-8)


def test_frozen_parameters_do_not_count() -> None:
    def make() -> nn.Module:
        module = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3))
        module[0].requires_grad_(False)
        return module

    of = trainer(
        blobs(30, 6, n_inputs=3),
        ModuleModel(make),
        learning_rate=0.5,
        batch_size=30,
        epochs=200,
        weight_decay=0.1,
    )
    on_test, _ = effects(of, 0.999)
    for solver in ("explicit", "cg"):
        found = scores(problem(of), solver=solver, damping=0.0, tolerance=1e-9)
        assert relative_error(found, on_test * 1000) < 1e-3


# Against plain autograd


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
@pytest.mark.parametrize("curvature", ["gauss_newton", "hessian"])
def test_scores_equal_their_formula(optimizer: str, curvature: Curvature) -> None:
    """Weight decay belongs to the objective of sgd and adam, but not to the objective of adamw."""
    of = trainer(model=ResidualModel(), optimizer=optimizer, learning_rate=0.01, momentum=0.0, weight_decay=0.3)
    expected = plain(problem(of))
    inverse = expected.inverse(curvature, added=0.5 if optimizer == "adamw" else 0.8)
    estimate = InfluenceFunction(solver="explicit", curvature=curvature, damping=0.5).estimate(problem(of))
    assert expected.of_p_correct is not None
    own = -(expected.of_loss @ inverse * expected.of_p_correct).sum(1) / 20
    torch.testing.assert_close(estimate.influence, expected.influence(inverse), rtol=1e-8, atol=1e-11)
    torch.testing.assert_close(estimate.memorization, own, rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize("data", [blobs(), line()], ids=["classes", "regression"])
@pytest.mark.parametrize("curvature", ["gauss_newton", "hessian"])
def test_curvature_equals_plain_autograd(curvature: Curvature, data: Data) -> None:
    of = trainer(data, ResidualModel())
    network = in_float64(
        problem(of), {name: p[0] for name, p in problem(of).train(replicates=[0]).parameters().items()}
    )
    identity = torch.eye(len(network.point), dtype=torch.float64)
    expected = getattr(plain(problem(of)), curvature) + 0.1 * identity
    torch.testing.assert_close(curvature_product(network, curvature, added=0.1)(identity), expected)


@pytest.mark.parametrize("solver", ["explicit", "cg", "ekfac"])
def test_curvature_is_that_in_float64(solver: SolverName) -> None:
    """Trained in float32, the scores are those of the same parameters in float64."""
    of = trainer(line(), Linear(), dtype=torch.float32, learning_rate=0.01)
    expected = plain(problem(of))
    found = scores(problem(of), solver=solver, tolerance=1e-12)
    assert relative_error(found, expected.influence(expected.inverse("gauss_newton", added=0.01))) < 1e-9


def test_relative_scores_are_over_the_norm_of_the_train_point() -> None:
    of = trainer(model=ResidualModel())
    expected = plain(problem(of))
    norms = (expected.of_loss @ expected.inverse("gauss_newton", added=0.1) * expected.of_loss).sum(1).sqrt()
    absolute = InfluenceFunction(solver="explicit", damping=0.1).estimate(problem(of))
    relative = InfluenceFunction(solver="explicit", damping=0.1, relative=True).estimate(problem(of))
    assert absolute.influence is not None
    torch.testing.assert_close(relative.influence, absolute.influence / norms[:, None], rtol=1e-8, atol=1e-11)
    torch.testing.assert_close(relative.memorization, absolute.memorization)


def test_several_runs_are_averaged() -> None:
    of = trainer(model=ResidualModel())
    of_runs = [plain(problem(of), replicate=k) for k in range(2)]
    expected = torch.stack([run.influence(run.inverse("gauss_newton", added=0.1)) for run in of_runs]).mean(0)
    view = problem(of)
    torch.testing.assert_close(scores(view, solver="explicit", damping=0.1, n_runs=2), expected)
    assert view.meter.trainings == 2


# Solvers against each other


@pytest.mark.parametrize(
    ("of", "curvature", "damping"),
    [
        (logistic, "gauss_newton", 0.0),
        (logistic, "hessian", 0.0),
        (trainer, "gauss_newton", 0.01),
        (lambda: trainer(model=ResidualModel()), "hessian", 1.0),
    ],
    ids=["logistic-gauss_newton", "logistic-hessian", "mlp-gauss_newton", "residual-hessian"],
)
def test_conjugate_gradients_equal_the_explicit_solve(
    of: Callable[[], Trainer], curvature: Curvature, damping: float
) -> None:
    explicit = InfluenceFunction(solver="explicit", curvature=curvature, damping=damping).estimate(problem(of()))
    cg = InfluenceFunction(curvature=curvature, damping=damping, tolerance=1e-9).estimate(problem(of()))
    assert explicit.notes == cg.notes == ()
    for found, expected in ((cg.influence, explicit.influence), (cg.memorization, explicit.memorization)):
        assert found is not None
        assert expected is not None
        assert relative_error(found, expected) < 1e-6


def test_ekfac_is_exact_for_one_linear_output() -> None:
    """With one output, the block of the only layer is diagonal in its basis."""
    of = trainer(line(), Linear(), learning_rate=0.02)
    assert relative_error(scores(problem(of), solver="ekfac"), scores(problem(of), solver="explicit")) < 1e-9


def convolution() -> nn.Module:
    return nn.Sequential(
        nn.Unflatten(1, (1, 3, 3)), nn.Conv2d(1, 4, 2), nn.GroupNorm(2, 4), nn.Tanh(), nn.Flatten(), nn.Linear(16, 3)
    )


@pytest.mark.parametrize("model", [Mlp(hidden=(4,)), ModuleModel(convolution)], ids=["mlp", "convolution"])
def test_ekfac_equals_its_definition(model: Mlp | ModuleModel) -> None:
    """Each layer's block of the plain matrix, of which only the diagonal in the basis of its two marginals is kept."""
    of = trainer(blobs(n_inputs=9), model)
    expected = plain(problem(of))
    inverse = torch.zeros_like(expected.gauss_newton)
    trained = {name: p for name, p in problem(of).initial_parameters(0).items() if name in problem(of).trainable}
    for positions in layer_positions(trained):
        n_out, n_in = positions.shape
        places = positions.flatten()
        block = expected.gauss_newton[places][:, places]
        four = block.reshape(n_out, n_in, n_out, n_in)
        _, left = torch.linalg.eigh(four.diagonal(0, 1, 3).sum(-1))
        _, right = torch.linalg.eigh(four.diagonal(0, 0, 2).sum(-1))
        basis = torch.kron(left, right)
        eigenvalues = (basis.T @ block @ basis).diagonal() + 0.01
        inverse[places[:, None], places[None]] = basis / eigenvalues @ basis.T
    torch.testing.assert_close(scores(problem(of), solver="ekfac"), expected.influence(inverse), rtol=1e-8, atol=1e-11)


def test_a_weight_and_its_bias_are_one_layer() -> None:
    shapes = [tuple(of.shape) for of in layer_positions(dict(convolution().named_parameters()))]
    assert shapes == [(4, 5), (4, 1), (4, 1), (3, 17)]


def test_ekfac_is_close_to_the_explicit_solve() -> None:
    of = logistic()
    assert pearson(scores(problem(of), solver="ekfac"), scores(problem(of), solver="explicit")) > 0.9


# What a solve must confess


def test_conjugate_gradients_that_do_not_converge_say_so() -> None:
    estimate = InfluenceFunction(damping=0.001, max_iterations=1, n_runs=2).estimate(problem())
    first, second = estimate.notes
    assert first.startswith("run 0: conjugate gradients did not converge for 20 of 20 train points in 1 iterations: ")
    assert "largest relative residual 1.2, tolerance 0.001" in first
    assert second.startswith("run 1: ")


def test_residuals_in_notes_are_those_of_the_solution() -> None:
    """The recursion's residual is the true one: with one iteration, minus the step along the gradient."""
    of = trainer(model=ResidualModel())
    (note,) = InfluenceFunction(damping=0.1, max_iterations=1).estimate(problem(of)).notes
    expected = plain(problem(of))
    gradients = expected.of_loss
    curved = gradients @ expected.gauss_newton + 0.1 * gradients
    steps = gradients.square().sum(1) / (gradients * curved).sum(1)
    residuals = (gradients - steps[:, None] * curved).norm(dim=1) / gradients.norm(dim=1)
    assert f"largest relative residual {residuals.max():.2g}, tolerance 0.001" in note


@pytest.mark.parametrize(
    ("solver", "note"),
    [
        ("explicit", r"the damped curvature is negative along \d+ of \d+ directions, the smallest -0\.\d+: "),
        ("cg", r"conjugate gradients met negative or no curvature for \d+ of 20 train points and stopped there: "),
    ],
)
def test_negative_curvature_is_reported(solver: SolverName, note: str) -> None:
    estimate = InfluenceFunction(solver=solver, curvature="hessian", damping=0.0).estimate(problem())
    assert any(re.match(note, found) for found in estimate.notes)


def test_train_points_without_a_norm_score_0_and_are_reported() -> None:
    view = problem(trainer(model=ResidualModel()))
    estimate = InfluenceFunction(solver="explicit", curvature="hessian", damping=0.0, relative=True).estimate(view)
    found = re.match(r"(\d+) of 20 train points have no positive norm to divide by and score 0", estimate.notes[-1])
    assert found is not None
    assert estimate.influence is not None
    assert int((estimate.influence == 0).all(1).sum()) == int(found[1])


def test_directions_without_curvature_are_left_out_and_reported() -> None:
    """Without decay, one constant added to all logits changes nothing; gradients have no part along it."""
    of = logistic(weight_decay=0.0, epochs=20)
    explicit = InfluenceFunction(solver="explicit", damping=0.0).estimate(problem(of))
    assert explicit.notes == ("the damped curvature is 0 along 4 of 12 directions, which were left out",)
    assert explicit.influence is not None
    assert relative_error(scores(problem(of), damping=0.0, tolerance=1e-10), explicit.influence) < 1e-6


def test_too_many_parameters_for_the_matrix_are_unsupported() -> None:
    wide = problem(trainer(model=Mlp(hidden=(1000,))))
    assert InfluenceFunction(solver="explicit").unsupported(wide) == (
        "the explicit solver takes at most 8,000 parameters, but the model trains 9,003; use solver=cg or solver=ekfac"
    )
    assert InfluenceFunction(solver="cg").unsupported(wide) is None
    assert InfluenceFunction(solver="explicit").unsupported(problem()) is None


# Rows and columns


@pytest.mark.parametrize("solver", ["explicit", "cg", "ekfac"])
def test_permuting_the_train_points_permutes_the_scores(solver: SolverName) -> None:
    order = torch.randperm(20, generator=torch.Generator().manual_seed(1))
    before = InfluenceFunction(solver=solver, tolerance=1e-9).estimate(problem(trainer(blobs())))
    after = InfluenceFunction(solver=solver, tolerance=1e-9).estimate(problem(trainer(permuted(blobs(), order))))
    assert before.influence is not None
    assert before.memorization is not None
    torch.testing.assert_close(after.influence, before.influence[order], rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(after.memorization, before.memorization[order], rtol=1e-6, atol=1e-8)


def test_a_test_point_scores_the_same_beside_others_or_alone() -> None:
    data = blobs()
    some = torch.tensor([6, 1, 2])
    fewer = Data(data.train, data.test.rows(some), data.n_classes)
    torch.testing.assert_close(scores(problem(trainer(fewer))), scores(problem(trainer(data)))[:, some])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"damping": -1}, "damping must be at least 0 and finite, got -1"),
        ({"damping": float("nan")}, "damping must be at least 0 and finite, got nan"),
        ({"solver": "lissa"}, "solver must be one of explicit, cg, ekfac, got 'lissa'"),
        ({"curvature": "fisher"}, "curvature must be one of gauss_newton, hessian, got 'fisher'"),
        (
            {"solver": "ekfac", "curvature": "hessian"},
            "curvature must be gauss_newton with solver ekfac, got 'hessian'",
        ),
        ({"n_runs": 0}, "n_runs must be at least 1, got 0"),
        ({"max_iterations": 0}, "max_iterations must be at least 1, got 0"),
        ({"tolerance": 0.0}, r"tolerance must be in \(0, 1\), got 0.0"),
    ],
)
def test_parameters_out_of_range_are_refused(parameters: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        InfluenceFunction(**parameters)  # type: ignore[arg-type]
