"""Floors."""

import torch

from influbench.estimators.baselines import Random, SameLabel
from influbench.models.linear import Linear
from tests.problems import line, problem, trainer


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
