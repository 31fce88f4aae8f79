"""Problems with known leave-one-out effects, from a closed form or from measurements.

Each comes with its influence (n_train, n_test) and its memorization (n_train, 1).
"""

from functools import cache

import torch
from torch import Tensor

from influbench.problem import TrainingProblem
from influbench.seeds import derive
from influbench.testing.oracles import least_squares
from influbench.testing.problems import blobs, problem_of, small_trainer
from influbench.training.loop import Trainer
from influbench.truth.leave_one_out import leave_out

_SEEDS = 4  # few, so that the check is quick; it only has to find opposite signs


def effects_on_regression() -> tuple[TrainingProblem, Tensor, None]:
    """Least squares with its exact influence; regression does not have memorization."""
    oracle = least_squares()
    assert isinstance(oracle.problem, TrainingProblem)
    return oracle.problem, oracle.influence, None


def effects_on_classes() -> tuple[TrainingProblem, Tensor, Tensor]:
    """Clusters with the influence and memorization measured on them."""
    return problem_of(_clusters()), *_measured()


@cache
def _measured() -> tuple[Tensor, Tensor]:
    """Leave-one-out effects on clusters, measured over a few seeds: (n_train, n_test) and (n_train, 1)."""
    trainer = _clusters()
    of_seeds = [leave_out(trainer, derive(0, "truth", seed), range(30)) for seed in range(_SEEDS)]
    influence = torch.stack([effects[f"influence/neg_loss@{trainer.n_steps}"] for effects in of_seeds]).mean(0)
    own = torch.stack([effects[f"own/p_correct@{trainer.n_steps}"] for effects in of_seeds]).mean(0)
    return influence, own[:, None]


def _clusters() -> Trainer:
    return small_trainer(blobs(30, 20), epochs=10)
