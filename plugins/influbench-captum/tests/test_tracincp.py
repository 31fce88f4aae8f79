"""Agreement on TracIn: captum as called here, influbench's own estimator, and the sum written out."""

import by_hand
import pytest
import torch
from captum.influence import TracInCP
from influbench.models.cnn import Cnn
from influbench.registry import installed, parse_selector
from influbench.testing import blobs, line, pictures, small_problem
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from influbench_captum.tracincp import CaptumTracInCP


def estimated(selector, **problem):
    estimator = installed().create("estimator", parse_selector(selector))
    return estimator.estimate(small_problem(**problem)).influence


def half_frozen(_data):
    net = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 3))
    net[0].requires_grad_(False)
    net[2].bias.requires_grad_(False)
    return net


PROBLEMS = {
    "classes": {},
    "margin": {"measure": "margin"},
    "p_correct": {"measure": "p_correct"},
    "cosine schedule": {"schedule": "cosine"},
    "regression": {"data": line(), "learning_rate": 0.01},
    "convolution": {"data": pictures(), "model": Cnn(channels=(4,)), "batch_size": 4},
    "frozen": {"model": by_hand.ModuleModel(half_frozen)},
    "layer norm": {"model": by_hand.ModuleModel(lambda _data: nn.Sequential(nn.LayerNorm(5), nn.Linear(5, 3)))},
}


@pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS.keys())
def test_equals_tracin(problem):
    expected = estimated("tracin", **problem)
    found = estimated("captum_tracincp", **problem)
    assert (found - expected).abs().max() <= 1e-12 * expected.abs().max()


BATCHED = [name for name in PROBLEMS if name != "layer norm"]


@pytest.mark.parametrize("problem", [PROBLEMS[name] for name in BATCHED], ids=BATCHED)
def test_batched_gradients_score_the_same(problem):
    expected = estimated("captum_tracincp", **problem)
    assert CaptumTracInCP(batched=True).unsupported(small_problem(**problem)) is None
    found = estimated("captum_tracincp[batched=true]", **problem)
    assert (found - expected).abs().max() <= 1e-12 * expected.abs().max()


class Subclass(nn.Linear):
    """Captum knows its parent class alone."""


def circular(_data):
    convolution = nn.Conv2d(1, 2, 3, padding=1, padding_mode="circular")
    return nn.Sequential(convolution, nn.Tanh(), nn.Flatten(), nn.Linear(128, 2))


def tied(_data):
    net = nn.Sequential(nn.Linear(5, 5), nn.Tanh(), nn.Linear(5, 5), nn.Tanh(), nn.Linear(5, 3))
    net[2].weight = net[0].weight
    return net


WRONG = "captum's batched gradients are wrong for a layer of this model; set batched=false"


@pytest.mark.parametrize(
    ("make", "data", "reason"),
    [
        (lambda _data: nn.Sequential(nn.LayerNorm(5), nn.Linear(5, 3)), blobs(), WRONG),
        (circular, pictures(), WRONG),
        (tied, blobs(), WRONG),
        (
            lambda _data: nn.Sequential(Subclass(5, 3)),
            blobs(),
            "captum's batched gradients fail on this model (KeyError); set batched=false",
        ),
    ],
    ids=["layer norm", "circular padding", "tied layers", "subclass"],
)
def test_batched_gradients_are_refused_where_they_are_wrong(make, data, reason):
    problem = small_problem(data, by_hand.ModuleModel(make), epochs=3)
    assert CaptumTracInCP(batched=True).unsupported(problem) == reason
    assert CaptumTracInCP().unsupported(problem) is None


def test_in_float32_differs_from_tracin_by_rounding():
    expected = estimated("tracin", dtype=torch.float32)
    found = estimated("captum_tracincp", dtype=torch.float32)
    assert (found - expected).abs().max() <= 1e-6 * expected.abs().max()


