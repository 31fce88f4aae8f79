"""Trainings of whole recipes, and what leaving a point out of them does, against plain torch in float64."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import cos, pi, sqrt
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.utils import clip_grad_norm_
from torch.optim import SGD, AdamW, Muon
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    LambdaLR,
    LinearLR,
    LRScheduler,
    MultiStepLR,
    OneCycleLR,
    SequentialLR,
)
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from influbench.api import Recipe
from influbench.errors import ModelError, UsageError
from influbench.estimators.influence_function.estimator import InfluenceFunction
from influbench.estimators.metagradient import Metagradient
from influbench.estimators.tracin import TracIn
from influbench.models.mlp import Mlp
from influbench.testing import optimizer_checks, schedule_checks
from influbench.testing.checks import Check
from influbench.training.course import Batch
from influbench.training.fingerprint import training_key
from influbench.training.loop import Trainer
from influbench.training.optimizers.muon import orthogonalized
from influbench.training.updates import clipped, update_rule
from influbench.truth.leave_one_out import leave_out
from tests.problems import blobs, line, problem, trainer

N_STEPS = 20  # of the trainings below: 20 points in batches of 6, 5 epochs
Tensors = Mapping[str, Tensor]


class PlainLion(torch.optim.Optimizer):
    """Algorithm 2 of Chen et al. 2023, line by line."""

    def __init__(self, parameters: Any, lr: float, beta_1: float, beta_2: float, weight_decay: float) -> None:
        super().__init__(parameters, {"lr": lr})
        self.beta_1, self.beta_2, self.weight_decay = beta_1, beta_2, weight_decay

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        for p in self.param_groups[0]["params"]:
            m, rate = self.state[p].get("m", torch.zeros_like(p)), self.param_groups[0]["lr"]
            c = self.beta_1 * m + (1 - self.beta_1) * p.grad
            p.sub_(rate * (torch.sign(c) + self.weight_decay * p))
            self.state[p]["m"] = self.beta_2 * m + (1 - self.beta_2) * p.grad


class PlainMuon(torch.optim.Optimizer):
    """torch's Muon without rounding to bfloat16; the same step without orthogonalization for vectors."""

    def __init__(self, parameters: Any, lr: float, momentum: float, weight_decay: float) -> None:
        super().__init__(parameters, {"lr": lr})
        self.momentum, self.weight_decay = momentum, weight_decay

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        for p in self.param_groups[0]["params"]:
            buffer, rate = self.state[p].setdefault("buffer", torch.zeros_like(p)), self.param_groups[0]["lr"]
            buffer.mul_(self.momentum).add_(p.grad, alpha=1 - self.momentum)
            update = (1 - self.momentum) * p.grad + self.momentum * buffer
            p.mul_(1 - rate * self.weight_decay)
            if p.ndim == 2:
                rows, columns = p.shape
                update = newton_schulz(update) * sqrt(max(1, rows / columns))
            p.sub_(rate * update)


def newton_schulz(matrix: Tensor) -> Tensor:
    """Five steps of the quintic iteration, for one matrix, in its own dtype."""
    x = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    x = x / x.norm()
    for _ in range(5):
        gram = x @ x.T
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return x.T if matrix.shape[0] > matrix.shape[1] else x


def sgd(p: Any) -> SGD:
    return SGD(p, lr=0.1, momentum=0.9)


def groups(parameters: Any, decay: float) -> list[dict[str, Any]]:
    """Weight decay on matrices, and none on vectors."""
    every = list(parameters)
    matrices, vectors = [p for p in every if p.ndim > 1], [p for p in every if p.ndim < 2]
    return [{"params": matrices, "weight_decay": decay}, {"params": vectors, "weight_decay": 0.0}]


def warmed(optimizer: torch.optim.Optimizer, n: int, then: LRScheduler) -> SequentialLR:
    """Rates that rise in n equal steps to the full one, then those of another scheduler."""
    rising = LinearLR(optimizer, start_factor=1 / n, total_iters=n - 1)
    return SequentialLR(optimizer, [rising, then], milestones=[n])


