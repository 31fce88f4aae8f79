"""The yardstick is the truth's method, with seeds of its own."""

import pytest
import torch

from influbench.estimators.leave_one_out import LeaveOneOut
from influbench.models.linear import Linear
from influbench.seeds import derive
from influbench.truth.leave_one_out import leave_out
from tests.problems import line, problem, trainer


def test_scores_equal_the_truths_method_on_the_estimators_seeds() -> None:
    view = problem(seed=4)
    estimate = LeaveOneOut(n_seeds=2).estimate(view)
    effects = [leave_out(trainer(), derive(4, "replicate", seed), range(20)) for seed in range(2)]
    influence = torch.stack([effect["influence/neg_loss@8"] for effect in effects]).mean(0)
    memorization = torch.stack([effect["own/p_correct@8"] for effect in effects]).mean(0)
    torch.testing.assert_close(estimate.influence, influence, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(estimate.memorization, memorization, rtol=1e-9, atol=1e-12)
    assert view.meter.trainings == 2 * (1 + 20 * 19 / 20)
    assert view.meter.spent == view.meter.announced


def test_regression_has_no_memorization() -> None:
    assert LeaveOneOut().estimate(problem(trainer(line(), Linear()))).memorization is None


def test_no_seed_is_refused() -> None:
    with pytest.raises(ValueError, match="n_seeds must be at least 1, got 0"):
        LeaveOneOut(n_seeds=0)
