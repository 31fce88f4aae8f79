"""A learning rate that rises and falls once."""

from dataclasses import dataclass
from math import cos, inf, pi

from influbench.api import Recipe, Schedule
from influbench.training.schedules.warmup import check_warmup


@dataclass(frozen=True)
class OneCycle(Schedule):
    """Up to the recipe's learning rate and down to nearly 0, each along half a cosine, like torch's `OneCycleLR`.

    It begins at the full rate divided by `div_factor`, reaches the full rate after the share `warmup` of the training
    (torch's `pct_start`), and ends at its beginning divided by `final_div_factor`. Momentum stays the same throughout.
    """

    warmup: float = 0.3
    div_factor: float = 25.0
    final_div_factor: float = 1e4

    def __post_init__(self) -> None:
        check_warmup(self.warmup)
        for name, value in (("div_factor", self.div_factor), ("final_div_factor", self.final_div_factor)):
            if not 0 < value < inf:
                raise ValueError(f"{name} must be above 0 and finite, got {value}")

    def learning_rate(self, recipe: Recipe, step: int, n_steps: int) -> float:
        """A point of the half of the cycle in which the step lies."""
        full = recipe.learning_rate
        start = full / self.div_factor
        peak, last = self.warmup * n_steps - 1, n_steps - 1  # the peak lies between steps
        if step <= peak and peak > 0:
            return _between(start, full, step / peak)
        return _between(full, start / self.final_div_factor, (step - peak) / (last - peak))


def _between(start: float, end: float, share: float) -> float:
    """The point of half a cosine from start to end after this share of the way."""
    return end + (start - end) * (1 + cos(pi * share)) / 2
