"""Repeats of an estimator: nothing that only some of them say is lost."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest
import torch

from influbench.api import Estimate, Estimator, Problem, Spec
from influbench.engine import run
from influbench.engine.events import RunDone
from influbench.registry import Entry
from influbench.results import Cell, Result
from influbench.store.cache import Cache
from tests.engine.test_run import plan
from tests.plugins import STRANGERS, registry_with


@dataclass(frozen=True)
class Changing(Estimator):
    """Notes a sentence of its own in every repeat, beside one in common; leaves out quantities in some of them."""

    without_memorization: tuple[int, ...] = ()
    without_influence: tuple[int, ...] = ()
    seeds: ClassVar[list[int]] = []  # of the repeats so far

    def estimate(self, problem: Problem) -> Estimate:
        self.seeds.append(problem.seed)
        repeat = len(self.seeds) - 1
        n_train, n_test = len(problem.data.train), len(problem.data.test)
        return Estimate(
            influence=None if repeat in self.without_influence else torch.randn(n_train, n_test),
            memorization=None if repeat in self.without_memorization else torch.randn(n_train),
            notes=("the same each time", f"did not converge in repeat {repeat}"),
        )


@pytest.fixture(autouse=True)
def from_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Changing, "seeds", [])


def cells_of(name: str, tmp_path: Path, *, repeats: int = 3, others: Sequence[str] = ()) -> dict[str, Cell]:
    """The cells of an estimator, by what they are about."""
    known = registry_with(Entry("estimator", Spec("changing", f"{__name__}:Changing", ""), STRANGERS))
    of = plan([name, *others]).changed(repeats=repeats)
    event = list(run(of, directory=tmp_path / "out", cache=Cache(tmp_path / "cache"), registry=known))[-1]
    assert isinstance(event, RunDone)
    assert isinstance(event.result, Result)
    return {cell.quantity: cell for cell in event.result.cells if cell.name == name}


def test_the_notes_of_all_repeats_are_in_the_cell_each_once(tmp_path: Path) -> None:
    cells = cells_of("changing", tmp_path)
    assert cells.keys() == {"influence", "memorization"}
    assert len(set(Changing.seeds)) == 3
    for cell in cells.values():
        assert cell.notes == (
            "the same each time",
            "did not converge in repeat 0",
            "did not converge in repeat 1",
            "did not converge in repeat 2",
        )


@pytest.mark.parametrize("without", [(0,), (1,), (2,), (0, 1)])
def test_memorization_in_some_repeats_only_is_a_failed_cell(without: tuple[int, ...], tmp_path: Path) -> None:
    cells = cells_of(f"changing[without_memorization={list(without)}]", tmp_path)
    assert cells.keys() == {"influence", "memorization"}
    failed = cells["memorization"]
    assert failed.status == "failed"
    assert failed.reason is not None
    assert "memorization" in failed.reason
    assert f"{3 - len(without)} of 3 repeats" in failed.reason
    assert cells["influence"].status == "ok"
    assert cells["influence"].n_repeats == 3


def test_influence_in_some_repeats_only_is_a_failed_cell_and_the_others_finish(tmp_path: Path) -> None:
    cells = cells_of("changing[without_influence=[1]]", tmp_path, others=["random"])
    assert cells.keys() == {"influence", "memorization"}
    assert cells["influence"].status == "failed"
    assert "influence" in str(cells["influence"].reason)
    assert "2 of 3 repeats" in str(cells["influence"].reason)
    assert cells["memorization"].status == "ok"


def test_a_quantity_in_no_repeat_has_no_cell(tmp_path: Path) -> None:
    assert cells_of("changing[without_memorization=[0,1,2]]", tmp_path).keys() == {"influence"}
