"""`benchmarks/calibration.py` simulates what it says, in a small seeded version."""

import json
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest
import torch
from click.testing import CliRunner

from influbench.results import Statistic

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "calibration.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = spec_from_file_location("calibration", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)

    sys.modules["calibration"] = module
    spec.loader.exec_module(module)
    return module


def covered(script: ModuleType, name: str, n: int) -> float:
    """Coverage of the case of this name over the first n simulations."""
    (case,) = (case for case in script.cases() if case.name == name)
    threads = torch.get_num_threads()
    try:
        found = script.simulated(case, 0, n)
    finally:
        torch.set_num_threads(threads)
    return float(script.outcomes(case, found)[0].coverage)


@pytest.mark.parametrize(
    "name",
    [
        "independent, noise of cells, 30 x 10",
        "independent, noise of rows, columns, cells, 60 x 40",
        "correlated .5, noise of rows, 60 x 40",
        "memorization, correlated 0.9, 200",
        "all pairs of six, noise of cells, 60 x 40",
    ],
)
def test_intervals_cover_what_they_claim_to(script: ModuleType, name: str) -> None:
    assert covered(script, name, 150) >= 0.9


def test_an_interval_that_misses_is_counted(script: ModuleType) -> None:
    right, wrong, open_ended = (
        Statistic(value=0.5, low=0.4, high=0.6),
        Statistic(value=0.8, low=0.7, high=0.9),
        Statistic(value=0.5, low=None, high=None),
    )
    found = script.outcome("x", [[(right, 0.5)], [(wrong, 0.5)], [(right, 0.5), (wrong, 0.5)], [(open_ended, 0.5)]])
    assert (found.simulations, found.undefined) == (4, 1)
    assert found.coverage == pytest.approx(1 / 3)


def test_a_plain_bootstrap_is_wider_where_the_noise_is_in_the_cells(script: ModuleType) -> None:
    cases = {case.name: case for case in script.cases()}
    threads = torch.get_num_threads()
    try:
        widths = [
            script.outcomes(cases[name], script.simulated(cases[name], 0, 10))[0].width
            for name in ("independent, noise of cells, 60 x 40", "two-way bootstrap, noise of cells, 60 x 40")
        ]
    finally:
        torch.set_num_threads(threads)
    assert 1.3 < widths[1] / widths[0] < 1.9


def test_the_command_writes_its_cases_and_environment(script: ModuleType, tmp_path: Path) -> None:
    arguments = ["--only", "no case of this name", "-o", str(tmp_path / "out.json"), "--processes", "1"]
    ran = CliRunner().invoke(script.calibration, arguments, catch_exceptions=False)
    assert ran.exit_code == 0
    written = json.loads((tmp_path / "out.json").read_text())
    assert written["cases"] == []
    assert written["environment"]["torch"]
