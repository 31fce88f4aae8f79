"""The study `informativeness`, with its settings."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from influbench.api import Study, Subject
from influbench.errors import PlanError
from influbench.plan import Names, Plan, ProperFraction, ProperFractions
from influbench.registry import parse_selector
from influbench.studies.informativeness.record import InformativenessRecord

if TYPE_CHECKING:
    from rich.console import RenderableType


@dataclass(frozen=True)
class Informativeness(Study[InformativenessRecord]):
    """Ask whether correct difficult examples are more informative than easy ones, on the problems of PLAN.

    Groups of train points are removed and the network is retrained; it is also trained on each group alone.

    The settings are in the plan's [informativeness]. Groups hold each of `fractions` of the train points;
    `random_groups` of each size are the reference. The groups of the size `decided_at` are also chosen, at half their
    size, from `halves` random halves of the points: the variance between these shows how much an effect depends on the
    points that happen to be in a group. Every estimator in `difficulty` orders the points by its
    memorization, the mean of `difficulty_repeats` runs; `influence` is the estimator that predicts the influence of a
    group's points. With `balanced_classes`, all groups of a size have the same class counts. Claims are about groups of
    the fraction `decided_at`: supported where the difference is above `supported_above`, not supported where it is
    below `refuted_below`, in the problem's measure per removed example; all claims are tested together, at a false
    discovery rate of 5%.
    """

    record = InformativenessRecord
    default_plan: ClassVar[str] = "informativeness"

    fractions: ProperFractions = (0.02, 0.05, 0.1, 0.2)
    decided_at: ProperFraction = 0.1
    random_groups: Annotated[int, Field(ge=2)] = 10
    halves: Annotated[int, Field(ge=4, multiple_of=2)] = 10
    difficulty: Names = ("turn_over_dropout[n_masks=8]", "subset", "learning_time")
    difficulty_repeats: Annotated[int, Field(ge=1)] = 8
    influence: str = "subset[n_models=512]"
    balanced_classes: bool = True
    supported_above: float = 0.0
    refuted_below: float = 0.0

    @property
    def difficulties(self) -> tuple[str, ...]:
        """The estimators in `difficulty`, each once."""
        return tuple(dict.fromkeys(str(parse_selector(name)) for name in self.difficulty))

    def planned(self, plan: Plan) -> Plan:
        if self.decided_at not in self.fractions:
            raise PlanError(
                f"{plan.name}: [informativeness] decided_at = {self.decided_at:g} must be one of its fractions, "
                f"{', '.join(f'{fraction:g}' for fraction in self.fractions)}"
            )
        if self.refuted_below > self.supported_above:
            raise PlanError(
                f"{plan.name}: [informativeness] refuted_below = {self.refuted_below:g} must not be above "
                f"supported_above = {self.supported_above:g}"
            )
        names = dict.fromkeys([*self.difficulties, str(parse_selector(self.influence))])
        return plan.changed(estimators=tuple(names), repeats=self.difficulty_repeats + 1)

    def check(self, plan: Plan, subjects: Sequence[Subject]) -> None:
        from influbench.studies.informativeness.asking import check

        check(self, plan, subjects)

    def ask(self, plan: Plan, subjects: Sequence[Subject]) -> InformativenessRecord:
        from influbench.studies.informativeness.asking import found

        return found(self, plan, subjects)

    @classmethod
    def report(cls, record: InformativenessRecord, *, width: int) -> "Iterable[RenderableType]":
        from influbench.studies.informativeness.report import report

        return report(record, width=width)
