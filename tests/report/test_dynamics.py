"""The study of dynamics as text: golden at 80 and at 160 columns, without colour."""

from pathlib import Path

import pytest

from influbench.report.curves import Chart, drawn
from influbench.results import UNKNOWN, Statistic
from influbench.studies.dynamics.record import DynamicsRecord
from influbench.studies.running import print_study
from tests.report.printing import text_of

GOLDEN = Path(__file__).parent / "golden"
STUDY = DynamicsRecord.model_validate_json((GOLDEN / "dynamics.json").read_text())


def printed(study: DynamicsRecord, width: int) -> str:
    return text_of(lambda console: print_study(console, study), width)


@pytest.mark.parametrize("width", [80, 160])
def test_the_study_reads_as_it_did(width: int) -> None:
    text = printed(STUDY, width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    assert text == (GOLDEN / f"dynamics-{width}.txt").read_text()


def test_the_widest_figures_fit_into_80_columns() -> None:
    widest = {"value": 1234.0, "low": 1111.0, "high": 1999.0}
    times = dict.fromkeys(("onset", "half_memorised", "half_seen", "half_left_out"), Statistic(**widest))
    update = {**times, "n": 12345, "final_memorization": Statistic(value=-0.11, low=-0.12, high=-0.1)}
    problem = STUDY.problems[0]
    groups = {
        name: tuple(group.model_copy(update=update) for group in getattr(problem, name))
        for name in ("by_label", "by_difficulty")
    }
    text = printed(STUDY.model_copy(update={"problems": (problem.model_copy(update=groups),)}), 80)
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    assert text.count("[1.1k, 2.0k]") == 8


def test_every_claim_has_a_line_with_its_verdict() -> None:
    text = printed(STUDY, 80)
    for claim in STUDY.claims:
        line = next(line for line in text.splitlines() if line.startswith(f"  {claim.statement}"))
        assert line.endswith(f"  {claim.verdict}")
    undecided = STUDY.claims[0].model_copy(update={"value": None, "low": None, "high": None, "verdict": "undecided"})
    line = next(
        line
        for line in printed(STUDY.model_copy(update={"claims": (undecided,)}), 80).splitlines()
        if line.startswith(f"  {undecided.statement}")
    )
    assert line.split()[-2:] == ["-", "undecided"]


def test_what_was_not_left_out_is_not_shown() -> None:
    problem = STUDY.problems[0]
    groups = tuple(group.model_copy(update={"left_out": None, "half_left_out": UNKNOWN}) for group in problem.by_label)
    update = {"by_label": groups, "agreement": {}, "left_out_overlap": UNKNOWN}
    text = printed(STUDY.model_copy(update={"problems": (problem.model_copy(update=update),)}), 80)
    assert "Agreement  " not in text
    assert "the same by leaving out" not in text
    assert "small letters: by leaving out" not in text
    assert "leave-one-out of" not in text


def test_curves_stand_at_their_heights_and_meet_in_a_star() -> None:
    steps = (0, 10, 40)
    chart = Chart("p", {"A": (0.0, 1.0, 1.0), "b": (1.0, 1.0, 0.0)}, {"A": "up", "b": "down"})
    title, *rows, axis, labels, legend = drawn(chart, steps).plain.splitlines()
    frame = [row.split("│")[1].ljust(60) for row in rows]
    assert (title, legend.strip()) == ("p", "A up  b down")
    assert len(frame) == 11
    assert (frame[0][0], frame[-1][0]) == ("b", "A")
    assert (frame[0][-1], frame[-1][-1]) == ("A", "b")
    assert frame[0][29] == "*"  # the step in the middle, however far the steps are apart
    assert frame[5][14] == "A"
    assert labels.split() == ["step", "0", "10", "40"]
    assert axis.strip(" └").count("┴") == 3
    assert labels.index("10") - axis.index("┴") == pytest.approx(29, abs=2)


def test_a_curve_below_0_widens_the_frame() -> None:
    lines = drawn(Chart("p", {"A": (0.0, -0.5)}, {"A": "down"}), (0, 1)).plain.splitlines()
    assert lines[11].startswith(" -0.5 │")
    assert lines[11].endswith("A")