def one_cycle(optimizer: torch.optim.Optimizer, **settings: float) -> OneCycleLR:
    return OneCycleLR(optimizer, 0.1, total_steps=N_STEPS, cycle_momentum=False, anneal_strategy="cos", **settings)  # type: ignore[arg-type]


Peer = Callable[[Any], torch.optim.Optimizer]
Scheduler = Callable[[Any], LRScheduler]


@dataclass(frozen=True)
class Case:
    """A recipe, and what torch needs in order to follow it."""

    recipe: dict[str, Any]
    optimizer: Peer = sgd
    scheduler: Scheduler = lambda optimizer: LambdaLR(optimizer, lambda step: 1.0)


CASES = {
    "warmup": Case(
        {"schedule": "constant[warmup=0.25]"}, scheduler=lambda o: warmed(o, 5, LambdaLR(o, lambda step: 1.0))
    ),
    "cosine to a floor": Case(
        {"schedule": "cosine[floor=0.2]"}, scheduler=lambda o: CosineAnnealingLR(o, N_STEPS, eta_min=0.02)
    ),
    "cosine after a warmup": Case(
        {"schedule": "cosine[warmup=0.1,floor=0.05]"},
        scheduler=lambda o: warmed(o, 2, CosineAnnealingLR(o, N_STEPS - 2, eta_min=0.005)),
    ),
    "steps": Case(
        {"schedule": "step[at=[0.5,0.75],factor=0.1]"}, scheduler=lambda o: MultiStepLR(o, [10, 15], gamma=0.1)
    ),
    "steps after a warmup": Case(
        {"schedule": "step[at=[0.5],factor=0.3,warmup=0.2]"},
        scheduler=lambda o: warmed(o, 4, MultiStepLR(o, [6], gamma=0.3)),
    ),
    "one cycle": Case({"schedule": "one_cycle"}, scheduler=one_cycle),
    "another cycle": Case(
        {"schedule": "one_cycle[warmup=0.42,div_factor=10,final_div_factor=100]"},
        scheduler=lambda o: one_cycle(o, pct_start=0.42, div_factor=10, final_div_factor=100),
    ),
    "a cycle that only falls": Case(
        {"schedule": "one_cycle[warmup=0]"}, scheduler=lambda o: one_cycle(o, pct_start=0.0)
    ),
    "nesterov": Case(
        {"optimizer": "sgd[nesterov=true]", "weight_decay": 0.01},
        lambda p: SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    ),
    "lion": Case(
        {"optimizer": "lion[beta_2=0.95]", "learning_rate": 0.01, "weight_decay": 0.1},
        lambda p: PlainLion(p, 0.01, 0.9, 0.95, 0.1),
    ),
    "muon": Case(
        {"optimizer": "muon", "learning_rate": 0.02, "momentum": 0.95, "weight_decay": 0.1},
        lambda p: PlainMuon(p, 0.02, 0.95, 0.1),
    ),
    "clipping": Case({"clip_norm": 0.5}),
    "clipping before weight decay": Case(
        {"clip_norm": 0.3, "weight_decay": 0.1}, lambda p: SGD(p, lr=0.1, momentum=0.9, weight_decay=0.1)
    ),
    "clipping that never acts": Case({"clip_norm": 1e3}),
    "smooth labels": Case({"label_smoothing": 0.1}),
    "averages": Case({"ema": 0.8}),
    "decay of matrices alone": Case(
        {"weight_decay": 0.2, "decay_norms_and_biases": False},
        lambda p: SGD(groups(p, 0.2), lr=0.1, momentum=0.9),
    ),
    "decoupled decay of matrices alone": Case(
        {"optimizer": "adamw", "learning_rate": 0.01, "weight_decay": 0.3, "decay_norms_and_biases": False},
        lambda p: AdamW(groups(p, 0.3), lr=0.01),
    ),
    "everything": Case(
        {
            "optimizer": "adamw",
            "learning_rate": 0.01,
            "weight_decay": 0.1,
            "schedule": "cosine[warmup=0.1]",
            "clip_norm": 0.4,
            "label_smoothing": 0.2,
            "ema": 0.7,
        },
        lambda p: AdamW(p, lr=0.01, weight_decay=0.1),
        lambda o: warmed(o, 2, CosineAnnealingLR(o, N_STEPS - 2)),
    ),
}


