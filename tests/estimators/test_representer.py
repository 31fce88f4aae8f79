"""Representer points: the outputs are the sum of what train points add to them."""

import pytest
import torch
from torch import nn

from influbench.estimators.representer import Representer, _features, _output_gradients
from influbench.models.linear import Linear
from influbench.models.mlp import Mlp
from tests.problems import ModuleModel, ResidualModel, blobs, line, problem, trainer


@pytest.mark.parametrize("of", [trainer(model=Mlp(hidden=(8,))), trainer(line()), trainer(model=ResidualModel())])
def test_what_train_points_add_sums_to_the_outputs(of) -> None:  # type: ignore[no-untyped-def]
    view, estimator = problem(of), Representer(weight_decay=0.05)
    parameters = {name: p[0] for name, p in view.train(replicates=[0]).parameters().items()}
    train, test = (_features(view, parameters, split) for split in (of.data.train, of.data.test))
    weights, gradient = estimator._fitted(view, train)
    assert gradient < 1e-6
    alpha = -_output_gradients(view, train @ weights.T, of.data.train) / (2 * 0.05 * len(train))
    torch.testing.assert_close((train @ test.T).T @ alpha, test @ weights.T, rtol=1e-4, atol=1e-5)


def test_the_summand_is_what_the_measure_loses_without_it() -> None:
    """Taken away by hand and measured, for pairs whose summand is small."""
    of, estimator = trainer(blobs(n_train=40)), Representer(weight_decay=0.5)
    view = problem(of)
    scores = estimator.estimate(problem(of)).influence
    assert scores is not None
    parameters = {name: p[0] for name, p in view.train(replicates=[0]).parameters().items()}
    train, test = (_features(view, parameters, split) for split in (of.data.train, of.data.test))
    weights, _ = estimator._fitted(view, train)
    alpha = -_output_gradients(view, train @ weights.T, of.data.train) / (2 * 0.5 * len(train))
    whole = view.measured(test @ weights.T, of.data.test.labels)
    for i in (0, 7, 39):
        without = view.measured(test @ (weights - alpha[i][:, None] * train[i]).T, of.data.test.labels)
        torch.testing.assert_close(scores[i], whole - without, rtol=0.05, atol=0.05 * scores[i].abs().max().item())


def test_a_fit_that_is_not_done_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Representer().estimate(problem()).notes == ()
    monkeypatch.setattr("influbench.estimators.representer._ITERATIONS", 1)
    (note,) = Representer(weight_decay=1e-6).estimate(problem()).notes
    assert "is not fitted: gradient at" in note


def test_a_network_must_end_in_a_linear_layer() -> None:
    assert Representer().unsupported(problem(trainer(model=Linear()))) is None
    ends_in_tanh = ModuleModel(lambda: nn.Sequential(nn.Linear(5, 3), nn.Tanh()))
    reason = Representer().unsupported(problem(trainer(model=ends_in_tanh)))
    assert reason == "the network does not end in a linear layer"
    with pytest.raises(ValueError, match=r"weight_decay must be above 0 and finite, got 0"):
        Representer(weight_decay=0)
