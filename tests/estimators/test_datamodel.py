"""Sparse regressions, and the datamodel, on banks whose answers are known."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LassoCV
from sklearn.model_selection import KFold
from torch import Tensor

from influbench.api import Bank
from influbench.errors import EstimateError
from influbench.estimators.datamodel import Datamodel
from influbench.estimators.lasso import PENALTIES, TOLERANCE, SparseFit, sparse_fit
from influbench.models.linear import Linear
from influbench.problem import TrainingProblem
from tests.problems import line, problem, trainer


def drawn(n: int, n_points: int, n_columns: int, *, noise: float, n_used: int) -> tuple[np.ndarray, ...]:
    """Inclusion (n, n_points), measures (n, n_columns), and the weights that they are made of."""
    generator = np.random.default_rng(0)
    inside = (generator.random((n, n_points)) < 0.6).astype(float)
    weights = generator.choice([-1.0, 1.0], (n_points, n_columns)) * generator.uniform(1, 2, (n_points, n_columns))
    for j in range(n_columns):
        weights[generator.permutation(n_points)[n_used:], j] = 0
    return inside, 3 + inside @ weights + noise * generator.standard_normal((n, n_columns)), weights


def fit(inside: np.ndarray, measured: np.ndarray, **settings: object) -> SparseFit:
    return sparse_fit(inside, measured, **{"n_folds": 4, "max_iterations": 1000, **settings})  # type: ignore[arg-type]


def test_with_no_penalty_to_speak_of_it_is_least_squares() -> None:
    inside, measured, _ = drawn(80, 10, 5, noise=0.5, n_used=10)
    design, target = inside - inside.mean(0), measured - measured.mean(0)
    expected = np.linalg.lstsq(design, target, rcond=None)[0]
    found = fit(inside, measured, penalties=np.array([1e-9])).coefficients
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def test_orthogonal_predictors_are_thresholded_softly() -> None:
    """The closed form: least squares, moved towards 0 by the penalty over the variance."""
    inside = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 5).double().numpy()
    weights = np.array([[2.0], [-1.0], [0.5], [0.1], [0.0]])
    found = fit(inside, 1 + inside @ weights, penalties=np.array([0.25])).coefficients
    threshold = 0.25 * 2.0  # a share of the largest penalty, which is that of the largest weight
    expected = np.sign(weights) * np.maximum(np.abs(weights) - threshold, 0)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_the_penalty_is_the_one_that_cross_validation_chooses() -> None:
    inside, measured, _ = drawn(60, 30, 8, noise=2.0, n_used=4)
    found = fit(inside, measured)
    chosen = []
    for j, column in enumerate(measured.T):
        largest = np.abs((inside - inside.mean(0)).T @ (column - column.mean())).max() / 60
        theirs = LassoCV(alphas=largest * PENALTIES, cv=KFold(4), tol=TOLERANCE).fit(inside, column)
        np.testing.assert_allclose(found.coefficients[:, j], theirs.coef_, rtol=0, atol=2e-3)
        chosen.append(theirs.alpha_ / largest)
    assert len(set(chosen)) > 3
    assert not found.unconverged.any()


def test_a_column_without_variation_has_no_coefficients() -> None:
    inside, measured, _ = drawn(40, 6, 2, noise=0.1, n_used=2)
    measured[:, 1] = 0.25
    measured[:, 0] = 0.25
    measured[3, 0] = 0.5  # varies in the fold that holds row 3 out, and nowhere else
    found = fit(inside, measured)
    assert np.isfinite(found.coefficients).all()
    assert (found.coefficients[:, 1] == 0).all()


def test_other_columns_do_not_matter() -> None:
    inside, measured, _ = drawn(60, 30, 8, noise=2.0, n_used=4)
    assert np.array_equal(fit(inside, measured).coefficients[:, 2:5], fit(inside, measured[:, 2:5]).coefficients)


def test_too_few_iterations_are_reported_by_the_gap() -> None:
    inside, measured, _ = drawn(60, 55, 3, noise=2.0, n_used=55)
    found = fit(inside, measured, max_iterations=1)
    assert found.unconverged.any()
    assert found.gaps.max() > TOLERANCE


def with_bank(inside: Tensor, on_test: Tensor, monkeypatch: pytest.MonkeyPatch) -> TrainingProblem:
    view = problem()
    bank = Bank(inside, on_test, inside.double(), inside.double())
    monkeypatch.setattr(view, "bank", lambda *, n_models, ratio: bank)
    return view


def test_a_sparse_linear_model_is_recovered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every weight up to the shrinkage of the smallest penalty, and nothing where there is nothing."""
    inside, measured, weights = drawn(120, 20, 8, noise=0.0, n_used=3)
    view = with_bank(torch.tensor(inside).float(), torch.tensor(measured), monkeypatch)
    estimate = Datamodel(n_models=120).estimate(view)
    assert estimate.influence is not None
    assert estimate.memorization is None
    assert estimate.notes == ()
    np.testing.assert_allclose(estimate.influence.numpy(), weights, rtol=0, atol=0.15)
    assert torch.equal(estimate.influence.abs() > 0.5, torch.tensor(weights != 0))


