"""A learning rate that falls along half a cosine."""

from dataclasses import dataclass
from math import cos, pi

from influbench.training.schedules.warmup import Warmed


@dataclass(frozen=True)
class Cosine(Warmed):
    """From the recipe's learning rate toward 0 after the last step, like torch's `CosineAnnealingLR`.

    `warmup` is the share of the training in which the rate first rises, in equal steps, to the full one. The rate falls
    toward `floor`, a share of the full rate.
    """

    floor: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.floor <= 1:
            raise ValueError(f"floor must be a share of the learning rate, from 0 to 1, got {self.floor}")

    def share(self, step: int, n_steps: int, *, first: int) -> float:
        """`floor + (1 - floor) (1 + cos(pi t)) / 2` at the share t of the steps after the warmup."""
        cosine = (1 + cos(pi * (step - first) / (n_steps - first))) / 2
        return self.floor + (1 - self.floor) * cosine