def test_equals_the_sum_over_checkpoints_of_learning_rate_times_inner_product():
    recipe = {"schedule": "cosine"}
    problem = small_problem(**recipe)
    steps = [problem.n_steps // 2, problem.n_steps]
    runs = problem.train(replicates=[0], checkpoints=steps)
    checkpoints = [{name: p[0] for name, p in runs.parameters(step=step).items()} for step in steps]
    expected = by_hand.tracin(problem, checkpoints, [runs.learning_rates[step - 1] for step in steps])
    found = CaptumTracInCP(n_checkpoints=2).estimate(small_problem(**recipe)).influence
    assert (found - expected).abs().max() <= 1e-12 * expected.abs().max()


def test_many_test_points_are_taken_in_parts(monkeypatch):
    whole = estimated("captum_tracincp")
    monkeypatch.setattr("influbench_captum.peer._NUMBERS", 1)
    torch.testing.assert_close(estimated("captum_tracincp"), whole, rtol=0, atol=1e-12)


def test_more_checkpoints_than_steps_are_refused():
    assert CaptumTracInCP(n_checkpoints=100).unsupported(small_problem()) == (
        "100 checkpoints asked for, the training has 8 steps"
    )
    with pytest.raises(ValueError, match="n_checkpoints must be at least 1, got 0"):
        CaptumTracInCP(n_checkpoints=0)


# Behavior of captum itself that the adapter depends on.


class Summed:
    """The summed loss, declared in the way that captum requires."""

    reduction = "sum"

    def __call__(self, outputs, labels):
        return nn.functional.cross_entropy(outputs, labels, reduction="sum")


def captum(module, data, *, rate=1.0):
    return TracInCP(
        module,
        DataLoader(TensorDataset(data.train.inputs, data.train.labels), batch_size=5),
        ["the only one"],
        lambda _module, _checkpoint: rate,
        loss_fn=Summed(),
        sample_wise_grads_per_batch=True,
    )


def inner_products(module, data, names):
    def rows(split):
        losses = nn.functional.cross_entropy(module(split.inputs), split.labels, reduction="none")
        chosen = [p for name, p in module.named_parameters() if name in names]
        found = [torch.autograd.grad(loss, chosen, retain_graph=True) for loss in losses]
        return torch.stack([torch.cat([part.flatten() for part in of_one]) for of_one in found])

    return rows(data.test) @ rows(data.train).T


@pytest.mark.filterwarnings("ignore:Input Tensor 0 did not already require gradients")  # captum sees to it
def test_captums_batched_gradients_leave_out_layers_that_are_not_linear_or_conv2d():
    module, data = nn.Sequential(nn.LayerNorm(5), nn.Linear(5, 3)), blobs()
    names = [name for name, _ in module.named_parameters()]
    found = captum(module, data).influence((data.test.inputs, data.test.labels))
    torch.testing.assert_close(found, inner_products(module, data, names[2:]))
    assert (found - inner_products(module, data, names)).abs().max() > 0.01 * found.abs().max()


@pytest.mark.filterwarnings("ignore:Input Tensor 0 did not already require gradients")  # captum sees to it
def test_captums_batched_gradients_take_any_padding_for_zeros():
    data, norms = pictures(), {}
    for padding in ("zeros", "circular"):
        torch.manual_seed(0)
        convolution = nn.Conv2d(1, 2, 3, padding=1, padding_mode=padding)
        module = nn.Sequential(convolution, nn.Tanh(), nn.Flatten(), nn.Linear(128, 2))
        names = [name for name, _ in module.named_parameters()]
        expected = inner_products(module, data, names)
        found = captum(module, data).influence((data.test.inputs, data.test.labels))
        norms[padding] = float((found - expected).abs().max() / expected.abs().max())
    assert norms["zeros"] < 1e-5
    assert norms["circular"] > 1e-3


@pytest.mark.filterwarnings("ignore:Input Tensor 0 did not already require gradients")  # captum sees to it
def test_captums_embeddings_square_the_learning_rate():
    data = blobs()
    tracin = captum(nn.Linear(5, 3), data, rate=0.1)
    embedded = tracin.compute_intermediate_quantities((data.train.inputs, data.train.labels))
    torch.testing.assert_close(embedded.square().sum(1), 0.1 * tracin.self_influence())
