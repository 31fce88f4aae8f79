"""The subset estimator, against its definition."""

import pytest
import torch

from influbench.banks import subsets
from influbench.errors import EstimateError
from influbench.estimators.subset import Subset
from influbench.models.linear import Linear
from tests.problems import line, problem, trainer


def test_scores_are_mean_with_minus_mean_without() -> None:
    view = problem()
    estimate = Subset(n_models=30).estimate(view)
    bank = problem().bank(n_models=30, ratio=0.7)
    inside, on_test, on_train = bank.weights.bool(), bank.on_test, bank.p_correct
    assert on_train is not None
    assert estimate.influence is not None
    assert estimate.memorization is not None
    for i in range(20):
        expected = on_test[inside[:, i]].mean(0) - on_test[~inside[:, i]].mean(0)
        torch.testing.assert_close(estimate.influence[i], expected)
        own = on_train[inside[:, i], i].mean() - on_train[~inside[:, i], i].mean()
        torch.testing.assert_close(estimate.memorization[i], own)
    assert view.meter.trainings == 30 * 14 / 20


def test_subsets_have_the_size_asked_for_and_follow_ids() -> None:
    ids = torch.arange(30) * 3 + 1
    drawn = subsets(ids, 4, models=range(50), ratio=0.7)
    assert (drawn.sum(1) == 21).all()
    assert drawn.mean(0).min() > 0.5
    assert drawn.mean(0).max() < 0.9
    order = torch.randperm(30, generator=torch.Generator().manual_seed(0))
    assert torch.equal(subsets(ids[order], 4, models=range(50), ratio=0.7), drawn[:, order])


def test_points_in_all_or_in_no_subset_are_refused() -> None:
    with pytest.raises(EstimateError, match=r"of 20 train points are in all or in none of the 2 subsets; use more"):
        Subset(n_models=2).estimate(problem())


def test_regression_has_no_memorization() -> None:
    estimate = Subset(n_models=16).estimate(problem(trainer(line(), Linear())))
    assert estimate.memorization is None
    assert estimate.influence is not None


@pytest.mark.parametrize(("parameters", "field"), [({"n_models": 1}, "n_models"), ({"ratio": 1.0}, "ratio")])
def test_parameters_out_of_range_are_refused(parameters: dict[str, float], field: str) -> None:
    with pytest.raises(ValueError, match=field):
        Subset(**parameters)  # type: ignore[arg-type]
