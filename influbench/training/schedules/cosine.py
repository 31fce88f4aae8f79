"""A learning rate that falls along half a cosine."""

from dataclasses import dataclass
from math import cos, pi

from influbench.api import Recipe, Schedule


@dataclass(frozen=True)
class Cosine(Schedule):
    """From the recipe's learning rate at the first step toward 0 after the last, like torch's `CosineAnnealingLR`."""

    def learning_rate(self, recipe: Recipe, step: int, n_steps: int) -> float:
        """The full learning rate times `(1 + cos(pi step / n_steps)) / 2`."""
        return recipe.learning_rate * (1 + cos(pi * step / n_steps)) / 2
