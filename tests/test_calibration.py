"""`python -m benchmarks.calibration` simulates the promised cases, in a small seeded version."""

import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from benchmarks.calibration.__main__ import calibration, every_case
from benchmarks.calibration.simulation import Outcome, outcome, outcomes, simulated
from influbench.results import Statistic


def simulated_outcome(name: str, n: int) -> Outcome:
    """The case of this name over the first n simulations."""
    (case,) = (case for case in every_case() if case.name == name)
    threads = torch.get_num_threads()
    try:
        found = simulated(case, 0, n)
    finally:
        torch.set_num_threads(threads)
    return outcomes(case, found)[0]


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
def test_intervals_cover_what_they_claim_to(name: str) -> None:
    coverage = simulated_outcome(name, 150).coverage
    assert coverage is not None
    assert coverage >= 0.9


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["noise lognormal(.6)", "one in five in another basin"])
def test_the_reliability_of_seeds_that_differ_is_covered(kind: str) -> None:
    found = simulated_outcome(f", 8 seeds, {kind}", 60)
    assert found.name.startswith("reliability, ")
    assert found.coverage is not None
    assert found.coverage >= 0.88
    assert found.undefined == 0


def test_of_noise_alone_nearly_no_ceiling_or_share_is_shown() -> None:
    (case,) = (case for case in every_case() if case.name == ", 4 seeds, no signal")
    threads = torch.get_num_threads()
    try:
        found = {one.name.partition(", 4 seeds")[0]: one for one in outcomes(case, simulated(case, 0, 40))}
    finally:
        torch.set_num_threads(threads)
    assert all(found[name].silent >= 39 for name in found if "ceiling" in name or "reach" in name)
    assert found["reliability"].silent == 0
    assert (found["reliability"].coverage or 0) >= 0.9


def test_an_interval_that_misses_is_counted() -> None:
    right, wrong, open_ended = (
        Statistic(value=0.5, low=0.4, high=0.6),
        Statistic(value=0.8, low=0.7, high=0.9),
        Statistic(value=0.5, low=None, high=None),
    )
    found = outcome("x", [[(right, 0.5)], [(wrong, 0.5)], [(right, 0.5), (wrong, 0.5)], [(open_ended, 0.5)]])
    assert (found.simulations, found.undefined, found.silent) == (4, 1, 0)
    nothing = outcome("x", [[(Statistic(value=None, low=None, high=None), 0.5)], [(open_ended, 0.5)]])
    assert (nothing.undefined, nothing.silent, nothing.coverage) == (2, 1, None)
    assert found.coverage == pytest.approx(1 / 3)


def test_a_plain_bootstrap_is_wider_where_the_noise_is_in_the_cells() -> None:
    linearized = simulated_outcome("independent, noise of cells, 60 x 40", 10)
    bootstrapped = simulated_outcome("two-way bootstrap, noise of cells, 60 x 40", 10)
    assert linearized.width is not None
    assert bootstrapped.width is not None
    assert 1.3 < bootstrapped.width / linearized.width < 1.9


def test_the_command_writes_its_cases_and_environment(tmp_path: Path) -> None:
    arguments = ["--only", "no case of this name", "-o", str(tmp_path / "out.json"), "--processes", "1"]
    ran = CliRunner().invoke(calibration, arguments, catch_exceptions=False)
    assert ran.exit_code == 0
    written = json.loads((tmp_path / "out.json").read_text())
    assert written["cases"] == []
    assert written["environment"]["torch"]
