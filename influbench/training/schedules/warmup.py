"""The warmup that several schedules begin with."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import final

from influbench.api import Recipe, Schedule


@dataclass(frozen=True)
class Warmed(Schedule):
    """A schedule with a linear warmup over a share of the training; the last step of the warmup has the full rate."""

    warmup: float = 0.0

    def __post_init__(self) -> None:
        check_warmup(self.warmup)

    @final
    def learning_rate(self, recipe: Recipe, step: int, n_steps: int) -> float:
        """The rate of the warmup, or the full learning rate times the share that follows."""
        first = round(self.warmup * n_steps)
        if step < first:
            return recipe.learning_rate * (step + 1) / first
        return recipe.learning_rate * self.share(step, n_steps, first=first)

    @abstractmethod
    def share(self, step: int, n_steps: int, *, first: int) -> float:
        """The share of the full learning rate at a step from `first`, the first one after the warmup, on."""


def check_warmup(warmup: float) -> None:
    """ValueError if a training does not have room for this warmup."""
    if not 0 <= warmup < 1:
        raise ValueError(f"warmup must be a share of the training, at least 0 and below 1, got {warmup}")
