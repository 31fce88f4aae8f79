"""dattri fits the last layer to the network's own probabilities, influbench's representer to the labels."""

from dataclasses import dataclass

import pytest
import torch
from influbench import Data, Model, Recipe
from influbench.errors import UsageError
from influbench.statistics.correlation import mean_over_columns, spearman, whole_table
from influbench.testing import blobs, line, small_problem
from oracles import estimate, network, off
from torch import nn
from torch.nn.functional import cross_entropy

DATA = blobs(40, 8)


def exact(problem, weight_decay: float) -> tuple[torch.Tensor, torch.Tensor]:
    """The summands of theorem 3.1 for each test point's label, and that output, at the minimum."""
    module = problem.module({name: p.clone() for name, p in network(problem).items()})
    with torch.no_grad():
        train, test = (module[:-1](split.inputs) for split in (problem.data.train, problem.data.test))
        soft = module(problem.data.train.inputs).softmax(1)
    weights = fitted(train, soft, weight_decay)
    alpha = (soft - (train @ weights.T).softmax(1)) / (2 * weight_decay * len(train))
    outputs = (test @ weights.T).gather(1, problem.data.test.labels[:, None])[:, 0]
    return alpha[:, problem.data.test.labels] * (train @ test.T), outputs


def fitted(features: torch.Tensor, soft: torch.Tensor, weight_decay: float) -> torch.Tensor:
    weights = torch.zeros(soft.shape[1], features.shape[1], dtype=torch.float64, requires_grad=True)
    search = torch.optim.LBFGS(
        [weights], max_iter=5000, tolerance_grad=0, tolerance_change=0, line_search_fn="strong_wolfe"
    )

    def objective():
        search.zero_grad()
        value = cross_entropy(features @ weights.T, soft) + weight_decay * weights.square().sum()
        value.backward()
        return value

    search.step(objective)
    return weights.detach()


@pytest.mark.parametrize("weight_decay", [0.003, 0.1])
def test_it_is_the_theorem_over_n_as_far_as_dattri_fits(weight_decay) -> None:
    summands, outputs = exact(small_problem(DATA), weight_decay)
    assert off(summands.sum(0), outputs) < 1e-5
    found = estimate(f"dattri_rps[weight_decay={weight_decay}]", small_problem(DATA))
    assert off(40 * found.influence, summands) < 0.02
    assert found.notes == ()


def test_it_orders_points_differently_from_influbenchs_representer() -> None:
    found, mine = (
        estimate(f"{name}[weight_decay=0.01]", small_problem(DATA, measure="margin", epochs=30)).influence
        for name in ("dattri_rps", "representer")
    )
    rank = mean_over_columns(spearman, found, mine, whole_table(*mine.shape)).estimation
    assert 0.85 < rank.value < 0.95


def test_a_fit_that_did_not_end_is_noted() -> None:
    assert "is not fitted" in estimate("dattri_rps[max_iterations=2]", small_problem()).notes[0]


def test_in_float32_it_is_fitted_in_float64() -> None:
    found, expected = (
        estimate("dattri_rps", small_problem(DATA, dtype=dtype)).influence for dtype in (torch.float32, torch.float64)
    )
    assert off(found, expected) < 0.02


@dataclass(frozen=True)
class Made(Model):
    """A network of any module."""

    kind: str = "deep"

    @property
    def recipe(self) -> Recipe:
        return Recipe()

    def build(self, data: Data) -> nn.Module:
        n_inputs = data.train.inputs[0].numel()
        plain = [nn.Linear(n_inputs, 8), nn.ReLU(), nn.Linear(8, 3)]
        return {
            "flat": nn.Sequential(*plain),
            "deep": nn.Sequential(plain[0], nn.Sequential(plain[1], nn.Sequential(plain[2]))),
            "ends in tanh": nn.Sequential(*plain, nn.Tanh()),
        }[self.kind]


@dataclass(frozen=True)
class Doubled(Made):
    def loss(self, outputs, labels):
        return 2 * cross_entropy(outputs, labels, reduction="none")


def test_a_last_layer_may_lie_deeper_than_dattri_looks() -> None:
    flat, deep = (estimate("dattri_rps", small_problem(DATA, Made(kind))).influence for kind in ("flat", "deep"))
    assert torch.equal(flat, deep)


def test_it_says_what_it_cannot_do() -> None:
    from influbench_dattri.representer import Representer

    assert "regression does not have" in (Representer().unsupported(small_problem(line())) or "")
    assert "the model has its own loss" in (Representer().unsupported(small_problem(DATA, Doubled())) or "")
    assert Representer().unsupported(small_problem(DATA, Made("ends in tanh"))) == (
        "the network does not end in a linear layer"
    )


@pytest.mark.parametrize("wrong", ["weight_decay=0", "max_iterations=0"])
def test_values_that_make_no_sense_are_refused(wrong) -> None:
    with pytest.raises(UsageError, match="must be"):
        estimate(f"dattri_rps[{wrong}]", small_problem())
