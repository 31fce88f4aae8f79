"""The tables of docs/explanation/memorization.md are those of the stored studies."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
import torch

from influbench.report.claims import value_of
from influbench.report.numbers import decimal, interval
from influbench.results import UNKNOWN, Claim, Statistic
from influbench.statistics.learning_curves import overlap
from influbench.store.run_directory import read_found
from influbench.studies.dynamics.record import DynamicsRecord, ProblemDynamics
from influbench.studies.informativeness.record import ByDifficulty, InformativenessRecord, ProblemInformativeness

ROOT = Path(__file__).parents[1]
STUDIES = ROOT / "benchmarks" / "results" / "memorization"
PAGE = (ROOT / "docs" / "explanation" / "memorization.md").read_text()
DYNAMICS = {
    "dynamics-digits": "digits, MLP",
    "dynamics-digits-wide": "digits, wide",
    "dynamics-fashion": "Fashion-MNIST, MLP",
    "dynamics-fashion-wide": "Fashion-MNIST, wide",
    "dynamics-fashion-left-out": "Fashion-MNIST, 600",
    "dynamics-cnn": "Fashion-MNIST, CNN",
}
BY_SUBSET = {"dynamics-digits-subset": "digits, MLP", "dynamics-fashion-subset": "Fashion-MNIST, MLP"}
INFORMATIVENESS = {
    "informativeness-digits": "digits, MLP",
    "informativeness-digits-80": "digits, MLP",
    "informativeness-fashion": "Fashion-MNIST, MLP",
    "informativeness-fashion-80": "Fashion-MNIST, MLP",
    "informativeness-cnn": "Fashion-MNIST, CNN",
}
MARKS = {"supported": "✓", "not supported": "✗", "undecided": "?"}
COURSE = ("simultaneous", "faster to half", "faster at first", "within real data")
GROUPS = ("more than random", "more than easy", "correct matters", "wrong do harm")
PER = 1000  # removed examples


def share_of_random(problem: str) -> str:
    return f"{float(problem.partition('random_labels=')[2] or 0):g}"


def scaled(found: Statistic, factor: float) -> Statistic:
    value, low, high = (None if at is None else factor * at for at in (found.value, found.low, found.high))
    return Statistic(value=value, low=low, high=high)


def cell(claim: Claim | None, *, per: int = 1) -> str:
    """A value with its interval and the mark of its verdict."""
    if claim is None or claim.value is None:
        return "-"
    found = scaled(value_of(claim), per)
    return f"{decimal(found.value)} {interval(found)} {MARKS[claim.verdict]}"


def dynamics() -> Iterator[tuple[str, DynamicsRecord, ProblemDynamics]]:
    for folder, name in DYNAMICS.items():
        study = read_found(STUDIES / folder)
        assert isinstance(study, DynamicsRecord)
        for problem in study.problems:
            yield f"{name} | {share_of_random(problem.problem)}", study, problem


def informativeness() -> Iterator[tuple[str, InformativenessRecord, ProblemInformativeness, ByDifficulty]]:
    for folder, name in INFORMATIVENESS.items():
        study = read_found(STUDIES / folder)
        assert isinstance(study, InformativenessRecord)
        for problem in study.problems:
            for one in problem.by_difficulty:
                difficulty = one.difficulty.partition("[")[0]
                yield f"{name} | {share_of_random(problem.problem)} | {difficulty}", study, problem, one


def row(name: str, cells: Iterable[str]) -> str:
    return f"| {name} | {' | '.join(cells)} |"


def rows_of_dynamics() -> Iterator[str]:
    """How much of true and wrong labels is learnt at the end, and the claims."""
    for name, study, problem in dynamics():
        claims = {claim.id: claim for claim in study.claims if claim.problem == problem.problem}
        groups = {group.name: group for group in problem.by_label}
        seen = [decimal(groups[kind].seen[-1]) if kind in groups else "-" for kind in ("true labels", "wrong labels")]
        at_once, *others = (cell(claims.get(which)) for which in COURSE)
        yield row(name, [" / ".join(seen), at_once, overlap_of_seen(problem, tail=study.settings["tail"]), *others])


def overlap_of_seen(problem: ProblemDynamics, *, tail: object) -> str:
    """The measure of `simultaneous`, of the seen curves."""
    seen = {group.name: torch.tensor(group.seen) for group in problem.by_label}
    if len(seen) < 2:
        return "-"
    return decimal(float(overlap(problem.steps, seen["true labels"], seen["wrong labels"], tail=float(str(tail)))))


def rows_of_agreement() -> Iterator[str]:
    """Where points were left out: how memorised each kind of label is by both, and how far the two agree at the end."""
    for name, _, problem in dynamics():
        if not problem.agreement:
            continue
        groups = {group.name: group for group in problem.by_label}
        finals = []
        for kind in ("true labels", "wrong labels"):
            by_leaving_out = groups[kind].left_out if kind in groups else None
            finals += [
                f"{decimal(groups[kind].memorization[-1])} / {decimal(by_leaving_out[-1])}" if by_leaving_out else "-"
            ]
        found = [problem.left_out_overlap, problem.agreement["all points"][-1].spearman]
        yield row(name, [*finals, *(f"{decimal(one.value)} {interval(one)}".strip() for one in found)])


def rows_of_informativeness() -> Iterator[str]:
    """The claims, by each difficulty, per 1,000 removed examples."""
    for name, study, problem, one in informativeness():
        claims = {
            claim.id: claim
            for claim in study.claims
            if claim.problem == problem.problem and claim.statement.endswith(f", by {one.difficulty}")
        }
        yield row(name, [cell(claims.get(which), per=PER) for which in GROUPS])


def rows_of_accuracy() -> Iterator[str]:
    """Points of accuracy that are lost without groups of a tenth, and the accuracy after training on them alone."""
    for name, study, problem, one in informativeness():
        at = study.settings["decided_at"]
        groups = {group.kind: group for group in (*problem.random, *one.groups) if group.fraction == at}
        in_order = [groups.get(kind) for kind in ("random", "hard", "easy", "wrong")]
        lost = [scaled(group.accuracy_drop, 100 * group.n_points) if group else UNKNOWN for group in in_order]
        alone = [decimal(group.accuracy_alone.value) if group else "-" for group in in_order]
        yield row(name, [f"{decimal(found.value)} {interval(found)}".strip() for found in lost] + [" / ".join(alone)])


def rows_of_subset_difficulty() -> Iterator[str]:
    """Easy and hard points at once, by memorization on random subsets in place of the time of learning."""
    for folder, name in BY_SUBSET.items():
        study = read_found(STUDIES / folder)
        assert isinstance(study, DynamicsRecord)
        for claim in study.claims:
            if claim.id == COURSE[-1]:
                yield row(name, [share_of_random(claim.problem), cell(claim)])


TABLES = [
    rows_of_dynamics,
    rows_of_subset_difficulty,
    rows_of_agreement,
    rows_of_informativeness,
    rows_of_accuracy,
]


@pytest.mark.parametrize("rows", TABLES)
def test_the_page_has_every_row_of_the_stored_studies(rows: Callable[[], Iterator[str]]) -> None:
    expected = list(rows())
    assert expected
    assert not [row for row in expected if row not in PAGE]


def test_the_page_counts_the_verdicts_of_the_stored_studies() -> None:
    found: dict[tuple[str, str], list[str]] = {}
    for folder, name in INFORMATIVENESS.items():
        study = read_found(STUDIES / folder)
        assert isinstance(study, InformativenessRecord)
        for claim in study.claims:
            if claim.value is not None:
                found.setdefault((claim.id, name.rpartition(" ")[2]), []).append(claim.verdict)
    text = " ".join(PAGE.split())
    mlp, cnn = (found["more than random", network] for network in ("MLP", "CNN"))
    assert f"supported in {mlp.count('supported')} of {len(mlp)} cases with the MLPs" in text
    assert f"and in {cnn.count('supported')} of {len(cnn)} with the CNN" in text
    assert "not supported" not in mlp + cnn
    harm = found["wrong do harm", "MLP"] + found["wrong do harm", "CNN"]
    assert set(harm) == {"supported"}
    assert f"in all {len(harm)} cases that have enough of them" in text
