"""The same learning rate at every step."""

from dataclasses import dataclass

from influbench.training.schedules.warmup import Warmed


@dataclass(frozen=True)
class Constant(Warmed):
    """The recipe's learning rate at every step, after a linear warmup over the share `warmup` of the training."""

    def share(self, step: int, n_steps: int, *, first: int) -> float:
        """All of it."""
        return 1.0
