"""The study `dynamics`, with its settings and command-line options."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from influbench.api import Option, Study, Subject
from influbench.errors import UsageError
from influbench.plan import Fraction, Plan
from influbench.studies.dynamics.record import DynamicsRecord

if TYPE_CHECKING:
    from rich.console import RenderableType


@dataclass(frozen=True)
class Dynamics(Study[DynamicsRecord]):
    """Show when true and random labels, easy and hard points, are learned and memorized, on the problems of PLAN.

    The settings are in the plan's [dynamics]. `estimator` is a turn-over dropout, whose networks are evaluated after
    the `[truth] steps`, or after about `checkpoints` steps. Difficulty is measured in `difficulty_trainings` other,
    ordinary trainings; it divides the points into up to `quantiles` groups of at least `fewest` points. Times run from
    the share `tail` of a group's own gain to 1 - `tail`. One group is learned at once with another if the share of its
    gain made during that time is above `together_above`, and apart from it if the share is below `apart_below`. Equal
    curves have the share 1 - 2 `tail`, .8 by default, and `together_above` is half of that by default.
    """

    record = DynamicsRecord
    default_plan: ClassVar[str] = "dynamics"
    options: ClassVar[Sequence[Option]] = (
        Option(
            ("-e", "--estimator"),
            replaces="estimator",
            metavar="turn_over_dropout[PARAMETER=VALUE]",
            help="Evaluate the networks of this estimator instead of the plan's.",
        ),
    )

    estimator: str = "turn_over_dropout[n_masks=64,p=0.5,antithetic=true]"
    checkpoints: Annotated[int, Field(ge=2)] = 20
    leave_one_out: bool = True
    difficulty: Literal["learning_time", "subset"] = "learning_time"
    difficulty_trainings: Annotated[int, Field(ge=1)] = 32
    quantiles: Annotated[int, Field(ge=2)] = 10
    fewest: Annotated[int, Field(ge=2)] = 20
    resamples: Annotated[int, Field(ge=100)] = 1000
    tail: Annotated[float, Field(gt=0, lt=0.5)] = 0.1
    apart_below: Fraction = 0.05
    together_above: Fraction = 0.4
    initial_epochs: Annotated[float, Field(gt=0)] = 1.0

    @property
    def overlap_of_equal_curves(self) -> float:
        """The overlap of a curve with itself: the share of its gain between the two ends of its own rise."""
        return 1 - 2 * self.tail

    def planned(self, plan: Plan) -> Plan:
        if self.apart_below > self.together_above:
            raise UsageError(
                f"[dynamics] apart_below = {self.apart_below:g} must not be above together_above = "
                f"{self.together_above:g}"
            )
        if self.together_above >= self.overlap_of_equal_curves:
            raise UsageError(
                f"[dynamics] together_above = {self.together_above:g} must be below "
                f"{self.overlap_of_equal_curves:g}, which is what equal curves give with tail = {self.tail:g}"
            )
        return plan.changed(estimators=(self.estimator,))

    def check(self, plan: Plan, subjects: Sequence[Subject]) -> None:
        from influbench.studies.dynamics.asking import check

        check(self, plan, subjects)

    def ask(self, plan: Plan, subjects: Sequence[Subject]) -> DynamicsRecord:
        from influbench.studies.dynamics.asking import found

        return found(self, plan, subjects)

    @classmethod
    def report(cls, record: DynamicsRecord, *, width: int) -> "Iterable[RenderableType]":
        from influbench.studies.dynamics.report import report

        return report(record, width=width)
