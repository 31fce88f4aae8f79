"""A second truth: what happens when the network is trained on a random subset.

The linear datamodeling score (Park et al. 2023, arXiv 2303.14186) asks how well the sum of influence over a subset
ranks the measures of networks trained on such subsets. They are banks of role "truth": no estimator is given them.
Every subset is trained with two seeds, so that this truth has a reliability, too.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from influbench.api import Bank
from influbench.banks import SubsetBank
from influbench.seeds import derive
from influbench.training.loop import Trainer

N_SEEDS = 2


@dataclass(frozen=True, eq=False)
class SubsetEffects:
    """Measures on the test points after training on random subsets."""

    weights: Tensor  # (n_subsets, n_train) 1 where the point is in the subset
    measured: Tensor  # (n_seeds, n_subsets, n_test)
    ratio: float

    @property
    def n_subsets(self) -> int:
        return len(self.weights)

    @property
    def n_seeds(self) -> int:
        return len(self.measured)

    def predictions(self, influence: Tensor) -> Tensor:
        """What scores (n_train, n_test) foretell: their sum over each subset, (n_subsets, n_test)."""
        return self.weights @ influence.double()


def subset_banks(trainer: Trainer, root_seed: int, *, n_subsets: int, ratio: float) -> list[SubsetBank]:
    """The banks of networks that estimators are judged by: the same subsets, trained with seeds of each bank's own."""
    seed = derive(root_seed, "bank", "truth")
    return [SubsetBank(trainer, seed, n_models=n_subsets, ratio=ratio, repeat=repeat) for repeat in range(N_SEEDS)]


def subset_effects(banks: Sequence[Bank], *, ratio: float) -> SubsetEffects:
    """What the trained banks answer."""
    return SubsetEffects(banks[0].weights.double(), torch.stack([bank.on_test for bank in banks]), ratio)
