"""The baselines."""

from math import hypot

import pytest
import torch

from influbench.api import Data, Split
from influbench.estimators.baselines import InputSimilarity, Random, SameLabel, TrainLoss
from influbench.models.linear import Linear
from tests.problems import blobs, line, problem, trainer


def test_same_label_compares_labels() -> None:
    data = problem().data
    scores = SameLabel().estimate(problem()).influence
    assert scores is not None
    for i in range(20):
        for j in range(8):
            assert scores[i, j] == (data.train.labels[i] == data.test.labels[j])


def test_same_label_needs_classes() -> None:
    assert SameLabel().unsupported(problem(trainer(line(), Linear()))) == "regression has no classes to compare"


def test_random_is_the_same_for_the_same_seed_only() -> None:
    one, same, other = (Random().estimate(problem(seed=seed)) for seed in (1, 1, 2))
    assert one.influence is not None
    assert one.memorization is not None
    assert torch.equal(one.influence, same.influence)  # type: ignore[arg-type]
    assert not torch.equal(one.influence, other.influence)  # type: ignore[arg-type]
    assert Random().estimate(problem(trainer(line(), Linear()))).memorization is None


def test_train_loss_is_the_loss_after_an_ordinary_training() -> None:
    view = problem()
    found = TrainLoss().estimate(view)
    assert found.influence is None
    parameters = {name: p[0] for name, p in view.train(replicates=[0]).parameters().items()}
    train = view.data.train
    expected = torch.nn.functional.cross_entropy(view.forward(parameters, train.inputs), train.labels, reduction="none")
    assert found.memorization is not None
    torch.testing.assert_close(found.memorization, expected)
    assert TrainLoss().unsupported(problem(trainer(line()))) == "regression has no memorization"


def test_input_similarity_is_the_cosine_of_flattened_inputs() -> None:
    data = blobs()
    images = Data(
        Split(torch.randn(20, 1, 2, 3), data.train.labels, data.train.ids),
        Split(torch.randn(8, 1, 2, 3), data.test.labels, data.test.ids),
        3,
    )
    images.train.inputs[4] = 0
    estimate = InputSimilarity().estimate(problem(trainer(images)))
    assert estimate.memorization is None
    assert estimate.influence is not None
    for i in range(20):
        for j in range(8):
            x, y = images.train.inputs[i].flatten().tolist(), images.test.inputs[j].flatten().tolist()
            dot = sum(a * b for a, b in zip(x, y, strict=True))
            expected = dot / (hypot(*x) * hypot(*y)) if i != 4 else 0.0
            assert estimate.influence[i, j].item() == pytest.approx(expected, abs=1e-12)


def test_input_similarity_of_a_point_with_itself_is_one_whatever_its_label() -> None:
    data = line()
    copied = Data(data.train, Split(data.train.inputs[:6] * 3, -data.train.labels[:6], data.test.ids), None)
    influence = InputSimilarity().estimate(problem(trainer(copied, Linear()))).influence
    assert influence is not None
    torch.testing.assert_close(influence[:6].diagonal(), torch.ones(6, dtype=torch.float64))
