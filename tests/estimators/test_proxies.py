"""Memorization proxies, against the same quantities point by point and on the module itself."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.functional import hessian
from torch.nn.functional import cross_entropy

from influbench.api import Estimator
from influbench.errors import EstimateError
from influbench.estimators.proxies import (
    CumulativeLoss,
    Curvature,
    El2n,
    Forgetting,
    GradNorm,
    LearningTime,
    forgetting_events,
    input_curvature,
    learning_times,
    signs,
)
from influbench.models.cnn import Cnn
from influbench.models.linear import Linear
from influbench.training.loop import Trainer
from tests.problems import ModuleModel, ResidualModel, blobs, line, problem, trainer

PROXIES = (LearningTime(), CumulativeLoss(), Forgetting(), El2n(), GradNorm(), Curvature(n_probes=2))
EPOCH_ENDS = (4, 8, 12)


def memorization(of: Estimator, trained: Trainer, **settings: int) -> Tensor:
    estimate = of.estimate(problem(trained, **settings))
    assert estimate.influence is None
    assert estimate.memorization is not None
    return estimate.memorization


def three_epochs(**settings: object) -> Trainer:
    return trainer(model=ResidualModel(), epochs=3, **settings)


def module_after(of: Trainer, step: int) -> nn.Module:
    """The network of the one training as an ordinary module."""
    module = of.built(0)
    runs = problem(of).train(replicates=[0], checkpoints=[step])
    module.load_state_dict({name: p[0] for name, p in runs.parameters(step=step).items()})
    return module


def points(of: Trainer) -> Iterator[tuple[int, Tensor, Tensor]]:
    train = of.data.train
    for i in range(len(train)):
        yield i, train.inputs[i : i + 1], train.labels[i : i + 1]


# What happened to six points over five epochs, and what is to be read from it.
HISTORIES = {
    "never": ([0, 0, 0, 0, 0], 6, 5),
    "always": ([1, 1, 1, 1, 1], 1, 0),
    "late": ([0, 0, 0, 0, 1], 5, 0),
    "twice forgotten": ([1, 0, 1, 0, 1], 5, 2),
    "lost at the end": ([1, 1, 1, 1, 0], 6, 1),
    "once forgotten": ([0, 1, 0, 1, 1], 4, 1),
}


@pytest.mark.parametrize(("history", "learned", "events"), HISTORIES.values(), ids=HISTORIES.keys())
def test_a_history_is_read_as_one_would_by_eye(history: list[int], learned: int, events: int) -> None:
    correct = torch.tensor(history, dtype=torch.bool)[:, None]
    assert learning_times(correct).tolist() == [learned]
    assert forgetting_events(correct).tolist() == [events]


def test_points_do_not_meet() -> None:
    correct = torch.tensor([history for history, _, _ in HISTORIES.values()], dtype=torch.bool).T
    assert learning_times(correct).tolist() == [learned for _, learned, _ in HISTORIES.values()]
    assert forgetting_events(correct).tolist() == [events for _, _, events in HISTORIES.values()]


def test_never_learned_outranks_every_other_history() -> None:
    every = torch.cartesian_prod(*[torch.tensor([False, True])] * 6).T  # (6, 64)
    events = forgetting_events(every)
    assert events[0] > events[1:].max()


def test_learning_time_and_forgetting_follow_the_ends_of_epochs() -> None:
    of = trainer(blobs(seed=4), ResidualModel(), epochs=5, learning_rate=0.5)
    modules = [module_after(of, step) for step in (4, 8, 12, 16, 20)]
    histories = [[bool(module(x).argmax() == y) for module in modules] for _, x, y in points(of)]
    learned, forgotten = memorization(LearningTime(), of), memorization(Forgetting(), of)
    for history, epoch, events in zip(histories, learned.tolist(), forgotten.tolist(), strict=True):
        assert all(history[int(epoch) - 1 :])
        assert epoch == 1 or not history[int(epoch) - 2]
        lost = sum(before and not after for before, after in pairwise(history))
        assert events == (lost if any(history) else 5)
    assert len(learned.unique()) > 2
    assert len(forgotten.unique()) > 2


def test_cumulative_loss_adds_up_losses_point_by_point() -> None:
    of = three_epochs()
    modules = [module_after(of, step) for step in EPOCH_ENDS]
    expected = [sum(cross_entropy(module(x), y).item() for module in modules) for _, x, y in points(of)]
    assert memorization(CumulativeLoss(), of).tolist() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("at", "step"), [(1e-9, 1), (0.34, 4), (1.0, 12)])
def test_el2n_is_the_distance_of_probabilities_from_the_label(at: float, step: int) -> None:
    of = three_epochs()
    runs = problem(of).train(replicates=[0], checkpoints=[step])
    outputs = runs.outputs(of.data.train, step=step)[0]
    for i, score in enumerate(memorization(El2n(at=at), of).tolist()):
        exponentials = outputs[i].exp()
        errors = [
            (exponentials[c] / exponentials.sum()).item() - (c == of.data.train.labels[i].item()) for c in range(3)
        ]
        assert score == pytest.approx(sum(error**2 for error in errors) ** 0.5, rel=1e-9)


def test_grad_norm_is_that_of_gradients_one_by_one() -> None:
    of = three_epochs()
    module = module_after(of, 4)
    scores = memorization(GradNorm(at=1 / 3), of)
    for i, x, y in points(of):
        gradients = torch.autograd.grad(cross_entropy(module(x), y), list(module.parameters()))
        expected = sum(g.square().sum().item() for g in gradients) ** 0.5
        assert scores[i].item() == pytest.approx(expected, rel=1e-9)


def test_curvature_is_that_of_the_whole_hessian() -> None:
    """With the same probes, epoch by epoch and point by point."""
    of = three_epochs()
    probes = signs(problem(of), 3)
    expected = torch.zeros(20, dtype=torch.float64)
    for step in EPOCH_ENDS:
        module = module_after(of, step)
        for i, x, y in points(of):
            whole = hessian(lambda x, module=module, y=y: cross_entropy(module(x[None]), y), x[0])
            expected[i] += sum((whole @ probe).square().sum() for probe in probes) / 3 / 3
    torch.testing.assert_close(memorization(Curvature(n_probes=3), of), expected, rtol=1e-9, atol=0)


def test_all_signs_give_the_squared_norm_of_the_hessian() -> None:
    """The expectation over probes, in a network of ReLUs and max pooling on images, taken in batches of 6."""
    data = blobs(n_inputs=4)
    train, test = (replace(split, inputs=split.inputs.reshape(-1, 1, 2, 2)) for split in (data.train, data.test))
    of = trainer(replace(data, train=train, test=test), Cnn(channels=(4,)))
    view = problem(of)
    parameters = {name: p[0] for name, p in view.train(replicates=[0]).parameters().items()}
    every = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0], dtype=torch.float64)] * 4).reshape(16, 1, 2, 2)
    scores = input_curvature(view, parameters, every)
    for i, x, y in points(of):
        whole = hessian(lambda x, y=y: cross_entropy(view.forward(parameters, x), y), x).reshape(4, 4)
        assert scores[i].item() == pytest.approx(whole.square().sum().item(), rel=1e-9)
    assert scores.median() > 0


def test_probes_are_signs_of_the_estimators_own_seed() -> None:
    one, same, other = (signs(problem(seed=seed), 50) for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert one.shape == (50, 5)
    assert torch.equal(one.abs(), torch.ones_like(one))
    assert one.mean().abs() < 0.2


@pytest.mark.parametrize("proxy", PROXIES, ids=lambda proxy: type(proxy).__name__)
def test_one_ordinary_training_and_the_same_bytes_again(proxy: Estimator) -> None:
    view, again = problem(three_epochs()), problem(three_epochs())
    before = torch.random.get_rng_state()
    first, second = proxy.estimate(view).memorization, proxy.estimate(again).memorization
    assert first is not None
    assert second is not None
    assert torch.equal(first, second)
    assert not first.requires_grad
    assert view.meter.trainings == 1
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize(
    "proxy",
    [LearningTime(), CumulativeLoss(), Forgetting(), El2n(at=1.0), GradNorm(at=1.0)],
    ids=lambda proxy: type(proxy).__name__,
)
def test_a_wrong_label_scores_highest(proxy: Estimator) -> None:
    """Three separate clusters, and one point with the label of another, which is hard to learn and not learned."""
    data = blobs(30, seed=2)
    data.train.inputs.add_(4 * torch.eye(5)[data.train.labels])
    data.train.labels[0] = (data.train.labels[0] + 1) % 3
    scores = memorization(proxy, trainer(data, epochs=3))
    assert scores[0] == scores.max()
    assert scores[0] > scores[1:].median()


@pytest.mark.parametrize("proxy", PROXIES, ids=lambda proxy: type(proxy).__name__)
def test_regression_is_unsupported(proxy: Estimator) -> None:
    assert proxy.unsupported(problem(trainer(line(), Linear()))) == "regression has no memorization"
    assert proxy.unsupported(problem()) is None


def test_gradients_of_frozen_parameters_do_not_count() -> None:
    def make(*, frozen: bool) -> nn.Module:
        module = nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 3))
        module[0].requires_grad_(not frozen)
        return module

    scores = memorization(GradNorm(at=1e-9), trainer(blobs(), ModuleModel(lambda: make(frozen=True))))
    module = make(frozen=True)
    runs = problem(trainer(blobs(), ModuleModel(lambda: make(frozen=True)))).train(replicates=[0], checkpoints=[1])
    module.double().load_state_dict({name: p[0] for name, p in runs.parameters(step=1).items()})
    x, y = blobs().train.inputs[:1].double(), blobs().train.labels[:1]
    gradients = torch.autograd.grad(cross_entropy(module(x), y), list(module[2].parameters()))
    assert scores[0].item() == pytest.approx(sum(g.square().sum().item() for g in gradients) ** 0.5, rel=1e-9)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("proxy", [LearningTime(), Forgetting()], ids=lambda proxy: type(proxy).__name__)
def test_a_diverged_training_is_refused(proxy: Estimator) -> None:
    with pytest.raises(EstimateError, match=r"outputs are not finite after step \d+: the training diverged"):
        proxy.estimate(problem(trainer(learning_rate=1e300, momentum=0.0)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: El2n(at=0.0), r"at must be in \(0, 1\], got 0.0"),
        (lambda: GradNorm(at=1.5), r"at must be in \(0, 1\], got 1.5"),
        (lambda: Curvature(n_probes=0), "n_probes must be at least 1, got 0"),
    ],
)
def test_parameters_out_of_range_are_refused(make: object, message: str) -> None:
    assert callable(make)
    with pytest.raises(ValueError, match=message):
        make()
