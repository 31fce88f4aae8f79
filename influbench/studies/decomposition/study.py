"""The study `decomposition`, with its command-line options."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from influbench.api import Option, Study, Subject
from influbench.plan import Plan
from influbench.studies.decomposition.record import DecompositionRecord

if TYPE_CHECKING:
    from rich.console import RenderableType


@dataclass(frozen=True)
class Decomposition(Study[DecompositionRecord]):
    """Split turn-over dropout's scores into signal, mask noise and leakage, on the problems of PLAN.

    Each mask's network is retrained once without each train point. All estimators of the plan must be turn-over
    dropouts.
    """

    record = DecompositionRecord
    default_plan: ClassVar[str] = "decomposition"
    options: ClassVar[Sequence[Option]] = (
        Option(
            ("-e", "--estimator"),
            replaces="estimators",
            metavar="turn_over_dropout[PARAMETER=VALUE]",
            help="Split the scores of this estimator instead of the plan's; repeatable.",
            repeatable=True,
        ),
    )

    def check(self, plan: Plan, subjects: Sequence[Subject]) -> None:
        from influbench.studies.decomposition.asking import check

        check(subjects)

    def ask(self, plan: Plan, subjects: Sequence[Subject]) -> DecompositionRecord:
        from influbench.studies.decomposition.asking import found

        return found(plan, subjects)

    @classmethod
    def report(cls, record: DecompositionRecord, *, width: int) -> "Iterable[RenderableType]":
        from influbench.studies.decomposition.report import report

        return report(record)
