"""Statistics of learning on simulated curves whose learning times are known."""

from math import exp, log

import pytest
import torch
from torch import Tensor

from influbench.results import Claim
from influbench.statistics.learning_curves import overlap
from influbench.statistics.student import Student
from influbench.studies.dynamics.learning import (
    HALF_TIME,
    SIMULTANEOUS,
    SLOPE,
    TRUE,
    WITHIN,
    WRONG,
    Labels,
    Learning,
    question,
)
from influbench.studies.dynamics.masked_networks import PointCurves
from influbench.studies.dynamics.study import Dynamics
from influbench.studies.verdicts import above, below, decided

N_SEEDS, N_TRUE, N_WRONG = 12, 80, 40
STEPS = tuple(range(0, 241, 5))
EPOCH, CHANCE = 20, 0.1
SETTINGS = Dynamics(resamples=300, fewest=15, quantiles=4)


def labels(n_true: int = N_TRUE, n_wrong: int = N_WRONG) -> Labels:
    generator = torch.Generator().manual_seed(3)
    true = torch.arange(n_true + n_wrong) < n_true
    return Labels(torch.randperm(10_000, generator=generator)[: len(true)], true, ~true)


def logistic(step: float, time: float, width: float) -> float:
    return 1 / (1 + exp(-(step - time) / width))


def course(times: Tensor, *, width: float, spread: float = 0.05, seed: int = 0) -> PointCurves:
    """Points that are learnt at their times (n_train,), times a chance of each point and of each seed.

    Seen curves are logistic, from `CHANCE` to 1; what is unseen stays at `CHANCE`.
    """
    generator = torch.Generator().manual_seed(seed)
    of_points, of_seeds = (
        1 + spread * torch.randn(shape, generator=generator, dtype=torch.float64)
        for shape in ((1, 1, len(times)), (N_SEEDS, 1, 1))
    )
    at = torch.tensor(STEPS, dtype=torch.float64)[:, None]
    seen = CHANCE + (1 - CHANCE) * ((at - times * of_points * of_seeds) / width).sigmoid()
    noise = 1e-3 * torch.randn(seen.shape, generator=generator, dtype=torch.float64)
    return PointCurves(STEPS, seen + noise, torch.full_like(seen, CHANCE))


def times_of(of: Labels, true: float, wrong: float) -> Tensor:
    return torch.where(of.true, true, wrong).double()


def claims(of: PointCurves, points: Labels, difficulty: Tensor | None = None, *, seed: int = 5) -> dict[str, Claim]:
    learning = Learning(of, points, times_of(points, 0, 0) if difficulty is None else difficulty, SETTINGS, seed=seed)
    return {claim.id: claim for claim in decided(learning.questions("simulated", steps_per_epoch=EPOCH))}


def known_overlap(first: float, second: float, width: float) -> float:
    """Of logistic curves that begin well before they rise: from 10 % to 90 % in log(9) widths around the time."""
    ends = [first + sign * width * log(9) for sign in (1, -1)]
    return logistic(ends[0], second, width) - logistic(ends[1], second, width)


def test_known_ratios_and_overlaps_are_found() -> None:
    points = labels()
    found = claims(course(times_of(points, 60, 90), width=12, spread=0.02), points)
    assert found[HALF_TIME].value == pytest.approx(1.5, rel=0.02)
    assert found[HALF_TIME].verdict == "supported"
    assert found[SIMULTANEOUS].value == pytest.approx(known_overlap(60, 90, 12), abs=0.03)
    assert found[SIMULTANEOUS].verdict == "supported"
    slopes = [logistic(EPOCH, time, 12) - logistic(0, time, 12) for time in (90, 60)]
    assert found[SLOPE].value == pytest.approx(slopes[0] / slopes[1], rel=0.2)
    assert found[SLOPE].verdict == "supported"
    for one in found.values():
        assert one.low is not None
        assert one.high is not None
        assert one.value is not None
        assert one.low < one.value < one.high


def test_intervals_hold_the_known_ratio() -> None:
    """Of 40 simulations; the interval is an honest one if it misses some, and useful if it is not wide."""
    points, held, widths = labels(), 0, []
    for number in range(40):
        found = claims(course(times_of(points, 60, 90), width=8, seed=number), points, seed=number)[HALF_TIME]
        assert found.low is not None
        assert found.high is not None
        held += found.low <= 1.5 <= found.high
        widths.append(found.high - found.low)
    assert held >= 35
    assert max(widths) < 0.15


