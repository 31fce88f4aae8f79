"""The random bits of each example in each step of a training, from which dropout draws.

They are a hash of the training's seed, the step, and the example's id. Two trainings of one seed draw the
same for an example, whichever others they leave out: pairing by common random numbers. Trainings that are not paired
draw from other bits as soon as their weights differ, as trainings do that draw from a generator.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import torch
from torch import Tensor

from influbench.seeds import derive, hash_integers


@dataclass(frozen=True, eq=False)
class Draws:
    """The random bits of one batch of a stack of trainings."""

    seeds: Sequence[int]  # of each training, or a single one if all share it
    ids: Tensor  # (1 or n_replicas, n)
    step: int
    own: Tensor | None = None  # (n_replicas, n_train) the weights of each training, where trainings are not paired

    def of_step(self) -> Tensor:
        """Bits of each example in this step, (1 or n_replicas, n)."""
        streams = [derive(seed, "dropout", self.step) for seed in self.seeds]
        if self.own is not None:
            n_replicas = len(self.own)
            seeds = streams * n_replicas if len(streams) == 1 else streams
            streams = [derive(seed, _digest(weights)) for seed, weights in zip(seeds, self.own, strict=True)]
        return hash_integers(torch.tensor(streams, device=self.ids.device)[:, None], self.ids)


def _digest(weights: Tensor) -> str:
    return blake2b(weights.double().cpu().numpy().tobytes(), digest_size=8).hexdigest()
