"""TRAK against its formula, and against leave-one-out where the network is linear."""

import pytest
import torch
from scipy.stats import spearmanr
from torch import Tensor

from influbench.api import Data, Split
from influbench.errors import EstimateError
from influbench.estimators.trak import Trak, _projected
from influbench.models.linear import Linear
from influbench.models.mlp import Mlp
from influbench.seeds import derive
from tests.problems import blobs, line, problem, trainer


def test_scores_equal_the_formula_with_gradients_one_by_one() -> None:
    of = trainer(model=Mlp(hidden=(6,)))
    view, estimator = problem(of), Trak(n_models=2, n_projected=7)
    runs, total = view.train(replicates=[0, 1]), torch.zeros(20, 8, dtype=torch.float64)
    for run in range(2):
        parameters = {name: p[run].requires_grad_() for name, p in runs.parameters().items()}
        n_parameters = sum(p.numel() for p in parameters.values())
        signs = signs_of(view, n_parameters, run)

        def features(split) -> Tensor:  # type: ignore[no-untyped-def]
            margins = view.measured(view.forward(parameters, split.inputs), split.labels, measure="margin")  # noqa: B023
            rows = [torch.autograd.grad(m, list(parameters.values()), retain_graph=True) for m in margins]  # noqa: B023
            return torch.stack([torch.cat([g.flatten() for g in row]) for row in rows]) @ signs  # noqa: B023

        train, test = features(view.data.train), features(view.data.test)
        total += (test @ torch.linalg.inv(train.T @ train) @ train.T).T / 2
    q = 1 - runs.p_correct(view.data.train).mean(0)
    found = estimator.estimate(problem(of)).influence
    torch.testing.assert_close(found, total * q[:, None], rtol=1e-6, atol=1e-9)


def signs_of(view, n_parameters: int, run: int) -> Tensor:  # type: ignore[no-untyped-def]
    """The projection, as it is described."""
    generator = torch.Generator().manual_seed(derive(view.seed, "projection", run))
    return (torch.randint(2, (n_parameters, 7), generator=generator).double() * 2 - 1) / 7**0.5


def test_leave_one_out_of_logistic_regression_on_noise_is_what_trak_assumes() -> None:
    """All probabilities are near 1/2, so that leaving the curvature of the loss out of the kernel changes nothing."""
    drawn = blobs(n_train=60, n_test=10, n_classes=2, n_inputs=2)
    noise = torch.randint(2, (60,), generator=torch.Generator().manual_seed(0))
    data = Data(Split(drawn.train.inputs, noise, drawn.train.ids), drawn.test, 2)
    of = trainer(data, Linear(), learning_rate=0.5, batch_size=60, epochs=300, measure="margin")
    scores = Trak(n_models=1, n_projected=6, damping=1e-9).estimate(problem(of)).influence
    assert scores is not None
    runs = problem(of).train(torch.cat([torch.ones(1, 60), 1 - torch.eye(60)]), replicates=[0] * 61)
    measured = runs.measured(of.data.test)
    effects = measured[0] - measured[1:]
    correlations = [spearmanr(a, b).statistic for a, b in zip(scores.T, effects.T, strict=True)]
    assert min(correlations) > 0.98
    assert float((scores * effects).sum() / (scores * scores).sum()) == pytest.approx(4, rel=0.2)  # 1 / (p (1 - p))


def test_a_projection_keeps_inner_products_on_average(monkeypatch: pytest.MonkeyPatch) -> None:
    view = problem()
    parameters = {name: p[0] for name, p in view.train(replicates=[0]).parameters().items()}
    wide = _projected(view, parameters, view.data.train, 20_000, 0)
    narrow = [_projected(view, parameters, view.data.train, 50, seed) for seed in range(400)]
    expected = wide @ wide.T
    mean = torch.stack([p @ p.T for p in narrow]).mean(0)
    assert (mean - expected).abs().max() < 0.05 * expected.abs().max()
    monkeypatch.setattr("influbench.estimators.gradients._NUMBERS", 3 * sum(p.numel() for p in parameters.values()))
    monkeypatch.setattr("influbench.estimators.trak._NUMBERS", 50 * 7)
    again = _projected(view, parameters, view.data.train, 50, 0)
    torch.testing.assert_close(again, narrow[0])


def test_gradients_that_span_too_little_are_said_to() -> None:
    """Of a linear model with two classes, the margin's gradient moves in half of the parameters."""
    of = trainer(blobs(n_classes=2, n_inputs=2), Linear())
    with pytest.raises(EstimateError, match="projected gradients span fewer than 6 directions; set damping above 0"):
        Trak(n_models=1, n_projected=6).estimate(problem(of))


def test_what_cannot_run_says_why() -> None:
    n_parameters = 8 * 5 + 8 + 3 * 8 + 3
    assert Trak(n_projected=20).unsupported(problem()) is None
    wide = Trak(n_projected=n_parameters + 1).unsupported(problem())
    assert wide == f"a projection to {n_parameters + 1} numbers is wider than the {n_parameters} parameters"
    few = Trak(n_projected=21)
    assert few.unsupported(problem()) == (
        "a projection to 21 numbers needs as many train points, but there are 20; set damping above 0 or n_projected "
        "lower"
    )
    assert Trak(n_projected=21, damping=0.1).unsupported(problem()) is None
    assert Trak().unsupported(problem(trainer(line()))) == "regression has no margin to linearize"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_models": 0}, "n_models must be at least 1, got 0"),
        ({"n_projected": 0}, "n_projected must be at least 1, got 0"),
        ({"damping": -1.0}, "damping must be at least 0 and finite, got -1.0"),
    ],
)
def test_wrong_values_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Trak(**options)  # type: ignore[arg-type]
