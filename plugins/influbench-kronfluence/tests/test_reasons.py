"""If it cannot run, it says why, in a sentence."""

from importlib.metadata import PackageNotFoundError

import pytest
import torch
from influbench import Problem
from influbench.testing import line, pictures, small_problem
from networks import (
    ByHand,
    Folded,
    Made,
    OwnLoss,
    Tied,
    Twice,
    convolution,
    frozen_bias,
    normed,
    perceptron,
    subclassed,
)
from torch import nn

from influbench_kronfluence.estimator import Kronfluence


def test_nothing_keeps_it_from_a_perceptron() -> None:
    assert Kronfluence().unsupported(small_problem()) is None


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (normed, "kronfluence supports the parameters of Linear and Conv2d only, and would leave out 1.bias, 1.weight"),
        (
            subclassed,
            "kronfluence supports the parameters of Linear and Conv2d only, and would leave out 0.bias, 0.weight",
        ),
        (frozen_bias, "kronfluence uses all parameters of a layer, but 0.bias is frozen"),
        (Twice, "kronfluence needs layers that run once, by their own call, but first is used 2 times"),
        (ByHand, "kronfluence needs layers that run once, by their own call, but first is used 2 times"),
        (Folded, "kronfluence needs examples along the first axis, but each has another axis there"),
    ],
)
def test_networks(make: type[nn.Module], reason: str) -> None:
    assert Kronfluence().unsupported(small_problem(model=Made(make))) == reason


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"groups": 2}, "kronfluence averages over the groups of a convolution, but 1 has 2"),
        (
            {"padding": 1, "padding_mode": "circular"},
            "kronfluence pads with zeros, but 1 has padding_mode='circular'",
        ),
        (
            {"padding": "same", "kernel_size": 2},
            "kronfluence pads all sides alike, but 1 has padding='same' and an even kernel",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")  # which is what is tested
def test_convolutions(settings: dict[str, object], reason: str) -> None:
    problem = small_problem(pictures(), Made(convolution(**settings)), batch_size=4)
    assert Kronfluence().unsupported(problem) == reason


def test_shared_weights() -> None:
    reason = Kronfluence().unsupported(small_problem(model=Made(Tied)))
    assert reason == "kronfluence treats first.weight, second.weight as separate parameters, but they are shared"


def test_labels_are_not_drawn_for_a_loss_that_is_not_known() -> None:
    problem = small_problem(model=OwnLoss(perceptron))
    assert Kronfluence().unsupported(problem) == "labels cannot be drawn for a model's own loss; use labels=given"
    assert Kronfluence(labels="given").unsupported(problem) is None
    assert Kronfluence("identity").unsupported(problem) is None


def test_one_float_label_is_not_drawn_for_two_outputs() -> None:
    problem = small_problem(line(), Made(lambda n_in, _: nn.Linear(n_in, 2)))
    reason = Kronfluence().unsupported(problem)
    assert reason == "labels cannot be drawn for 2 outputs on one float label; use labels=given"
    assert Kronfluence(labels="given").unsupported(problem) is None


def test_kronfluence_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: str) -> str:
        raise PackageNotFoundError

    monkeypatch.setattr("influbench_kronfluence.reasons.version", missing)
    reason = Kronfluence().unsupported(small_problem())
    assert reason == "kronfluence is not installed; install it with: pip install 'kronfluence>=1.0.1,<1.1'"


@pytest.mark.parametrize("found", ["0.9.3", "1.0.0", "1.1.0", "2.0"])
def test_untested_versions(monkeypatch: pytest.MonkeyPatch, found: str) -> None:
    monkeypatch.setattr("influbench_kronfluence.reasons.version", lambda _: found)
    reason = Kronfluence().unsupported(small_problem())
    assert reason == f"kronfluence {found} is untested; install it with: pip install 'kronfluence>=1.0.1,<1.1'"


def test_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "not on mps" in str(Kronfluence().unsupported(_on(small_problem(), "mps")))
    monkeypatch.setenv("LOCAL_RANK", "0")
    assert "unset it" in str(Kronfluence().unsupported(_on(small_problem(), "cuda")))


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"strategy": "lissa"}, "strategy must be one of ekfac, kfac, diagonal, identity, got 'lissa'"),
        ({"labels": "true"}, "labels must be one of drawn, given, got 'true'"),
        ({"damping": 0.0}, "damping must be above 0 and finite, got 0.0"),
        ({"damping": float("inf")}, "damping must be above 0 and finite, got inf"),
        ({"damping": "small"}, "damping must be a number or heuristic, got 'small'"),
        ({"n_draws": 0}, "n_draws must be at least 1, got 0"),
        ({"n_runs": 0}, "n_runs must be at least 1, got 0"),
    ],
)
def test_values(wrong: dict[str, object], reason: str) -> None:
    with pytest.raises(ValueError, match=f"^{reason}$"):
        Kronfluence(**wrong)  # type: ignore[arg-type]


def _on(problem: Problem, device: str) -> Problem:
    problem.device = torch.device(device)
    return problem