def of_recipe(recipe: Mapping[str, Any]) -> Trainer:
    return trainer(**{"epochs": 5, **recipe})


def plain_training(of: Trainer, case: Case, *, seed: int, left_out: int | None) -> nn.Module:
    """One network, trained in a loop of torch as anybody writes it. The left-out point is not in its batches."""
    module = of.module(of.initial_parameters(seed)).train()
    optimizer = case.optimizer(module.parameters())
    scheduler = case.scheduler(optimizer)
    recipe, train = of.recipe, of.data.train
    averaged = AveragedModel(module, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema))
    for rows in of.course(seeds=[seed]).batches:
        kept = rows[rows != left_out] if left_out is not None else rows
        optimizer.zero_grad()
        losses = cross_entropy(
            module(train.inputs[kept]), train.labels[kept], reduction="sum", label_smoothing=recipe.label_smoothing
        )
        (losses / len(rows)).backward()
        if recipe.clip_norm is not None:
            clip_grad_norm_(module.parameters(), recipe.clip_norm)
        optimizer.step()
        scheduler.step()
        averaged.update_parameters(module)
    return averaged.module if recipe.ema else module


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_recipe_trains_as_plain_torch_does(case: Case) -> None:
    of = of_recipe(case.recipe)
    assert of.n_steps == N_STEPS
    runs = of.train(of.course(seeds=[1, 2]))
    for replica, seed in enumerate([1, 2]):
        module = plain_training(of, case, seed=seed, left_out=None)
        for name, p in module.named_parameters():
            torch.testing.assert_close(runs.parameters()[name][replica], p.detach(), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_leaving_out_is_a_plain_training_without_the_point(case: Case) -> None:
    """The effects are differences of the plain measure: no smoothing."""
    of = of_recipe(case.recipe)
    found = leave_out(of, 1, [4, 9])
    test = of.data.test

    def measured(left_out: int | None) -> Tensor:
        outputs = plain_training(of, case, seed=1, left_out=left_out)(test.inputs)
        return -cross_entropy(outputs, test.labels, reduction="none").detach()

    expected = torch.stack([measured(None) - measured(row) for row in (4, 9)])
    assert expected.abs().max() > 1e-6
    torch.testing.assert_close(found[f"influence/neg_loss@{N_STEPS}"], expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("shape", [(8, 3), (3, 8), (5, 5)])
def test_muon_is_torchs_up_to_its_rounding(shape: tuple[int, int]) -> None:
    """torch orthogonalizes in bfloat16, whose numbers have three digits."""
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(shape, generator=generator, dtype=torch.float64)
    theirs = start.clone().requires_grad_()
    peer = Muon([theirs], lr=0.1, momentum=0.9, weight_decay=0.2)
    rule = update_rule(Recipe("muon", 0.1, momentum=0.9, weight_decay=0.2))
    ours, state = {"w": start[None]}, rule.initial_state({"w": start[None]})
    for _ in range(3):
        gradient = torch.randn(shape, generator=generator, dtype=torch.float64)
        theirs.grad = gradient.clone()
        peer.step()
        ours, state = rule.step(ours, {"w": gradient[None]}, state, learning_rate=0.1)  # type: ignore[assignment]
    moved, expected = ours["w"][0] - start, theirs.detach() - start
    assert (moved - expected).norm() < 0.02 * expected.norm()


def test_orthogonalized_matrices_keep_their_singular_vectors() -> None:
    matrices = torch.randn(4, 5, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    left, _, right = torch.linalg.svd(matrices, full_matrices=False)
    inside = left.mT @ orthogonalized(matrices, 5) @ right.mT
    values = inside.diagonal(dim1=1, dim2=2)
    assert ((values > 0.6) & (values < 1.3)).all()
    torch.testing.assert_close(inside, torch.diag_embed(values), rtol=0, atol=1e-12)


def test_muon_takes_a_convolution_as_a_matrix_of_its_output_channels() -> None:
    rule = update_rule(Recipe("muon", 0.1))
    kernel = torch.randn(2, 4, 3, 2, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    stepped = []
    for start in (kernel, kernel.flatten(2)):
        parameters = {"w": torch.zeros_like(start)}
        found, _ = rule.step(parameters, {"w": start}, rule.initial_state(parameters), learning_rate=0.1)
        stepped.append(found["w"].flatten(2))
    assert torch.equal(*stepped)


@pytest.mark.parametrize("width", [2, 3, 5])
@pytest.mark.parametrize("recipe", [{"clip_norm": 0.3}, {"ema": 0.9}, {"label_smoothing": 0.1}], ids=str)
def test_a_replica_does_not_depend_on_the_others_of_its_stack(recipe: dict[str, Any], width: int) -> None:
    """Bit for bit, although the others' gradients are far larger: each is clipped by its own norm."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        of = of_recipe(recipe)
        weights = torch.full((width, 20), 1e3, dtype=torch.float64)
        weights[0] = 1
        stack = of.train(of.course(weights, seeds=range(1, width + 1))).parameters()
        alone = of.train(of.course(torch.ones(2, 20), seeds=[1, 7])).parameters()
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(stack[name][0], alone[name][0]) for name in alone)


def test_clipping_shrinks_all_parameters_of_a_replica_together_and_nothing_shorter() -> None:
    gradients = {"w": torch.tensor([[[3.0]], [[0.3]], [[0.0]]]), "b": torch.tensor([[4.0], [0.4], [0.0]])}
    found = clipped({name: g.double() for name, g in gradients.items()}, 1.0)
    torch.testing.assert_close(found["w"].flatten(), torch.tensor([0.6, 0.3, 0.0]).double(), rtol=1e-6, atol=0)
    torch.testing.assert_close(found["b"].flatten(), torch.tensor([0.8, 0.4, 0.0]).double(), rtol=1e-6, atol=0)


def test_an_update_with_clipping_is_differentiable_where_all_gradients_are_0() -> None:
    of = of_recipe({"clip_norm": 0.5})
    start = {name: p[None] for name, p in of.initial_parameters(1).items()}
    weights = torch.zeros(1, 6, dtype=torch.float64, requires_grad=True)
    stepped, _ = of.update(start, of.initial_state(start), Batch(torch.arange(6), weights))
    (by_weight,) = torch.autograd.grad(stepped["3.bias"][0, 0], weights)
    assert by_weight.isfinite().all()
    assert by_weight.abs().max() > 0


METAGRADIENT_RECIPES = [
    {"optimizer": "sgd[nesterov=true]", "schedule": "cosine[warmup=0.2]"},
    {"optimizer": "muon", "learning_rate": 0.02},
    {"clip_norm": 0.4},
    {"label_smoothing": 0.2},
    {"ema": 0.7},
    {"optimizer": "adamw", "learning_rate": 0.01, "clip_norm": 0.4, "label_smoothing": 0.1, "ema": 0.7},
]


@pytest.mark.parametrize("recipe", METAGRADIENT_RECIPES, ids=str)
def test_the_metagradient_is_the_derivative_of_the_measured_network(recipe: dict[str, Any]) -> None:
    """Against finite differences of whole trainings, for one train point and all test points."""
    settings = {"data": blobs(), "model": Mlp(hidden=(4,)), "momentum": 0.5, "epochs": 2, **recipe}
    of, step, row = trainer(**settings), 1e-5, 3
    view = problem(of)
    predicted = Metagradient(n_seeds=1).estimate(view).influence
    assert predicted is not None
    weights = torch.ones(2, 20, dtype=torch.float64)
    weights[0, row] += step
    weights[1, row] -= step
    above, below = view.train(weights, replicates=[0, 0]).measured(of.data.test)
    torch.testing.assert_close(predicted[row], (above - below) / (2 * step), rtol=1e-4, atol=1e-8)


def test_estimators_that_a_recipe_would_mislead_say_so() -> None:
    signs = problem(trainer(optimizer="lion", learning_rate=0.01))
    assert Metagradient().unsupported(signs) == "the steps of lion do not follow small changes of the gradients"
    averaged = problem(trainer(ema=0.9))
    assert TracIn().unsupported(averaged) == (
        "the recipe averages the parameters (ema), and TracIn needs those from which steps were taken"
    )
    assert Metagradient().unsupported(averaged) is None
    uneven = {"decay_norms_and_biases": False, "weight_decay": 0.1}
    assert InfluenceFunction().unsupported(problem(trainer(**uneven))) == (
        "its curvature has one weight decay for all parameters, and the recipe leaves out norms and biases"
    )
    assert InfluenceFunction().unsupported(problem(trainer(optimizer="adamw", **uneven))) is None
    assert TracIn().unsupported(signs) is None


def test_kept_parameters_are_averages_and_an_update_goes_on_from_the_others() -> None:
    of = problem(trainer(ema=0.5))
    runs = of.train(replicates=[0], checkpoints=[0, 1, 2, 3])
    parameters, state, raw = runs.parameters(step=0), None, []
    for step in range(3):
        parameters, state = of.update(parameters, state, runs.batches[step])
        raw.append(parameters["1.weight"])
        assert torch.equal(state.average["1.weight"], runs.parameters(step=step + 1)["1.weight"])
    expected = 0.25 * raw[0] + 0.25 * raw[1] + 0.5 * raw[2]
    torch.testing.assert_close(runs.parameters(step=3)["1.weight"], expected, rtol=1e-12, atol=1e-14)


def test_frozen_parameters_are_not_averaged_away() -> None:
    of = problem(trainer(ema=0.5))
    runs = of.train(replicates=[0], frozen=["1.bias"], checkpoints=[0])
    assert torch.equal(runs.parameters(step=0)["1.bias"], runs.parameters()["1.bias"])


def test_the_training_loss_is_smoothed_and_the_measure_is_not() -> None:
    plain, smooth = problem(trainer()), problem(trainer(label_smoothing=0.3))
    outputs = torch.randn(8, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    labels = plain.data.test.labels
    expected = cross_entropy(outputs, labels, reduction="none", label_smoothing=0.3)
    torch.testing.assert_close(smooth.loss(outputs, labels), expected, rtol=1e-12, atol=0)
    assert torch.equal(plain.loss(outputs, labels), plain.model.loss(outputs, labels))
    assert torch.equal(smooth.measured(outputs, labels), plain.measured(outputs, labels))


@dataclass(frozen=True)
class Scaled(Mlp):
    def loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
        return 2 * super().loss(outputs, labels)


def test_what_cannot_be_smoothed_is_one_sentence() -> None:
    own, regression = trainer(model=Scaled(), label_smoothing=0.1), trainer(line(), label_smoothing=0.1)
    with pytest.raises(
        ModelError, match=r"^label_smoothing is for the cross-entropy of .*, and Scaled has its own loss; "
    ):
        own.train(own.course(seeds=[1]))
    with pytest.raises(ModelError, match=r"^label_smoothing needs class labels, and these labels are for regression; "):
        regression.train(regression.course(seeds=[1]))


@pytest.mark.parametrize("n_steps", [1, 7, 120, 12_345])
@pytest.mark.parametrize("rate", [0.1, 0.003, 1 / 3])
def test_rates_without_a_warmup_are_what_they_always_were(rate: float, n_steps: int) -> None:
    """Bit for bit, so that a run computes what is stored."""
    flat, falling = (
        update_rule(Recipe(learning_rate=rate, schedule=name)).learning_rates(n_steps)
        for name in ("constant", "cosine")
    )
    assert flat == [rate] * n_steps
    assert falling == [rate * (1 + cos(pi * step / n_steps)) / 2 for step in range(n_steps)]


@pytest.mark.parametrize(
    ("schedule", "sentence"),
    [
        ("cosine[warmup=1.5]", "warmup must be a share of the training, at least 0 and below 1, got 1.5"),
        ("cosine[warmup=1]", "warmup must be a share of the training, at least 0 and below 1, got 1.0"),
        ("constant[warmup=-0.1]", "warmup must be a share of the training, at least 0 and below 1, got -0.1"),
        ("one_cycle[warmup=2]", "warmup must be a share of the training, at least 0 and below 1, got 2.0"),
        ("one_cycle[div_factor=0]", "div_factor must be above 0 and finite, got 0.0"),
        ("cosine[floor=1.1]", "floor must be a share of the learning rate, from 0 to 1, got 1.1"),
        ("step[at=[0.5,1]]", "at must be shares of the training, above 0 and below 1, got [0.5, 1.0]"),
        ("step[factor=0]", "factor must be above 0 and finite, got 0.0"),
        ("step[at=[0.1],warmup=0.2]", "warmup 0.2 must end before the rate falls at 0.1"),
    ],
)
def test_schedules_refuse_what_makes_no_sense(schedule: str, sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        update_rule(Recipe(schedule=schedule))
    assert str(caught.value) == f"{schedule}: {sentence}"


def test_settings_at_their_defaults_leave_no_trace() -> None:
    """Neither in a repr, which is part of every key, nor in a record. `test_fingerprint` has stored keys."""
    assert repr(Recipe()) == (
        "Recipe(optimizer='sgd', learning_rate=0.1, momentum=0.0, betas=(0.9, 0.999), epsilon=1e-08, weight_decay=0.0, "
        "schedule='constant', batch_size=50, epochs=20)"
    )
    assert repr(Recipe(ema=0.9, clip_norm=1)).endswith("epochs=20, clip_norm=1, ema=0.9)")
    assert [*update_rule(Recipe(label_smoothing=0.1)).settings()][-2:] == ["epochs", "label_smoothing"]
    assert "ema" not in update_rule(Recipe(label_smoothing=0.1)).settings()


def test_each_setting_has_keys_of_its_own() -> None:
    recipes: list[dict[str, Any]] = [
        {},
        {"clip_norm": 1.0},
        {"clip_norm": 2.0},
        {"label_smoothing": 0.1},
        {"ema": 0.1},
        {"decay_norms_and_biases": False},
        {"schedule": "constant[warmup=0.1]"},
        {"optimizer": "sgd[nesterov=true]"},
    ]
    assert len({training_key(trainer(**recipe), 1) for recipe in recipes}) == len(recipes)


OPTIMIZERS = ("sgd[nesterov=true]", "lion", "muon", "muon[nesterov=false,iterations=3]")
SCHEDULES = ("constant[warmup=0.3]", "cosine[warmup=0.99,floor=0.1]", "step[at=[0.01,0.99]]", "one_cycle")


@pytest.mark.parametrize("check", [check for one in OPTIMIZERS for check in optimizer_checks(one)], ids=str)
def test_optimizers_keep_the_contract(check: Check) -> None:
    check()


@pytest.mark.parametrize("check", [check for one in SCHEDULES for check in schedule_checks(one)], ids=str)
def test_schedules_keep_the_contract(check: Check) -> None:
    check()
