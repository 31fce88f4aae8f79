"""The accuracy of the networks in words, and when it is a warning."""

import math

import pytest

from influbench.report.content import facts, notes
from influbench.report.fit import fit_in_words, fit_warnings
from influbench.results import Fit, Record
from influbench.studies.decomposition.record import Decomposed, DecompositionRecord
from influbench.studies.running import print_study
from tests.report.printing import text_of
from tests.report.test_dynamics import STUDY as DYNAMICS
from tests.report.test_informativeness import STUDY as INFORMATIVENESS
from tests.report.test_terminal import RESULT

GOOD = Fit(
    statistic="accuracy",
    n_seeds=8,
    n_test=100,
    train=0.982,
    test=0.9,
    train_sd=0.0041,
    test_sd=0.012,
    train_majority=0.11,
    test_majority=0.5,
)
HARDLY = "The networks hardly learned: their accuracy on the train points is"
CHANCE = "Accuracy on the test points,"


def changed(**values: object) -> Fit:
    return GOOD.model_copy(update=values)


def of_regression(train: float | None, test: float | None) -> Fit:
    return Fit(statistic="R2", n_seeds=2, n_test=10, train=train, test=test, train_sd=0.0, test_sd=0.2)


@pytest.mark.parametrize(
    ("fit", "words"),
    [
        (GOOD, "train .98 (sd .004), test .90 (sd .01), 8 seeds; most frequent test label .50"),
        (
            changed(n_seeds=1, train_sd=None, test_sd=None),
            "train .98, test .90, 1 seed; most frequent test label .50",
        ),
        (of_regression(0.5, -3.0), "train .50 (sd 0), test -3.00 (sd .20), 2 seeds"),
        (of_regression(0.5, None), "train .50 (sd 0), test undefined, 2 seeds"),
    ],
)
def test_the_fit_is_one_line(fit: Fit, words: str) -> None:
    assert fit_in_words(fit) == words


def starts(fit: Fit) -> list[str]:
    """The first words of each warning, up to its first number."""
    known = (HARDLY, CHANCE, "R2 on the train points is", "R2 on the test points is")
    return [next(one for one in known if text.startswith(one)) for text in fit_warnings(fit)]


@pytest.mark.parametrize(
    ("fit", "expected"),
    [
        (GOOD, []),
        # 1.96 binomial standard errors at .5 of 100 test points are .098; the seeds' spread adds little
        (changed(test=0.597, test_sd=0.0), [CHANCE]),
        (changed(test=0.599, test_sd=0.0), []),
        (changed(test=0.599, test_sd=None, n_seeds=1), []),
        (changed(test=0.599, test_sd=0.05), [CHANCE]),
        (changed(test=0.2), [CHANCE]),
        # a tenth of the way from .11 to 1 is .199
        (changed(train=0.198), [HARDLY]),
        (changed(train=0.2), []),
        (changed(train=0.1, test=0.5), [HARDLY, CHANCE]),
        # labels of one class alone leave nothing to learn
        (changed(train=1.0, test=1.0, train_majority=1.0, test_majority=1.0), [CHANCE]),
        (of_regression(0.1, 0.01), []),
        (of_regression(0.1, 0.0), ["R2 on the test points is"]),
        (of_regression(-0.1, -2.0), ["R2 on the train points is", "R2 on the test points is"]),
        (of_regression(0.1, None), []),
    ],
)
def test_a_network_that_barely_learned_is_a_warning(fit: Fit, expected: list[str]) -> None:
    assert starts(fit) == expected


def test_coin_flips_are_hardly_ever_clearly_above_chance() -> None:
    """The exact probability that a network that guesses one of two equal classes is not warned about."""
    n = 100
    clear = [k for k in range(n + 1) if not starts(changed(test=k / n, test_sd=0.0))]
    probability = sum(math.comb(n, k) for k in clear) / 2**n
    assert 0.01 < probability < 0.035


def test_it_is_in_the_header_and_among_the_notes() -> None:
    def with_fit(fit: Fit | None) -> object:
        return RESULT.model_copy(update={"problem": RESULT.problem.model_copy(update={"fit": fit})})

    barely = changed(train=0.12, test=0.5)
    assert "accuracy" not in facts(with_fit(None))  # type: ignore[arg-type]
    assert facts(with_fit(GOOD))["accuracy"] == fit_in_words(GOOD)  # type: ignore[arg-type]
    assert facts(with_fit(of_regression(0.5, 0.4)))["R2"].startswith("train .50")  # type: ignore[arg-type]
    found = [note.tone for note in notes(with_fit(barely)) if note.text in set(fit_warnings(barely))]  # type: ignore[arg-type]
    assert found == ["warning", "warning"]


DECOMPOSED = Decomposed(
    problem="digits", estimator="turn_over_dropout", sealed_share=1, n_trainings=2, influence=(), memorization=()
)
DECOMPOSITION = DecompositionRecord(plan="test", seed=0, n_seeds=2, decomposed=(DECOMPOSED,))


@pytest.mark.parametrize(
    ("study", "field"),
    [(DYNAMICS, "problems"), (INFORMATIVENESS, "problems"), (DECOMPOSITION, "decomposed")],
    ids=["dynamics", "informativeness", "decomposition"],
)
def test_it_is_below_the_name_of_each_problem_of_a_study(study: Record, field: str) -> None:
    def printed(fit: Fit | None) -> str:
        problems = [one.model_copy(update={"fit": fit}) for one in getattr(study, field)]
        shown = study.model_copy(update={field: tuple(problems)})
        return text_of(lambda console: print_study(console, shown), 160)

    n_problems, barely = len(getattr(study, field)), changed(test=0.5)
    assert printed(GOOD).count(f"  accuracy of ordinary trainings: {fit_in_words(GOOD)}\n") == n_problems
    assert "ordinary trainings: train" not in printed(None)
    (warning,) = fit_warnings(barely)
    assert " ".join(printed(barely).split()).count(warning) == n_problems
