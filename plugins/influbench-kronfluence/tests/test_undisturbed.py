"""Kronfluence's side effects on the process are undone. The contract suite checks generators and settings."""

import gc
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import torch
from influbench.testing import small_problem
from kronfluence.utils.state import State

from influbench_kronfluence.estimator import Kronfluence


def test_its_choice_of_a_device_is_put_back() -> None:
    State._reset_state()
    assert State._shared_state == {}
    Kronfluence().estimate(small_problem())
    assert State._shared_state == {}
    before = dict(State(cpu=True)._shared_state)
    Kronfluence().estimate(small_problem())
    assert before == State._shared_state


def test_no_file_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    Kronfluence().estimate(small_problem())
    assert os.listdir(tmp_path) == []


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    Kronfluence().estimate(small_problem())
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("frozen", [False, True])
def test_the_collector_has_what_it_had(frozen: bool) -> None:
    if frozen:
        gc.freeze()
    try:
        Kronfluence("identity").estimate(small_problem())
        assert bool(gc.get_freeze_count()) == frozen
    finally:
        gc.unfreeze()


def test_it_runs_without_gradients_around_it() -> None:
    expected = Kronfluence().estimate(small_problem()).influence
    with torch.no_grad():
        found = Kronfluence().estimate(small_problem()).influence
    assert found is not None
    assert expected is not None
    assert torch.equal(found, expected)


def test_registering_imports_nothing_heavy() -> None:
    code = "import sys, influbench_kronfluence; sys.exit(bool({'torch', 'kronfluence'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
