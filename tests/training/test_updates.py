"""Optimizer steps, against torch.optim."""

from dataclasses import replace

import pytest
import torch
from torch.optim import SGD, Adam, AdamW
from torch.optim.lr_scheduler import CosineAnnealingLR

from influbench.api import Recipe
from influbench.errors import UsageError
from influbench.training.updates import update_rule

RECIPES = [
    (Recipe("sgd", 0.1), lambda p: SGD(p, lr=0.1)),
    (Recipe("sgd", 0.1, momentum=0.9, weight_decay=0.01), lambda p: SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01)),
    (Recipe("adam", 0.01, weight_decay=0.02), lambda p: Adam(p, lr=0.01, weight_decay=0.02)),
    (Recipe("adam", 0.01, betas=(0.8, 0.95), epsilon=1e-4), lambda p: Adam(p, lr=0.01, betas=(0.8, 0.95), eps=1e-4)),
    (Recipe("adamw", 0.01, weight_decay=0.1), lambda p: AdamW(p, lr=0.01, weight_decay=0.1)),
]


@pytest.mark.parametrize(("recipe", "peer"), RECIPES)
@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_steps_equal_torch_optim(recipe: Recipe, peer, schedule: str) -> None:  # type: ignore[no-untyped-def]
    rule = update_rule(replace(recipe, schedule=schedule))
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(4, 3, generator=generator, dtype=torch.float64)
    gradients = torch.randn(7, 4, 3, generator=generator, dtype=torch.float64)

    theirs = start.clone().requires_grad_()
    optimizer = peer([theirs])
    scheduler = CosineAnnealingLR(optimizer, T_max=7) if schedule == "cosine" else None
    ours, state = {"w": start}, rule.initial_state({"w": start})
    for gradient, rate in zip(gradients, rule.learning_rates(7), strict=True):
        theirs.grad = gradient.clone()
        optimizer.step()
        if scheduler:
            scheduler.step()
        ours, state = rule.step(ours, {"w": gradient}, state, learning_rate=rate)
    torch.testing.assert_close(ours["w"], theirs.detach(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
def test_a_step_has_its_derivative_where_all_gradients_were_0(optimizer: str) -> None:
    """A change of d in the gradient moves the first step by the learning rate times d over epsilon."""
    rule = update_rule(Recipe(optimizer, 0.01, epsilon=0.1))
    parameters = {"w": torch.ones(2, 1, dtype=torch.float64)}
    gradient = torch.tensor([[0.0], [2.0]], dtype=torch.float64, requires_grad=True)
    stepped, _ = rule.step(parameters, {"w": gradient}, rule.initial_state(parameters), learning_rate=0.01)
    (by_gradient,) = torch.autograd.grad(stepped["w"].sum(), gradient)
    expected = [[-0.01 / 0.1], [-0.01 * 0.1 / 2.1**2]]  # of g / (|g| + epsilon)
    torch.testing.assert_close(by_gradient, torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("learning_rate", float("inf")),
        ("weight_decay", float("nan")),
        ("momentum", 1.0),
        ("betas", (0.9, 1.0)),
        ("epsilon", 0.0),
        ("weight_decay", -1.0),
        ("batch_size", 0),
        ("epochs", 0),
        ("epochs", 3.0),
        ("epochs", True),
        ("epochs", "3"),
        ("batch_size", -1),
        ("batch_size", None),
        ("learning_rate", "0.1"),
        ("learning_rate", True),
        ("momentum", None),
        ("momentum", -0.5),
        ("epsilon", "1e-8"),
        ("weight_decay", False),
        ("betas", 0.9),
        ("betas", (0.9,)),
        ("betas", ("0.9", 0.99)),
        ("betas", (0.9, float("nan"))),
        ("optimizer", None),
        ("schedule", ["cosine"]),
        ("clip_norm", 0.0),
        ("clip_norm", float("inf")),
        ("clip_norm", "1"),
        ("clip_norm", True),
        ("label_smoothing", 1.0),
        ("label_smoothing", -0.1),
        ("label_smoothing", None),
        ("ema", 1.0),
        ("ema", float("nan")),
        ("ema", False),
        ("decay_norms_and_biases", 0),
    ],
)
def test_a_recipe_refuses_what_makes_no_sense(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=field):
        Recipe(**{field: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("optimizer", "sgdd", "unknown optimizer 'sgdd'; did you mean 'sgd'?"),
        ("optimizer", "rmsprop", "unknown optimizer 'rmsprop'; known are adam, adamw, lion, muon, sgd"),
        ("schedule", "linear", "unknown schedule 'linear'; known are constant, cosine, one_cycle, step"),
        ("optimizer", "sgd[momentum=0.9]", "sgd has no parameter 'momentum'; it has nesterov"),
        ("schedule", "cosine[", "cannot read 'cosine['; write NAME or NAME[parameter=value,...]"),
    ],
)
def test_a_name_that_is_not_known_is_refused(field: str, value: str, sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        update_rule(Recipe(**{field: value}))  # type: ignore[arg-type]
    assert str(caught.value) == sentence


def test_settings_that_another_optimizer_reads_are_not_those_of_a_training() -> None:
    assert {"momentum", "betas", "epsilon"} & update_rule(Recipe("sgd")).settings().keys() == {"momentum"}
    adam = update_rule(Recipe("adam", momentum=0.9, weight_decay=0.1)).settings()
    assert {"momentum", "betas", "epsilon"} & adam.keys() == {"betas", "epsilon"}
    assert adam["weight_decay"] == 0.1
