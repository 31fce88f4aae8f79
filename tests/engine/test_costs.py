"""What a cell says an estimator cost: the mean over its repeats, of those that were run."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import sleep
from typing import ClassVar

import pytest
import torch

from influbench.api import Estimate, Estimator, Problem, Spec
from influbench.engine import run
from influbench.engine.events import RunDone
from influbench.plan import Plan
from influbench.registry import Entry
from influbench.results import Cell
from tests.engine.test_run import plan
from tests.plugins import STRANGERS, registry_with
from tests.problems import stored_in


@dataclass(frozen=True)
class Costly(Estimator):
    """Trains, waits, and fails from some repeat on."""

    n_trainings: int = 2
    fails_at: int = 99
    n_calls: ClassVar[list[int]] = []

    def estimate(self, problem: Problem) -> Estimate:
        self.n_calls.append(len(self.n_calls))
        problem.train(replicates=range(self.n_trainings))
        sleep(0.1)
        if self.n_calls[-1] == self.fails_at:
            raise RuntimeError("once too often")
        return Estimate(torch.randn(len(problem.data.train), len(problem.data.test)))


@pytest.fixture(autouse=True)
def from_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Costly, "n_calls", [])


def cell_of(of: Plan, tmp_path: Path, *more: Entry) -> Cell:
    known = registry_with(Entry("estimator", Spec("costly", f"{__name__}:Costly", ""), STRANGERS), *more)
    event = list(run(of, directory=tmp_path / "out", resources=stored_in(tmp_path / "cache"), registry=known))[-1]
    assert isinstance(event, RunDone)
    (result,) = event.result.results
    return result.cells[0]


def repeated(estimators: Sequence[str], repeats: int) -> Plan:
    return plan(estimators).changed(repeats=repeats)


@pytest.mark.parametrize("repeats", [1, 3])
def test_trainings_are_those_of_one_repeat(repeats: int, tmp_path: Path) -> None:
    cell = cell_of(repeated(["costly[n_trainings=2]"], repeats), tmp_path)
    assert cell.n_repeats == repeats
    assert Costly.n_calls == list(range(repeats))
    assert cell.training_equivalents == 2


def test_seconds_are_those_of_one_repeat(tmp_path: Path) -> None:
    """Ten times a tenth of a second: a whole one, were it not divided."""
    cell = cell_of(repeated(["costly[n_trainings=1]"], 10), tmp_path)
    assert cell.seconds is not None
    assert 0.1 <= cell.seconds < 1


def test_a_repeat_that_fails_is_counted_and_those_after_it_are_not_run(tmp_path: Path) -> None:
    cell = cell_of(repeated(["costly[n_trainings=4,fails_at=1]"], 5), tmp_path)
    assert (cell.status, Costly.n_calls) == ("failed", [0, 1])
    assert cell.training_equivalents == 4
    assert cell.seconds is not None
    assert cell.seconds >= 0.1