def test_more_points_than_models_are_no_obstacle(monkeypatch: pytest.MonkeyPatch) -> None:
    inside, measured, weights = drawn(18, 20, 8, noise=0.0, n_used=1)
    view = with_bank(torch.tensor(inside).float(), torch.tensor(measured), monkeypatch)
    influence = Datamodel(n_models=18).estimate(view).influence
    assert influence is not None
    assert torch.equal(influence.abs().argmax(0), torch.tensor(weights).abs().argmax(0))


def test_what_did_not_converge_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    inside, measured, _ = drawn(40, 20, 8, noise=2.0, n_used=20)
    view = with_bank(torch.tensor(inside).float(), torch.tensor(measured), monkeypatch)
    (note,) = Datamodel(n_models=40, max_iterations=1).estimate(view).notes
    assert note.startswith("the lasso did not converge within 1 iterations for 8 of 8 test points: duality gap up to ")
    assert note.endswith(" of the sum of squares, above the tolerance of 1e-04")


def test_scores_are_those_of_the_regression_on_the_shared_bank() -> None:
    view = problem()
    influence = Datamodel(n_models=40, ratio=0.6).estimate(view).influence
    bank = problem().bank(n_models=40, ratio=0.6)
    expected = fit(bank.weights.double().numpy(), bank.on_test.numpy(), n_folds=5).coefficients
    assert influence is not None
    np.testing.assert_allclose(influence.numpy(), expected, rtol=0, atol=1e-3 * np.abs(expected).max())
    assert influence.count_nonzero() > 0
    assert view.meter.trainings == 40 * 12 / 20


def test_the_same_seed_gives_the_same_bytes_for_regression_too() -> None:
    first, again = (Datamodel(n_models=40).estimate(problem(trainer(line(), Linear()))) for _ in range(2))
    assert first.influence is not None
    assert torch.equal(first.influence, again.influence)  # type: ignore[arg-type]


def test_points_in_all_or_in_no_subset_are_refused() -> None:
    with pytest.raises(EstimateError, match=r"of 20 train points are in all or in none of the 4 subsets; use more"):
        Datamodel(n_models=4, n_folds=2).estimate(problem())


def test_too_few_models_for_the_folds_are_unsupported() -> None:
    assert Datamodel(n_models=10).unsupported(problem()) is None
    assert Datamodel(n_models=9).unsupported(problem()) == "5 folds need at least 10 models, n_models is 9"


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_models": 1}, "n_models must be at least 2, got 1"),
        ({"ratio": 1.0}, r"ratio must be in \(0, 1\), got 1.0"),
        ({"n_folds": 1}, "n_folds must be at least 2, got 1"),
        ({"max_iterations": 0}, "max_iterations must be at least 1, got 0"),
    ],
)
def test_parameters_out_of_range_are_refused(parameters: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Datamodel(**parameters)  # type: ignore[arg-type]
