"""Problems on which leave-one-out effects are known exactly.

After enough steps, full-batch descent on squared error ends at the least-squares solution; without a train point it
ends at the solution without that point (the step is divided by the same batch size either way). Both have closed forms.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from influbench.api import Data, Problem, Split
from influbench.models.linear import Linear
from influbench.testing.problems import line, small_problem

_STEPS = 600


@dataclass(frozen=True, eq=False)
class Oracle:
    """A problem and its exact leave-one-out effects, in the form of `Estimate.influence`."""

    problem: Problem
    influence: Tensor  # (n_train, n_test) float64


def least_squares(*, seed: int = 0) -> Oracle:
    """Linear regression on 3 inputs with noisy labels."""
    return _oracle(line(seed=seed), Linear())


def group_means(*, n_groups: int = 4, seed: int = 0) -> Oracle:
    """One-hot inputs without a bias: the prediction for each group is the mean of its labels.

    Influence between different groups is 0.
    """
    generator = torch.Generator().manual_seed(seed)
    groups = torch.arange(5 * n_groups + 2 * n_groups) % n_groups
    inputs = torch.eye(n_groups, dtype=torch.float64)[groups]
    labels = groups.double() + torch.randn(len(groups), generator=generator, dtype=torch.float64)
    everything, n_train = Split(inputs, labels, torch.arange(len(groups)) + 50), 5 * n_groups
    data = Data(everything.rows(slice(0, n_train)), everything.rows(slice(n_train, len(groups))), None)
    return _oracle(data, Linear(bias=False))


def _oracle(data: Data, model: Linear) -> Oracle:
    problem = small_problem(
        data, model, epochs=_STEPS, batch_size=len(data.train), learning_rate=0.2, momentum=0.5, measure="neg_loss"
    )
    return Oracle(problem, _exact(data, bias=model.bias))


def _exact(data: Data, *, bias: bool) -> Tensor:
    """Minus the squared error on each test point with each train point, minus the same without it."""
    train, test = (_design(split, bias=bias) for split in (data.train, data.test))

    def measured(kept: Tensor) -> Tensor:
        solution = torch.linalg.lstsq(train[kept], data.train.labels[kept, None]).solution[:, 0]
        errors: Tensor = test @ solution - data.test.labels
        return -errors.square()

    everyone = torch.arange(len(data.train))
    with_all = measured(everyone)
    return torch.stack([with_all - measured(everyone[everyone != i]) for i in everyone])


def _design(split: Split, *, bias: bool) -> Tensor:
    inputs = split.inputs.flatten(1)
    return torch.cat([inputs, torch.ones_like(inputs[:, :1])], 1) if bias else inputs
