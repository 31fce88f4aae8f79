"""The explanation of a point as text: golden at 80 and at 160 columns, without colour."""

from pathlib import Path

import pytest

from influbench.report import numbers
from influbench.report.explanation import print_explanation
from influbench.results import (
    UNKNOWN,
    Account,
    Effect,
    ExplanationRecord,
    MemorizationAccount,
    Point,
    Side,
    Statistic,
    Strongest,
)
from tests.report.printing import text_of

GOLDEN = Path(__file__).parent / "golden"


def strongest(sign: int, ids: list[int], **more: float) -> Strongest:
    points = [Effect(id=i, label=i % 10, wrong=i % 7 == 0, effect=sign * 0.9 / 4**place) for place, i in enumerate(ids)]
    return Strongest(points=tuple(points), **more)  # type: ignore[arg-type]


def explanation(side: Side = "train", **update: object) -> ExplanationRecord:
    accounts = (
        Account(name="truth", helps=strongest(1, [812, 7, 1530, 66, 93]), hurts=strongest(-1, [41, 1021])),
        Account(
            name="subset[n_models=512,ratio=0.7]",
            helps=strongest(3, [7, 812, 93, 1530, 600], found=4.0),
            hurts=strongest(-3, [41, 5, 6, 8, 1021], found=2.0),
        ),
        Account(
            name="same_label",
            helps=strongest(1, [7, 8, 9, 66, 1600], found=1.25, n_tied=128),
            hurts=strongest(-1, [], found=0.0),
        ),
    )
    found = ExplanationRecord(
        problem="digits[n_train=2000,n_test=200], mlp[hidden=[64]], random_labels=0.1",
        measure="neg_loss",
        n_seeds=8,
        reliability=Statistic(value=0.68, low=0.6, high=0.75),
        n_train=2000,
        n_test=200,
        side=side,
        point=Point(id=1203, label=3, wrong=side == "train"),
        k=5,
        accounts=accounts,
        memorization=(
            MemorizationAccount(name="truth", value=0.73, rank=1),
            MemorizationAccount(name="subset[n_models=512,ratio=0.7]", value=-12.3e-6, rank=1840),
        ),
    )
    return found.model_copy(update=update)


def printed(found: ExplanationRecord, width: int) -> str:
    return text_of(lambda console: print_explanation(console, found), width)


@pytest.mark.parametrize("width", [80, 160])
def test_an_explanation_reads_as_it_did(width: int) -> None:
    text = printed(explanation(), width)
    assert max(map(len, text.splitlines())) <= width
    assert text == (GOLDEN / f"explanation-{width}.txt").read_text()


@pytest.mark.parametrize("width", [50, 80, 120, 160])
@pytest.mark.parametrize("n", [0, 1, 7, 40])
def test_any_number_of_points_fits_any_terminal(width: int, n: int) -> None:
    long = Account(
        name="an_estimator_of_a_stranger[with=many,parameters=indeed]",
        helps=strongest(1, list(range(100_000, 100_000 + n)), found=0.0),
        hurts=strongest(-1, []),
    )
    found = explanation("test", accounts=(explanation().accounts[0].model_copy(update={"name": "truth"}), long))
    text = printed(found.model_copy(update={"memorization": (), "k": 40}), width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    for number in range(n):
        assert str(100_000 + number) in text


def test_classes_are_shown_by_their_names_which_are_cut_if_they_are_long() -> None:
    points = [
        Effect(id=7, label=0, label_name="cat", effect=2.0),
        Effect(id=8, label=1, label_name="a very long name of a class", effect=1.0),
    ]
    named = Account(name="truth", helps=Strongest(points=tuple(points)), hurts=strongest(-1, []))
    point = Point(id=3, label=1, label_name="dog")
    text = printed(explanation("test", accounts=(named,), memorization=(), point=point), 100)
    assert "test point 3, label dog\n" in text
    assert "7 (cat)" in text
    assert "8 (a very long nam…)" in text


def test_points_of_the_truth_are_marked_and_wrong_labels_too() -> None:
    lines = printed(explanation(), 160).splitlines()
    helped = next(line for line in lines if line.startswith("  subset[n_models=512,ratio=0.7]") and "4 of 5" in line)
    assert helped.split()[4:] == ["7", "(7!)*", "812", "(2!)*", "93", "(3)*", "1530", "(0)*", "600", "(0)"]
    of_truth = next(line for line in lines if line.startswith("  truth") and "812" in line)
    assert "*" not in of_truth


def test_notes_tell_of_what_is_there_and_of_nothing_else() -> None:
    plain = Account(name="truth", helps=strongest(1, [11]), hurts=strongest(-1, [12]))
    text = printed(explanation("test", accounts=(plain,), memorization=(), reliability=UNKNOWN, notes=("a note",)), 80)
    assert "a note." in text
    assert all(word not in text for word in ("tied", "!:", "rank", "reliability", "memorized"))


def test_an_effect_is_told_to_two_digits_with_its_sign() -> None:
    told = {0.0213: "+.021", -0.7: "-.7", 1.04: "+1", -12.3e-6: "-1.2e-05", 12.3: "+12", 0.999: "+1", 0.0: "+0"}
    assert {value: numbers.effect(value) for value in told} == told
