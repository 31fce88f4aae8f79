"""A straight line."""

from dataclasses import dataclass

from influbench import Recipe, Schedule


@dataclass(frozen=True)
class Linear(Schedule):
    """From the recipe's learning rate at the first step to `last` of it at the last one."""

    last: float = 0.1

    def learning_rate(self, recipe: Recipe, step: int, n_steps: int) -> float:
        done = step / max(1, n_steps - 1)
        return recipe.learning_rate * (1 - done * (1 - self.last))
