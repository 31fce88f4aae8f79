"""The derivative of a training with batch norm, dropout and averaged weights, against finite differences."""

import pytest
import torch
from torch import nn

from influbench.estimators.metagradient import Metagradient
from tests.problems import ModuleModel, blobs, problem, trainer

STEP = 1e-5


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(5, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Dropout(0.3), nn.Linear(6, 3))


@pytest.mark.parametrize("ema", [0.0, 0.6])
def test_the_metagradient_follows_statistics_and_draws(ema: float) -> None:
    of = trainer(blobs(), ModuleModel(network), batch_size=7, ema=ema)
    view = problem(of)
    found = Metagradient(n_seeds=1).estimate(view).influence
    assert found is not None
    weights = torch.ones(2 * 3, 20, dtype=torch.float64)
    for row, point in enumerate((0, 4, 13)):
        weights[2 * row, point] += STEP
        weights[2 * row + 1, point] -= STEP
    measured = view.train(weights, replicates=[0] * 6).measured(view.data.test)
    for row, point in enumerate((0, 4, 13)):
        expected = (measured[2 * row] - measured[2 * row + 1]) / (2 * STEP)
        torch.testing.assert_close(found[point], expected, rtol=1e-5, atol=1e-7)
