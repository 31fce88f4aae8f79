"""`python -m benchmarks.calibration` simulates the promised cases, in a small seeded version."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from torch import Generator

from benchmarks.calibration.__main__ import calibration, every_case
from benchmarks.calibration.resampling import curves, known
from benchmarks.calibration.simulation import Outcome, outcome, outcomes, simulated
from influbench.results import Statistic
from influbench.studies.dynamics.study import Dynamics


def simulated_outcome(name: str, n: int) -> Outcome:
    """The case of this name over the first n simulations."""
    (case,) = (case for case in every_case() if case.name == name)
    return outcomes(case, simulated(case, 0, n))[0]


@pytest.mark.parametrize(
    "name",
    [
        "independent, noise of cells, 30 x 10",
        "independent, noise of rows, columns, cells, 60 x 40",
        "correlated .5, noise of rows, 60 x 40",
        "memorization, correlated 0.9, 200",
        "all pairs of six, noise of cells, 60 x 40",
        ", 4 data sets, sd 0",
        ", 6 data sets, sd 0.15",
        "resampled mean, noise of seeds, 4 seeds, 30 examples",
        "resampled mean, noise of both and cells, 8 seeds, 30 examples",
        "pairs of 6 estimators, 5 test points, own effects",
        "pairs of 6 estimators, 10 test points, lognormal",
        "AUROC 0.961, 30 of 300",
        "AUROC 0.993, 10 of 100, with ties",
        "AUROC, 5% of positives like negatives, 20 of 50",
        "AUROC 0.993 minus AUROC 0.9, 10 of 100",
        "top 5%, correlated 0.99, 100 x 1",
        "signs 0.99, 15 clear of 100, 10 test points",
        "4 draws that differ in quality, by .03, 60 x 40",
        "one seed of the truth, 4 seeds, seeds that differ, 60 x 40",
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
    found = {one.name.partition(", 4 seeds")[0]: one for one in outcomes(case, simulated(case, 0, 40))}
    assert all(found[name].silent >= 39 for name in found if "ceiling" in name or "reach" in name)
    assert found["reliability"].silent == 0
    assert (found["reliability"].coverage or 0) >= 0.9


def test_equal_estimators_rarely_have_different_letters_on_other_data_sets() -> None:
    """The family-wise error of all pairs, where an estimator varies between data sets by more than its noise."""
    found = simulated_outcome("five equal estimators elsewhere, 4 data sets, sd 0.15", 60)
    assert found.undefined == 0
    assert found.coverage >= 0.95


@pytest.mark.parametrize(
    "name",
    [
        ", wrong 1.5 times as late, 4 seeds, 30 examples",
        ", variance ratio 6.6, noise 0.1, 8 seeds, 300 points",
    ],
)
def test_intervals_of_the_studies_cover_what_they_claim_to(name: str) -> None:
    (case,) = (case for case in every_case() if case.name == name)
    for one in outcomes(case, simulated(case, 0, 100)):
        assert one.coverage >= 0.9, one.name


def test_at_the_threshold_what_is_learned_at_once_is_hardly_ever_supported() -> None:
    """Half of the overlap of equal curves; these themselves always have more, and earlier versions asked for less."""
    low, high = 1.0, 4.0
    for _ in range(30):
        ratio = (low + high) / 2
        low, high = (ratio, high) if known(ratio)[0] > Dynamics().together_above else (low, ratio)
    for of, fewest, most in ((1.0, 60, 60), (ratio, 0, 3)):
        supported = 0
        for number in range(60):
            found, _ = curves(Generator().manual_seed(number), n_seeds=8, n=30, ratio=of)[0]
            supported += found.low is not None and found.low > Dynamics().together_above
        assert fewest <= supported <= most, of


def test_an_area_with_fewer_than_ten_positives_is_undefined() -> None:
    found = simulated_outcome("AUROC 0.961, about 10 of 100", 60)
    assert 10 < found.undefined < 50  # a binomial number with the mean 10 is below 10 in 45%
    assert found.coverage >= 0.9


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
