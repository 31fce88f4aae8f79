"""The same learning rate at every step."""

from dataclasses import dataclass

from influbench.api import Recipe, Schedule


@dataclass(frozen=True)
class Constant(Schedule):
    """The recipe's learning rate at every step."""

    def learning_rate(self, recipe: Recipe, step: int, n_steps: int) -> float:
        """The full learning rate."""
        return recipe.learning_rate
