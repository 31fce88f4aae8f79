"""Agreement on TRAK: traker as called here, influbench's own estimator, and the formula written out."""

import by_hand
import pytest
import torch
from influbench.errors import EstimateError
from influbench.models.cnn import Cnn
from influbench.models.linear import Linear
from influbench.registry import installed, parse_selector
from influbench.testing import blobs, line, pictures, small_problem
from torch import nn

from influbench_trak.estimator import Traker

# As many projections as a linear model's margins have directions: the random signs cancel out of undamped scores.
RANK = 12
LINEAR = {"data": blobs(40), "model": Linear()}


def half_frozen(_data):
    net = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 3))
    net[0].requires_grad_(False)
    net[2].bias.requires_grad_(False)
    return net


PROBLEMS = {
    "linear": LINEAR,
    "perceptron": {},
    "convolution": {"data": pictures(), "model": Cnn(channels=(4,)), "batch_size": 4},
    "frozen": {"model": by_hand.ModuleModel(half_frozen)},
    "float32": {"dtype": torch.float32},
    "other measure": {"measure": "p_correct"},
}


def estimated(selector, **problem):
    return installed().create("estimator", parse_selector(selector)).estimate(small_problem(**problem)).influence


def difference_in_shape(found, expected):
    """The largest difference, relative to the largest entry, after the best common scale has been removed."""
    scaled = expected * float((found * expected).sum() / expected.square().sum())
    return float((found - scaled).abs().max() / scaled.abs().max())


@pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS.keys())
@pytest.mark.parametrize(("n_models", "damping"), [(1, 0.0), (3, 0.01)])
def test_equals_the_formula_with_inverses_that_are_divided_by_their_size(problem, n_models, damping):
    found = Traker(n_models=n_models, n_projected=8, damping=damping).estimate(small_problem(**problem)).influence
    expected = by_hand.trak(small_problem(**problem), n_models=n_models, n_projected=8, damping=damping).scaled_mean()
    assert (found - expected).abs().max() <= 1e-4 * expected.abs().max()


def test_one_network_equals_trak_but_for_scale():
    found = estimated(f"traker[n_models=1,n_projected={RANK}]", **LINEAR)
    assert difference_in_shape(found, estimated(f"trak[n_models=1,n_projected={RANK}]", **LINEAR)) < 1e-3


def test_several_networks_are_weighted_unequally_where_the_paper_and_trak_weight_them_equally():
    by_formula = by_hand.trak(small_problem(**LINEAR), n_models=4, n_projected=RANK)
    found = estimated(f"traker[n_projected={RANK}]", **LINEAR)
    trak = estimated(f"trak[n_projected={RANK}]", **LINEAR)
    assert (trak - by_formula.mean()).abs().max() <= 1e-6 * trak.abs().max()
    weights = 1 / by_formula.inverse_sizes
    assert 5 < weights.max() / weights.min() < 10
    assert 0.02 < difference_in_shape(found, trak) < 0.03


def test_projections_in_blocks_and_examples_in_parts_score_the_same(monkeypatch):
    monkeypatch.setattr("influbench_trak.peer._NUMBERS", 200)  # two projections, and two examples, at a time
    problem = small_problem()
    found = Traker(n_models=2, n_projected=7).estimate(problem).influence
    expected = by_hand.trak(small_problem(), n_models=2, n_projected=7).scaled_mean()
    assert (found - expected).abs().max() <= 1e-4 * expected.abs().max()


def test_gradients_that_span_too_few_directions_are_an_error():
    with pytest.raises(EstimateError, match="span fewer than 13 directions"):
        Traker(n_projected=RANK + 1).estimate(small_problem(**LINEAR))
    assert Traker(n_projected=RANK + 1, damping=0.01).estimate(small_problem(**LINEAR)).influence is not None


@pytest.mark.parametrize(
    ("fields", "problem", "reason"),
    [
        ({}, {"data": line()}, "regression does not have a margin to linearize"),
        ({}, {}, "a projection to 128 numbers is wider than the 75 parameters"),
        (
            {"n_projected": 21},
            {},
            "a projection to 21 numbers needs as many train points, there are 20; set damping above 0 or n_projected "
            "lower",
        ),
        ({"n_projected": 21, "damping": 0.01}, {}, None),
    ],
)
def test_what_is_unsupported(fields, problem, reason):
    assert Traker(**fields).unsupported(small_problem(**problem)) == reason


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"n_models": 0}, "n_models must be at least 1, got 0"),
        ({"n_projected": 0}, "n_projected must be at least 1, got 0"),
        ({"damping": -1}, "damping must be at least 0 and finite, got -1"),
    ],
)
def test_impossible_values_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        Traker(**fields)
