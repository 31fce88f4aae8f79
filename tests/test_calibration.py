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
        "4 draws that differ in quality, by .03, 60 x 40",
        "one seed of the truth, 4 seeds, seeds that differ, 60 x 40",
    ],
)
def test_intervals_cover_what_they_claim_to(name: str) -> None:
    assert simulated_outcome(name, 150).coverage >= 0.9


def test_draws_of_one_estimator_are_rarely_told_apart() -> None:
    """Six times four draws, in a family of fifteen pairs at once."""
    name = "pairs of one estimator, 4 draws that differ in quality, by .03, 60 x 40"
    assert simulated_outcome(name, 30).coverage > 0.9


def test_an_interval_that_misses_is_counted() -> None:
    right, wrong, open_ended = (
        Statistic(value=0.5, low=0.4, high=0.6),
        Statistic(value=0.8, low=0.7, high=0.9),
        Statistic(value=0.5, low=None, high=None),
    )
    found = outcome("x", [[(right, 0.5)], [(wrong, 0.5)], [(right, 0.5), (wrong, 0.5)], [(open_ended, 0.5)]])
    assert (found.simulations, found.undefined) == (4, 1)
    assert found.coverage == pytest.approx(1 / 3)


def test_a_plain_bootstrap_is_wider_where_the_noise_is_in_the_cells() -> None:
    linearized = simulated_outcome("independent, noise of cells, 60 x 40", 10)
    bootstrapped = simulated_outcome("two-way bootstrap, noise of cells, 60 x 40", 10)
    assert 1.3 < bootstrapped.width / linearized.width < 1.9


def test_the_command_writes_its_cases_and_environment(tmp_path: Path) -> None:
    arguments = ["--only", "no case of this name", "-o", str(tmp_path / "out.json"), "--processes", "1"]
    ran = CliRunner().invoke(calibration, arguments, catch_exceptions=False)
    assert ran.exit_code == 0
    written = json.loads((tmp_path / "out.json").read_text())
    assert written["cases"] == []
    assert written["environment"]["torch"]
