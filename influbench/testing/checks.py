"""One promise of the plugin contract, and the check that a plugin keeps it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from traceback import extract_tb
from typing import Any, TypeVar
from unittest import SkipTest

from influbench.errors import EscapedError, InflubenchError, PluginError, did_you_mean, type_and_message
from influbench.isolation import isolated
from influbench.registry import ROLES, Kind, changed_on_import, installed, parse_selector
from influbench.results import CheckOutcome

T = TypeVar("T")


class ContractError(AssertionError):
    """A plugin does not keep a promise of the contract. The message says what was seen, and `remedy` how to fix it.

    Without a remedy, the promise's remedy applies.
    """

    def __init__(self, seen: str, remedy: str = "") -> None:
        super().__init__(seen)
        self.remedy = remedy


class NotApplicable(SkipTest):
    """The promise does not apply to this plugin; the message says why."""


@dataclass(frozen=True)
class Promise:
    """A promise that every plugin of a kind must keep. `test` raises ContractError or NotApplicable.

    `needs` names a promise without which this one cannot be checked: if that promise fails, this one is skipped.
    """

    name: str
    text: str
    remedy: str
    test: Callable[[Any], None]
    needs: str | None = None


@dataclass(frozen=True)
class Check:
    """A promise to be checked on one plugin. Calling it is a test: it raises, is skipped, or passes.

    An exempt check has to fail: if it passes, that is an error, so that exemptions do not outlive their reason.
    """

    promise: Promise
    subject: Any
    exempt: str | None = None
    needs: "Check | None" = None
    _known: list[CheckOutcome] = field(default_factory=list, compare=False, repr=False)  # the last outcome

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
        """The outcome of the check, as a record. Whatever the plugin does to the process is undone."""
        if blocking := self._blocking():
            status, detail, remedy = "not checked", f"because `{blocking}` fails", ""
        else:
            status, detail, remedy = self._found()
        if self.exempt is not None:
            if status == "failed":
                status, detail = "exempt", f"{self.exempt} ({detail})"
            elif status == "passed":
                status, detail = "failed", "is declared exempt and passes; remove it from `exempt`"
            remedy = ""
        self._known[:] = [
            CheckOutcome(name=self.promise.name, promise=self.promise.text, status=status, detail=detail, remedy=remedy)
        ]
        return self._known[0]

    def _blocking(self) -> str | None:
        """The name of the failed check that this one needs: without it, this one would only report the same fault."""
        if self.needs is None:
            return None
        known = self.needs._known[0] if self.needs._known else self.needs.outcome()
        return str(self.needs) if known.status == "failed" else self.needs._blocking()

    def _found(self) -> tuple[Any, str, str]:
        """The status, what was seen, and how to fix it."""
        try:
            with isolated(0):
                self.promise.test(self.subject)
        except NotApplicable as reason:
            return "not applicable", str(reason), ""
        except ContractError as error:
            return "failed", str(error), error.remedy or self.promise.remedy
        except InflubenchError as error:
            return "failed", str(error), ""
        except Exception as error:
            return "failed", f"raised {described(error)}", ""
        return "passed", "", ""


def described(error: Exception) -> str:
    """A line with the error and its place; an InflubenchError is shown by its message alone."""
    if isinstance(error, InflubenchError):
        return str(error)
    raised = error.__cause__ if isinstance(error, EscapedError) and error.__cause__ else error
    frame = extract_tb(raised.__traceback__)[-1]
    return f"{type_and_message(raised)} ({Path(frame.filename).name}, line {frame.lineno})"


def assert_unchanged(changed: Sequence[str], owner: type, what: str) -> None:
    """Raise ContractError if `what`, or the import of the plugin's class, changed the state of the process."""
    if changed:
        raise ContractError(f"{what} changed {' and '.join(changed)}")
    if on_import := changed_on_import(owner):
        raise ContractError(f"its import changed {' and '.join(on_import)}")


def instance(kind: Kind, given: str | T) -> T:
    """The plugin to check: what is given, or what its selector makes."""
    made: T = installed().create(kind, parse_selector(given)) if isinstance(given, str) else given
    assert isinstance(made, ROLES[kind].contract)
    return made


def checks_of(promises: Sequence[Promise], subject: Any, plugin: Any) -> list[Check]:
    """One check for each promise, with the plugin's exemptions. PluginError if its `exempt` does not fit."""
    exempt = _exemptions(plugin, [promise.name for promise in promises])
    checks: dict[str, Check] = {}
    for promise in promises:
        needs = None if promise.needs is None else checks[promise.needs]
        checks[promise.name] = Check(promise, subject, exempt.get(promise.name), needs)
    return list(checks.values())


def _exemptions(plugin: Any, names: list[str]) -> Mapping[str, str]:
    """The plugin's valid `exempt`: name of the check -> reason."""
    exempt, where = plugin.exempt, f"{type(plugin).__name__}.exempt"
    if not isinstance(exempt, Mapping):
        raise PluginError(f"{where} is a {type(exempt).__name__}; write {{NAME_OF_CHECK: 'the reason'}}")
    if unknown := [name for name in exempt if name not in names]:
        hint = did_you_mean(str(unknown[0]), names) or f"; there are {', '.join(names)}"
        raise PluginError(f"{where} names {unknown[0]!r}, which is not a check{hint}")
    if unreasoned := [name for name, reason in exempt.items() if not (isinstance(reason, str) and reason.strip())]:
        raise PluginError(f"{where} gives {exempt[unreasoned[0]]!r} for {unreasoned[0]!r}; write the reason as a text")
    return exempt