def test_groups_that_are_learnt_one_after_the_other_refute_that_they_are_learnt_at_once() -> None:
    points = labels()
    for true, wrong in ((50, 180), (180, 50)):
        found = claims(course(times_of(points, true, wrong), width=8), points)
        assert found[SIMULTANEOUS].verdict == "not supported"
        assert found[SIMULTANEOUS].value == pytest.approx(0, abs=0.01)
        assert found[HALF_TIME].verdict == ("supported" if true < wrong else "not supported")


def test_groups_that_are_alike_are_learnt_at_once_and_neither_faster() -> None:
    points = labels()
    found = claims(course(times_of(points, 60, 60), width=12), points)
    assert found[SIMULTANEOUS].verdict == "supported"
    assert found[SIMULTANEOUS].value == pytest.approx(0.8, abs=0.02)
    for id_ in (HALF_TIME, SLOPE):
        one = found[id_]
        assert one.verdict == "undecided"
        assert one.low is not None
        assert one.high is not None
        assert one.low < 1 < one.high


def test_swapping_the_groups_inverts_ratios_and_turns_verdicts_round() -> None:
    points = labels()
    swapped = Labels(points.ids, points.wrong, points.true)
    of = course(times_of(points, 60, 80), width=12)
    there, back = claims(of, points), claims(of, swapped)
    for end, other in (("value", "value"), ("low", "high"), ("high", "low")):
        assert getattr(there[HALF_TIME], end) == pytest.approx(1 / getattr(back[HALF_TIME], other), rel=1e-6)
    # a slope may be negative, so the interval of their ratio is not symmetric on a logarithmic scale
    assert there[SLOPE].value == pytest.approx(1 / (back[SLOPE].value or 0), rel=1e-6)
    for id_ in (HALF_TIME, SLOPE):
        assert (there[id_].verdict, back[id_].verdict) == ("supported", "not supported")


def test_a_slope_that_falls_at_first_has_a_ratio_below_0() -> None:
    points = labels()
    rising = course(times_of(points, 30, 120), width=12)
    at = torch.tensor(STEPS, dtype=torch.float64)[:, None]
    seen = torch.where(points.wrong, rising.seen - 0.05 * (at / EPOCH).clamp(max=1), rising.seen)
    found = claims(PointCurves(STEPS, seen, rising.unseen), points)[SLOPE]
    assert found.value is not None
    assert found.value < 0
    assert found.verdict == "supported"


def test_the_verdict_of_easy_and_hard_points_follows_an_independent_difficulty() -> None:
    points = labels(n_wrong=0)
    for hardest, verdict in ((60, "supported"), (230, "not supported")):
        times = torch.linspace(40, hardest, N_TRUE, dtype=torch.float64)
        of = course(times, width=8 if verdict == "supported" else 4, spread=0.01)
        (found,) = claims(of, points, times).values()
        assert found.id == WITHIN
        assert found.verdict == verdict
        quantiles = Learning(of, points, times, SETTINGS, seed=0).by_difficulty()
        assert [group.n for group in quantiles] == [20] * 4
        halves = [group.half_seen.value for group in quantiles]
        assert halves == sorted(halves, key=lambda half: half or 0)
        assert halves[0] == pytest.approx(times[:20].mean().item(), rel=0.1)


def test_curves_that_gain_nothing_leave_it_undecided() -> None:
    points = labels()
    of = course(times_of(points, 60, 1e6), width=8)
    found = claims(PointCurves(STEPS, torch.where(points.wrong, CHANCE, of.seen), of.unseen), points)
    for id_ in (SIMULTANEOUS, HALF_TIME):
        assert (found[id_].value, found[id_].low, found[id_].high) == (None, None, None)
        assert found[id_].verdict == "undecided"


