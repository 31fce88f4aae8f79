"""A learning rate that falls in steps."""

from dataclasses import dataclass
from math import inf

from influbench.training.schedules.warmup import Warmed


@dataclass(frozen=True)
class Step(Warmed):
    """The recipe's learning rate, multiplied by `factor` after each share of the training in `at`.

    Like torch's `MultiStepLR`, with milestones at the nearest steps. `warmup` is the share of the training in which the
    rate first rises, in equal steps, to the full one; it ends before the first of `at`.
    """

    at: tuple[float, ...] = (0.5, 0.75)
    factor: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if not all(0 < share < 1 for share in self.at):
            raise ValueError(f"at must be shares of the training, above 0 and below 1, got {list(self.at)}")
        if not 0 < self.factor < inf:
            raise ValueError(f"factor must be above 0 and finite, got {self.factor}")
        if self.at and self.warmup > min(self.at):
            raise ValueError(f"warmup {self.warmup} must end before the rate falls at {min(self.at)}")

    def share(self, step: int, n_steps: int, *, first: int) -> float:
        """`factor` to the power of the number of falls so far."""
        return self.factor ** sum(step >= round(at * n_steps) for at in self.at)
