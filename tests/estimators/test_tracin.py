"""TracIn, against gradients one by one."""

import pytest
import torch
from torch import nn

from influbench.estimators.tracin import TracIn
from influbench.models.linear import Linear
from tests.problems import ModuleModel, ResidualModel, blobs, line, problem, trainer


@pytest.mark.parametrize("measure", ["neg_loss", "margin"])
def test_scores_equal_gradients_one_by_one(measure: str) -> None:
    of = trainer(model=ResidualModel(), measure=measure, schedule="cosine")
    view = problem(of)
    scores = TracIn(n_checkpoints=3).estimate(view).influence
    assert scores is not None
    runs = problem(of).train(replicates=[0], checkpoints=[2, 5, 8])
    module = of.built(0)

    def gradient(value: torch.Tensor) -> torch.Tensor:
        return torch.cat([g.flatten() for g in torch.autograd.grad(value, list(module.parameters()))])

    for i, j in ((0, 0), (5, 7), (19, 3)):
        expected = 0.0
        for step in (2, 5, 8):
            module.load_state_dict({name: p[0] for name, p in runs.parameters(step=step).items()})
            train, test = of.data.train.rows(slice(i, i + 1)), of.data.test.rows(slice(j, j + 1))
            of_loss = gradient(of.model.loss(module(train.inputs), train.labels).sum())
            of_measure = gradient(view.measured(module(test.inputs), test.labels).sum())
            expected -= runs.learning_rates[step - 1] * (of_loss @ of_measure).item()
        assert scores[i, j].item() == pytest.approx(expected, rel=1e-9)
    assert view.meter.trainings == 1


def test_one_plain_step_on_the_last_layer_is_what_tracin_says() -> None:
    """With one full-batch step and a tiny rate, leaving i out changes the measure by the score over n."""
    of = trainer(line(), Linear(), learning_rate=1e-7, momentum=0.0, batch_size=20, epochs=1)
    scores = TracIn(n_checkpoints=1).estimate(problem(of)).influence
    with_and_without = torch.cat([torch.ones(1, 20), 1 - torch.eye(20)])
    runs = problem(of).train(with_and_without, replicates=[0] * 21)
    measured = runs.measured(of.data.test)
    effect = (measured[0] - measured[1:]) * 20
    torch.testing.assert_close(scores, effect, rtol=1e-4, atol=1e-4 * effect.abs().max().item())


def test_frozen_parameters_do_not_count() -> None:
    """The same oracle with a frozen first layer."""

    def make() -> nn.Module:
        module = nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 3))
        module[0].requires_grad_(False)
        return module

    of = trainer(blobs(), ModuleModel(make), learning_rate=1e-6, momentum=0.0, batch_size=20, epochs=1)
    scores = TracIn(n_checkpoints=1).estimate(problem(of)).influence
    runs = problem(of).train(torch.cat([torch.ones(1, 20), 1 - torch.eye(20)]), replicates=[0] * 21)
    measured = runs.measured(of.data.test)
    effect = (measured[0] - measured[1:]) * 20
    torch.testing.assert_close(scores, effect, rtol=1e-4, atol=1e-4 * effect.abs().max().item())


def test_more_checkpoints_than_steps_are_unsupported() -> None:
    assert TracIn(n_checkpoints=8).unsupported(problem()) is None
    assert TracIn(n_checkpoints=9).unsupported(problem()) == "n_checkpoints is 9, but the training has 8 steps"


def test_no_checkpoint_is_refused() -> None:
    with pytest.raises(ValueError, match="n_checkpoints must be at least 1, got 0"):
        TracIn(n_checkpoints=0)
