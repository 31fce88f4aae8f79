"""Baselines: an estimator must beat these before its scores say anything about a network."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch.nn.functional import normalize

from influbench.api import Estimate, Estimator, Problem
from influbench.seeds import derive


@dataclass(frozen=True)
class Random(Estimator):
    """Gaussian noise for influence and memorization. It has no estimand and no cost."""

    exempt: ClassVar[Mapping[str, str]] = {
        "permutation": "draws noise by row",
        "columns": "draws noise by column",
    }

    def estimate(self, problem: Problem) -> Estimate:
        """Independent standard normal scores, drawn from the estimator's seed."""
        generator = torch.Generator().manual_seed(derive(problem.seed, "noise"))
        n_train, n_test = len(problem.data.train), len(problem.data.test)
        return Estimate(
            influence=torch.randn(n_train, n_test, generator=generator),
            memorization=None if problem.data.n_classes is None else torch.randn(n_train, generator=generator),
        )


@dataclass(frozen=True)
class TrainLoss(Estimator):
    """The loss of each train point after one ordinary training: points that are hard to fit are taken to be memorized.

    It estimates only memorization, and only its order. Practitioners look at it first to find wrong labels. Cost: one
    training.
    """

    predicts = ("memorization",)
    scores_duplicates_alike = True

    def unsupported(self, problem: Problem) -> str | None:
        """Needs classes, because regression does not have memorization."""
        return "regression has no memorization" if problem.data.n_classes is None else None

    def estimate(self, problem: Problem) -> Estimate:
        """Memorization scores only."""
        runs = problem.train(replicates=[0])
        return Estimate(memorization=-runs.measured(problem.data.train, measure="neg_loss")[0])


@dataclass(frozen=True)
class SameLabel(Estimator):
    """1 if the train point's label, as used in training, equals the test point's label, else 0. Costs nothing.

    The rule "examples of a class help that class" alone correlates with the truth over all train points. Within a class
    these scores are constant, and their correlation is undefined.
    """

    draws = False
    predicts = ("influence",)
    scores_duplicates_alike = True

    def unsupported(self, problem: Problem) -> str | None:
        """Needs classes."""
        return "regression has no classes to compare" if problem.data.n_classes is None else None

    def estimate(self, problem: Problem) -> Estimate:
        """Influence of 1 or 0 only."""
        same = problem.data.train.labels[:, None] == problem.data.test.labels[None]
        return Estimate(influence=same.to(problem.dtype))


@dataclass(frozen=True)
class InputSimilarity(Estimator):
    """Cosine of the angle between the flattened inputs of train and test point. Costs nothing.

    It uses neither labels nor a network: a similar input counts as help whatever its label. If inputs are nonnegative,
    like pixels, scores are nonnegative as well; an input of zeros scores 0. Unlike `same_label`, it orders the points
    within a class.
    """

    draws = False
    predicts = ("influence",)
    scores_duplicates_alike = True

    def estimate(self, problem: Problem) -> Estimate:
        """Influence from -1 to 1 only."""
        train, test = (
            normalize(split.inputs.flatten(1).double(), dim=1) for split in (problem.data.train, problem.data.test)
        )
        return Estimate(influence=train @ test.T)
