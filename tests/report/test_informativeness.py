"""The study of informativeness as text: golden at 80 and at 160 columns, without colour."""

from pathlib import Path

import pytest

from influbench.results import Statistic
from influbench.studies.informativeness.curves import drawn
from influbench.studies.informativeness.record import InformativenessRecord
from influbench.studies.running import print_study
from tests.report.printing import text_of

GOLDEN = Path(__file__).parent / "golden"
STUDY = InformativenessRecord.model_validate_json((GOLDEN / "informativeness.json").read_text())


def printed(study: InformativenessRecord, width: int) -> str:
    return text_of(lambda console: print_study(console, study), width)


@pytest.mark.parametrize("width", [80, 160])
def test_the_study_reads_as_it_did(width: int) -> None:
    text = printed(STUDY, width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    assert text == (GOLDEN / f"informativeness-{width}.txt").read_text()


def test_the_widest_figures_fit_into_80_columns() -> None:
    widest = Statistic(value=-0.111, low=-0.222, high=-0.0999)
    (first, *_) = STUDY.problems
    update = {"drop": widest, "drop_minus_random": widest, "influence": widest}
    by_difficulty = tuple(
        one.model_copy(update={"groups": tuple(group.model_copy(update=update) for group in one.groups)})
        for one in first.by_difficulty
    )
    text = printed(
        STUDY.model_copy(update={"problems": (first.model_copy(update={"by_difficulty": by_difficulty}),)}), 80
    )
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    assert text.count("[-222, -99.9]") == 3 * 2 * len(by_difficulty)


def test_every_claim_has_its_verdict() -> None:
    text = printed(STUDY, 160)
    for claim in STUDY.claims:
        assert any(claim.statement in line and line.endswith(claim.verdict) for line in text.splitlines())


def test_curves_go_through_their_points() -> None:
    lines = drawn({"a": [0.0, 1.0, 0.0], "b": [0.0, None, 0.5]}, ["1 %", "2 %", "3 %"]).splitlines()
    assert [line.partition("│")[0].strip() for line in lines[:9]] == ["1.00", "", "", "", ".50", "", "", "", ".00"]
    assert "a" in lines[0]
    assert lines[4].endswith("b")
    assert lines[8].count("*") == 1
    assert lines[8].endswith("a")
    assert sum("·" in line for line in lines) > 5
    labels = [lines[-1].index(f"{n} %") for n in (1, 2, 3)]
    assert labels == sorted(labels)
    ticks = [at for at, character in enumerate(lines[-2]) if character == "┴"]
    assert lines[0].index("a") == ticks[1] == labels[1] + 1


def test_nothing_is_drawn_of_nothing_and_a_flat_line_is_flat() -> None:
    assert drawn({"a": [None, None]}, ["1 %", "2 %"]) == ""
    flat = drawn({"a": [0.2, 0.2]}, ["1 %", "2 %"]).splitlines()
    assert flat[0].count("a") == 2
    assert not any("a" in line for line in flat[1:])