def test_groups_are_of_equal_size_and_follow_the_ids() -> None:
    points = labels()
    groups = points.groups(fewest=15, seed=1)
    assert {name: len(rows) for name, rows in groups.items()} == {TRUE: N_WRONG, WRONG: N_WRONG}
    assert points.true[groups[TRUE]].all()
    assert points.wrong[groups[WRONG]].all()
    order = torch.randperm(len(points.ids), generator=torch.Generator().manual_seed(0))
    permuted = Labels(points.ids[order], points.true[order], points.wrong[order])
    for name, rows in permuted.groups(fewest=15, seed=1).items():
        assert set(permuted.ids[rows].tolist()) == set(points.ids[groups[name]].tolist())
    of, difficulty = course(times_of(points, 60, 80), width=12), torch.arange(N_TRUE + N_WRONG).double()
    moved = PointCurves(STEPS, of.seen[..., order], of.unseen[..., order])
    before, after = claims(of, points, difficulty), claims(moved, permuted, difficulty[order])
    for id_, one in before.items():
        assert after[id_].value == pytest.approx(one.value)
        assert after[id_].low == pytest.approx(one.low)


def test_ties_of_difficulty_are_broken_by_id() -> None:
    points = labels(n_wrong=0)
    of = course(times_of(points, 60, 0), width=8)
    first, again = (
        Learning(of, points, times_of(points, 1, 0), SETTINGS, seed=seed).by_difficulty()[0].seen for seed in (0, 1)
    )
    assert first != again


@pytest.mark.parametrize(
    ("n_true", "n_wrong", "asked"),
    [
        (80, 40, {SIMULTANEOUS, HALF_TIME, SLOPE, WITHIN}),
        (80, 14, {WITHIN}),
        (29, 15, {SIMULTANEOUS, HALF_TIME, SLOPE}),
        (29, 14, set()),
        (0, 120, set()),
    ],
)
def test_what_there_are_too_few_points_for_is_not_asked(n_true: int, n_wrong: int, asked: set[str]) -> None:
    points = labels(n_true, n_wrong)
    of = course(times_of(points, 60, 80), width=12)
    assert set(claims(of, points)) == asked
    reasons = points.cannot_be_asked(SETTINGS)
    assert {SIMULTANEOUS, HALF_TIME, SLOPE, WITHIN} - set(reasons) == asked
    for reason in reasons.values():
        assert f"{n_true} points with true labels and {n_wrong} with wrong ones" in reason
    curves = Learning(of, points, times_of(points, 0, 0), SETTINGS, seed=0).by_label()
    assert [group.name for group in curves] == [
        name for name, n in ((TRUE, n_true), (WRONG, n_wrong)) if n >= SETTINGS.fewest
    ]


def test_memorization_by_leaving_out_is_resampled_with_its_own_seeds() -> None:
    points = labels()
    of = course(times_of(points, 60, 90), width=12)
    left_out = course(times_of(points, 120, 180), width=12, seed=9).memorization[:4]
    learning = Learning(of, points, times_of(points, 0, 0), SETTINGS, seed=0, left_out=left_out)
    true, wrong = learning.by_label()
    assert true.half_left_out.value == pytest.approx(120, rel=0.05)
    assert wrong.half_left_out.value == pytest.approx(180, rel=0.05)
    assert wrong.half_memorised.value == pytest.approx(90, rel=0.05)
    found = learning.left_out_overlap()
    assert found.value == pytest.approx(known_overlap(120, 180, 12), abs=0.05)
    assert found.low is not None
    fewer = Learning(of, points, times_of(points, 0, 0), SETTINGS, seed=0, left_out=left_out[:3])
    assert fewer.left_out_overlap().value is not None
    assert fewer.left_out_overlap().low is None
    assert fewer.by_label()[0].half_left_out.low is None
    assert fewer.by_label()[0].half_seen.low is not None
    assert Learning(of, points, times_of(points, 0, 0), SETTINGS, seed=0).left_out_overlap().value is None


def test_the_threshold_is_half_of_what_equal_curves_give() -> None:
    equal = torch.linspace(0, 1, 21, dtype=torch.float64) ** 2
    found = overlap(range(21), equal, equal, tail=SETTINGS.tail)
    assert found == pytest.approx(SETTINGS.overlap_of_equal_curves)
    assert SETTINGS.together_above == pytest.approx(SETTINGS.overlap_of_equal_curves / 2)
    assert question(SIMULTANEOUS, "p", Student(None), refuted=below(0.05), supported=above(0.4)).rule == (
        "supported above 0.4, not supported below 0.05, tested at a false discovery rate of 5% over all claims of the "
        "study"
    )
