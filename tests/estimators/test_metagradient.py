"""Derivatives by weights, against finite differences of the training and against leaving out."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from influbench.api import Data, Model
from influbench.estimators import trajectory
from influbench.estimators.metagradient import Metagradient
from influbench.models.cnn import Cnn
from influbench.models.linear import Linear
from influbench.models.mlp import Mlp
from influbench.problem import TrainingProblem
from influbench.statistics.correlation import spearman
from influbench.training.loop import Trainer
from tests.plugins import registry
from tests.problems import ModuleModel, ResidualModel, blobs, line, permuted, problem, trainer

STEP = 1e-3


def tanh_net() -> nn.Module:
    return nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 3))


def half_frozen_net() -> nn.Module:
    module = tanh_net()
    module[0].requires_grad_(False)  # type: ignore[operator,index]
    return module


def without_a_feature() -> Data:
    """The first weights of the second input never have a gradient."""
    data = blobs()
    data.train.inputs[:, 1] = 0
    return data


def images() -> Data:
    data = blobs(12, 4, n_inputs=16)
    return Data(
        *(replace(s, inputs=s.inputs.reshape(-1, 1, 4, 4)) for s in (data.train, data.test)), n_classes=data.n_classes
    )


def influence(of: TrainingProblem, **fields: int) -> Tensor:
    scores = Metagradient(**fields).estimate(of).influence
    assert scores is not None
    return scores


def differences(of: Trainer, points: list[int], *, n_seeds: int = 1) -> tuple[Tensor, Tensor | None]:
    """Derivatives of the measure, and of p_correct of the point itself, from trainings with weights around 1."""
    n_train = len(of.data.train)
    around = torch.tensor([-2, -1, 1, 2], dtype=torch.float64)
    coefficients = torch.tensor([1, -8, 8, -1], dtype=torch.float64) / (12 * STEP)  # error of order STEP^4
    weights = torch.ones(len(points), 4, n_train, dtype=torch.float64)
    for at, i in enumerate(points):
        weights[at, :, i] += STEP * around
    on_test, on_itself = torch.zeros(len(points), len(of.data.test)).double(), torch.zeros(len(points)).double()
    for seed in range(n_seeds):
        runs = problem(of).train(weights.flatten(0, 1), replicates=[seed] * 4 * len(points))
        measured = runs.measured(of.data.test).unflatten(0, (-1, 4))
        on_test += torch.einsum("k,pkj->pj", coefficients, measured) / n_seeds
        if of.data.n_classes is not None:
            p_correct = runs.p_correct(of.data.train).unflatten(0, (-1, 4))[range(len(points)), :, points]
            on_itself += p_correct @ coefficients / n_seeds
    return on_test, None if of.data.n_classes is None else on_itself


def left_out(of: Trainer) -> Tensor:
    """With minus without each train point, in the training of replicate 0."""
    n_train = len(of.data.train)
    weights = torch.cat([torch.ones(1, n_train), 1 - torch.eye(n_train)])
    measured = problem(of).train(weights, replicates=[0] * (n_train + 1)).measured(of.data.test)
    return measured[0] - measured[1:]


@pytest.mark.parametrize("model", [ModuleModel(tanh_net), ResidualModel()], ids=["stacked", "vmap"])
@pytest.mark.parametrize(
    "recipe",
    [
        {"momentum": 0.0},
        {"momentum": 0.9, "weight_decay": 0.05},
        {"schedule": "cosine"},
        {"optimizer": "adam", "learning_rate": 0.02, "weight_decay": 0.05},
        {"optimizer": "adamw", "learning_rate": 0.02, "weight_decay": 0.1, "schedule": "cosine"},
    ],
    ids=lambda recipe: "-".join(map(str, recipe.values())),
)
def test_scores_are_the_slopes_of_the_training(model: Model, recipe: dict[str, object]) -> None:
    of = trainer(model=model, batch_size=7, **recipe)  # 7, 7 and 6 of the 20 points
    estimate = Metagradient(n_seeds=2, memorization=True).estimate(problem(of))
    assert estimate.influence is not None
    assert estimate.memorization is not None
    points = [0, 5, 19]
    on_test, on_itself = differences(of, points, n_seeds=2)
    torch.testing.assert_close(estimate.influence[points], on_test, rtol=1e-6, atol=1e-6 * on_test.abs().max().item())
    torch.testing.assert_close(estimate.memorization[points], on_itself, rtol=1e-6, atol=0)


def test_so_they_are_with_a_strangers_optimizer_and_schedule() -> None:
    """An optimizer with moments that do not depend on anything or affect anything."""
    of = trainer(
        model=ModuleModel(tanh_net),
        registry=registry(nesterov="Nesterov", warm_up="WarmUp"),
        optimizer="nesterov[beta=0.7]",
        schedule="warm_up[n=4]",
        weight_decay=0.05,
    )
    points = [0, 5, 19]
    on_test, _ = differences(of, points)
    scores = influence(problem(of), n_seeds=1)
    torch.testing.assert_close(scores[points], on_test, rtol=1e-6, atol=1e-6 * on_test.abs().max().item())


@pytest.mark.parametrize(
    ("data", "model", "recipe"),
    [
        (blobs(), ModuleModel(half_frozen_net), {}),
        (line(), ModuleModel(lambda: nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))), {"momentum": 0.5}),
        (images(), Cnn(channels=(2, 3)), {}),
        (without_a_feature(), Mlp(hidden=(8,)), {"optimizer": "adam", "learning_rate": 0.02}),
    ],
    ids=["frozen", "regression", "convolution", "adam at a second moment of 0"],
)
def test_so_they_are_with(data: Data, model: Model, recipe: dict[str, object]) -> None:
    of = trainer(data, model, **recipe)
    points = [1, 2, 11]
    on_test, _ = differences(of, points)
    scores = influence(problem(of), n_seeds=1)
    torch.testing.assert_close(scores[points], on_test, rtol=1e-6, atol=1e-6 * on_test.abs().max().item())


@pytest.mark.parametrize("data", [blobs(60, 8), line(60, 8)], ids=["logistic", "least squares"])
@pytest.mark.parametrize("batch_size", [60, 15])
def test_on_a_linear_model_they_rank_as_leaving_out_does(data: Data, batch_size: int) -> None:
    of = trainer(data, Linear(), batch_size=batch_size, epochs=20, momentum=0.5, weight_decay=0.05)
    by_column = spearman(influence(problem(of), n_seeds=1), left_out(of)).values
    assert by_column.min() >= 0.99


@pytest.mark.parametrize("data", [blobs(), line().to(torch.float32)], ids=["classes", "regression"])
def test_the_dtype_of_the_problem_does_not_matter(data: Data) -> None:
    in_single, in_double = (
        influence(problem(trainer(data, Mlp(hidden=(8,)), dtype=dtype)), n_seeds=1)
        for dtype in (torch.float32, torch.float64)
    )
    torch.testing.assert_close(in_single, in_double, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_trajectory_that_is_not_kept_gives_the_same_bytes(optimizer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    of = trainer(optimizer=optimizer, learning_rate=0.05)
    kept = influence(problem(of), n_seeds=1)
    monkeypatch.setattr(trajectory, "_STORED", 1)
    assert torch.equal(influence(problem(of), n_seeds=1), kept)


@pytest.mark.parametrize("n_numbers", [1, 2**12])
def test_so_it_does_with_few_test_points_at_a_time(n_numbers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    estimator = Metagradient(n_seeds=1, memorization=True)
    together = estimator.estimate(problem())
    monkeypatch.setattr(trajectory, "_PULLED_BACK", n_numbers)
    view = problem()
    apart = estimator.estimate(view)
    assert view.meter.trainings > 4.2
    torch.testing.assert_close(apart.influence, together.influence, rtol=1e-11, atol=1e-14)
    torch.testing.assert_close(apart.memorization, together.memorization, rtol=1e-11, atol=1e-14)


def test_a_test_point_is_scored_as_it_is_alone() -> None:
    data = blobs()
    all_columns, some = (
        influence(problem(trainer(replace(data, test=data.test.rows(rows)))), n_seeds=1)
        for rows in (slice(None), torch.tensor([6, 1]))
    )
    torch.testing.assert_close(some, all_columns[:, [6, 1]], rtol=1e-11, atol=1e-14)


def test_permuting_the_train_points_permutes_the_scores() -> None:
    order = torch.randperm(20, generator=torch.Generator().manual_seed(3))
    before, after = (influence(problem(trainer(data)), n_seeds=1) for data in (blobs(), permuted(blobs(), order)))
    torch.testing.assert_close(after, before[order], rtol=1e-11, atol=1e-14)


def test_equal_examples_score_equal_if_they_always_share_a_batch() -> None:
    data = blobs()
    data.train.inputs[7], data.train.labels[7] = data.train.inputs[4], data.train.labels[4]
    full, in_parts = (influence(problem(trainer(data, batch_size=n)), n_seeds=1) for n in (20, 6))
    torch.testing.assert_close(full[4], full[7], rtol=1e-11, atol=1e-14)
    assert (in_parts[4] - in_parts[7]).abs().max() > 1e-3 * in_parts.abs().max()


def test_the_same_seed_gives_the_same_bytes() -> None:
    first, second, other = (influence(problem(seed=seed), n_seeds=2) for seed in (1, 1, 3))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_it_costs_three_trainings_for_each_seed() -> None:
    view = problem()
    influence(view, n_seeds=2)
    assert view.meter.spent == view.meter.announced
    assert view.meter.trainings == pytest.approx(3 * 2, abs=0.7)  # and a step of each, to see what memory it takes


def test_what_it_cannot_do_is_said_in_a_sentence() -> None:
    regression = problem(trainer(line(), Linear()))
    assert Metagradient().unsupported(regression) is None
    assert Metagradient(memorization=True).unsupported(problem()) is None
    reason = "regression does not have memorization; set memorization=false"
    assert Metagradient(memorization=True).unsupported(regression) == reason
    with pytest.raises(ValueError, match="n_seeds must be at least 1, got 0"):
        Metagradient(n_seeds=0)
