"""One promise of the plugin contract, and how keeping it is found out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from traceback import extract_tb
from typing import Any
from unittest import SkipTest

from influbench.errors import EscapedError, did_you_mean, told
from influbench.isolation import isolated
from influbench.registry import changed_on_import
from influbench.results import CheckOutcome


class ContractError(AssertionError):
    """A plugin does not keep a promise of the contract. The message says what was seen, and how to mend it."""


class NotApplicable(SkipTest):
    """The promise does not concern this plugin; the message says why."""


@dataclass(frozen=True)
class Promise:
    """What is checked of every plugin of a kind. `test` raises ContractError, or NotApplicable."""

    name: str
    text: str
    remedy: str
    test: Callable[[Any], None]


@dataclass(frozen=True)
class Check:
    """A promise, to be checked on one plugin. Calling it is a test: it raises, is skipped, or passes.

    An exempt check has to fail: one that passes is an error, so that exemptions do not outlive their reason.
    """

    promise: Promise
    subject: Any
    exempt: str | None = None

    def __str__(self) -> str:
        return self.promise.name

    def __call__(self) -> None:
        __tracebackhide__ = True
        outcome = self.outcome()
        if outcome.status == "failed":
            raise ContractError(f"{outcome.detail}; {outcome.remedy}" if outcome.remedy else outcome.detail)
        if outcome.status != "passed":
            raise SkipTest(outcome.detail)

    def outcome(self) -> CheckOutcome:
        """What came of it, as a record. Whatever the plugin does to the process is undone."""
        status, detail, remedy = self._found()
        if self.exempt is not None:
            if status == "failed":
                status, detail = "exempt", f"{self.exempt} ({detail})"
            elif status == "passed":
                status, detail = "failed", "is declared exempt and passes; take it out of `exempt`"
            remedy = ""
        return CheckOutcome(
            name=self.promise.name, promise=self.promise.text, status=status, detail=detail, remedy=remedy
        )

    def _found(self) -> tuple[Any, str, str]:
        """Status, what was seen, and how to mend it."""
        try:
            with isolated(0):
                self.promise.test(self.subject)
        except NotApplicable as reason:
            return "not applicable", str(reason), ""
        except ContractError as error:
            return "failed", str(error), self.promise.remedy
        except Exception as error:
            raised = error.__cause__ if isinstance(error, EscapedError) and error.__cause__ else error
            frame = extract_tb(raised.__traceback__)[-1]
            where = f"{Path(frame.filename).name}, line {frame.lineno}"
            return "failed", f"raised {told(raised)} ({where})", ""
        return "passed", "", ""


def assert_unchanged(changed: Sequence[str], owner: type, what: str) -> None:
    """ContractError if `what` has changed some of the process, or if importing the plugin's class has."""
    if changed:
        raise ContractError(f"{what} changed {' and '.join(changed)}")
    if on_import := changed_on_import(owner):
        raise ContractError(f"its import changed {' and '.join(on_import)}")


def checks_of(promises: Sequence[Promise], subject: Any, exempt: Mapping[str, str]) -> list[Check]:
    """One check for each promise. ContractError where an exemption names none of them."""
    names = [promise.name for promise in promises]
    if unknown := [name for name in exempt if name not in names]:
        hint = did_you_mean(unknown[0], names) or f"; there are {', '.join(names)}"
        raise ContractError(f"`exempt` names {unknown[0]!r}, which is no check{hint}")
    return [Check(promise, subject, exempt.get(promise.name)) for promise in promises]
