"""The study of informativeness, on data of which it is known what is informative."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from influbench.api import Data, Dataset, Executor, Spec, Split
from influbench.errors import DataError, EstimateError, PlanError, PluginError, UnknownNameError, UsageError
from influbench.executors.here import Here
from influbench.plan import Plan, parse_plan
from influbench.registry import Entry, Registry
from influbench.resources import Resources
from influbench.results import Claim
from influbench.studies.informativeness.effects import (
    between_groups,
    mean_effect,
    mean_over_all,
    of_halves,
    of_random_groups,
)
from influbench.studies.informativeness.findings import Effects, Questions, agreed
from influbench.studies.informativeness.groups import Group, Pool, choose, shares
from influbench.studies.informativeness.record import GroupEffect, InformativenessRecord
from influbench.studies.informativeness.retraining import Outcomes, Retraining
from influbench.studies.informativeness.study import Informativeness
from influbench.studies.running import ask
from influbench.training.loop import Trainer
from tests.plugins import STRANGERS, registry_with
from tests.problems import blobs, stored_in, trainer


@dataclass(frozen=True)
class Halves(Dataset):
    """Half of the train points are copies of two, and one more or less is all the same; half are each needed.

    A needed point is alone in its direction, and there are test points in that direction that nothing else tells of.
    """

    n_needed: int = 40
    n_tests: int = 4  # in each direction

    def load(self, seed: int) -> Data:
        n = self.n_needed
        directions = torch.cat([torch.arange(n), n + torch.arange(n) % 2])
        labels = torch.arange(2 * n) % 2
        inputs = torch.eye(n + 2)
        order = torch.randperm(2 * n, generator=torch.Generator().manual_seed(7))
        train = Split(inputs[directions][order], labels[order], torch.arange(2 * n) + 500)
        n_test = self.n_tests * (n + 2)
        test = Split(inputs.repeat(self.n_tests, 1), torch.arange(n + 2).repeat(self.n_tests) % 2, torch.arange(n_test))
        return Data(train, test, 2)


HALVES = Entry("dataset", Spec("halves", f"{__name__}:Halves", "half needed"), STRANGERS)
SMALL = """
fractions = [0.1, 0.2]
decided_at = 0.2
random_groups = 12
halves = 6
difficulty = ["turn_over_dropout[n_masks=8]", "subset", "learning_time"]
difficulty_repeats = 2
influence = "subset[n_models=512]"
"""
QUICK = """
fractions = [0.1]
random_groups = 2
halves = 4
difficulty = ["learning_time"]
difficulty_repeats = 2
influence = "grad_dot"
"""


def plan(settings: str = SMALL, *, dataset: str = "halves", more: str = "", n_seeds: int = 6, epochs: int = 20) -> Plan:
    text = f"""
        estimators = ["random"]
        [problem]
        dataset = "{dataset}"
        model = "mlp[hidden=[16]]"
        {more}
        [training]
        batch_size = 20
        epochs = {epochs}
        learning_rate = 0.2
        [truth]
        seeds = {n_seeds}
        [informativeness]
        {settings}
    """
    return parse_plan(text, source="test.toml", name="test")


def study(of: Plan, tmp_path: Path, executor: Executor | None = None) -> InformativenessRecord:
    return asked(of, stored_in(tmp_path / "cache", executor=executor or Here()), registry_with(HALVES))


def asked(of: Plan, resources: Resources, registry: Registry) -> InformativenessRecord:
    record = ask("informativeness", of, resources=resources, registry=registry)
    assert isinstance(record, InformativenessRecord)
    return record


def claims(of: InformativenessRecord, name: str) -> list[Claim]:
    return [claim for claim in of.claims if claim.id == name]


def by_kind(groups: Sequence[GroupEffect], fraction: float) -> dict[str, GroupEffect]:
    return {group.kind: group for group in groups if group.fraction == fraction}


# ---------------------------------------------------------------- what is known


def test_needed_points_are_informative_and_copies_are_not(tmp_path: Path) -> None:
    found = study(plan(), tmp_path)
    assert [claim.verdict for claim in claims(found, "more than random")] == ["supported"] * 3
    assert [claim.verdict for claim in claims(found, "more than easy")] == ["supported"] * 3
    assert [claim.verdict for claim in claims(found, "difficulties agree")] == ["supported"]
    assert not claims(found, "correct matters")
    (problem,) = found.problems
    for one in problem.by_difficulty:
        for fraction in (0.1, 0.2):
            groups = by_kind((*one.groups, *problem.random), fraction)
            hard, easy, random = (groups[kind].drop.value for kind in ("hard", "easy", "random"))
            assert hard is not None
            assert easy is not None
            assert random is not None
            # a needed point is worth the loss of one of 42 test points; a copy, of which 12 are left, next to nothing
            assert abs(easy) < 0.05 * hard
            assert random == pytest.approx(hard / 2, rel=0.5)
            told = [groups[kind].influence.value for kind in ("hard", "easy")]
            assert told[0] - told[1] == pytest.approx(hard - easy, rel=0.3)  # type: ignore[operator]
            assert groups["hard"].accuracy_drop.value == pytest.approx(1 / 42 / 2, rel=0.5)  # chance is right in half
            assert groups["hard"].class_counts == groups["easy"].class_counts == groups["random"].class_counts


def test_wrong_points_do_harm_where_correct_ones_help(tmp_path: Path) -> None:
    """By memorization: the wrong ones among those that stand alone are learnt by heart. Wrong copies never are."""
    memorization = SMALL.replace(', "learning_time"]', "]")
    found = study(plan(memorization, more="random_labels = 0.4", epochs=10), tmp_path)
    for name in ("correct matters", "wrong do harm"):
        assert [claim.verdict for claim in claims(found, name)] == ["supported"] * 2, name
    (problem,) = found.problems
    assert problem.n_wrong > 8
    for one in problem.by_difficulty:
        for fraction in (0.1, 0.2):
            groups = by_kind(one.groups, fraction)
            assert groups["wrong"].n_points == groups["hard"].n_points == 80 * fraction
            assert groups["wrong"].class_counts == groups["hard"].class_counts
            assert groups["wrong"].drop.value is not None
            assert groups["wrong"].drop.value < 0
        assert groups["wrong"].drop.high is not None
        assert groups["wrong"].drop.high < 0


def test_too_few_wrong_points_leave_their_claims_undecided(tmp_path: Path) -> None:
    found = study(plan(QUICK, more="random_labels = 0.1", epochs=2), tmp_path)
    assert 0 < found.problems[0].n_wrong < 8
    for claim in (*claims(found, "correct matters"), *claims(found, "wrong do harm")):
        assert (claim.value, claim.verdict) == (None, "undecided")
        assert "too few points of a wrong label" in claim.rule
    assert all("wrong" not in by_kind(one.groups, 0.1) for one in found.problems[0].by_difficulty)


# ---------------------------------------------------------------- statistics


def simulated(
    n_groups: int, n_seeds: int, n_test: int, *, group: float, by_seed: float, by_test: float, noise: float, seed: int
) -> Tensor:
    """Effects of exchangeable groups (n_groups, n_seeds, n_test), with what seeds and test points have in common."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, dtype=torch.float64, generator=generator)

    common = draw(1, n_seeds, 1) + draw(1, 1, n_test)
    own = group * draw(n_groups, 1, 1) + by_seed * draw(n_groups, n_seeds, 1) + by_test * draw(n_groups, 1, n_test)
    return common + own + noise * draw(n_groups, n_seeds, n_test)


def interval_excludes_0(values: Tensor, *by_points: Tensor) -> bool:
    found = mean_effect(values, *by_points).interval()
    assert found.low is not None
    assert found.high is not None
    return found.low > 0 or found.high < 0


@pytest.mark.parametrize(
    "parts",
    [
        {"group": 1.0, "by_seed": 0.3, "by_test": 1.0, "noise": 1.0},
        {"group": 0.1, "by_seed": 0.3, "by_test": 0.5, "noise": 1.0},
        {"group": 0.0, "by_seed": 0.0, "by_test": 0.0, "noise": 1.0},
    ],
)
def test_the_interval_of_a_group_against_random_ones_misses_1_time_in_20(parts: dict[str, float]) -> None:
    """Half-groups have twice the variance of a whole group between them, and half of that is the half-sampling."""
    n, missed = 1000, 0
    for seed in range(n):
        effects = simulated(21, 10, 30, seed=seed, **parts)
        one, halves, reference = effects[0], effects[1:11], effects[11:]
        missed += interval_excludes_0(one - reference.mean(0), of_halves(halves), of_random_groups(reference))
    assert missed / n <= 0.07


def test_the_contributions_of_points_have_the_variance_between_groups() -> None:
    effects = simulated(10, 6, 12, group=3.0, by_seed=0.1, by_test=0.1, noise=0.1, seed=2)
    between = between_groups(effects)
    for found, variance in ((of_halves(effects), between), (of_random_groups(effects), between / 10)):
        assert float(found.sum()) == pytest.approx(0, abs=1e-12)
        assert float(found.square().sum()) * 10 / 9 == pytest.approx(variance)
    noisy = torch.zeros(10, 2, 2, dtype=torch.float64)
    noisy[:, 0, 0], noisy[:, 1, 1] = torch.arange(10.0), torch.arange(10.0).flip(0) ** 1.2
    assert between_groups(noisy) == 0
    assert float(of_random_groups(noisy).abs().sum()) == 0
    assert float(noisy.mean((1, 2)).var()) > 0
    assert float(of_halves(noisy).square().sum()) * 10 / 9 == pytest.approx(float(noisy.mean((1, 2)).var()) / 4)


def test_effects_are_not_known_without_the_chance_of_the_points() -> None:
    groups = [Group("random", 0.1, None, torch.tensor([0, 1])), Group("random", 0.1, None, torch.tensor([2, 3]))]
    chosen = [Group(kind, 0.1, "any", torch.tensor(rows)) for kind, rows in (("hard", [0, 3]), ("easy", [1, 2]))]
    of_halves = [replace(group, rows=group.rows[:1], half=number) for number in range(4) for group in chosen]
    for more, known in (([], False), (of_halves, True)):
        everything = [*groups, *chosen, *more]
        drops = torch.randn(5, len(everything), 7, generator=torch.Generator().manual_seed(0)).double()
        measures = ("neg_loss", "accuracy", "p_correct")
        outcomes = Outcomes(
            whole={measure: torch.zeros(5, 7).double() for measure in measures},
            without=dict.fromkeys(measures, -drops),
            alone=dict.fromkeys(measures, drops),
        )
        effects = Effects(
            everything, outcomes, torch.zeros(4, 7), torch.zeros(4).long(), measure="neg_loss", n_classes=1
        )
        (one,) = effects.by_difficulty()
        assert [group.kind for group in one.groups] == ["hard", "easy"]
        for group in one.groups:
            for found in (group.drop, group.drop_minus_random, group.accuracy_drop, group.p_correct_drop):
                assert found.value is not None
                assert (found.low is not None) == known
            assert group.alone.low is not None
        settings = Informativeness(fractions=(0.1,), decided_at=0.1)
        for question in Questions("p", effects, settings, has_wrong=False).all():
            assert question.found.value is not None
            assert (question.p_value is not None) == known


def test_the_variance_between_groups_is_that_of_their_expected_effects() -> None:
    of_groups = torch.randn(9, 1, 1, dtype=torch.float64)
    additive = of_groups + torch.randn(1, 4, 1, dtype=torch.float64) + torch.randn(1, 1, 6, dtype=torch.float64)
    assert between_groups(additive) == pytest.approx(float(of_groups.var()))
    parts = {"group": 0.7, "by_seed": 0.5, "by_test": 0.9, "noise": 2.0}
    found = [between_groups(simulated(10, 6, 12, seed=seed, **parts)) for seed in range(400)]
    assert sum(found) / len(found) == pytest.approx(0.7**2, rel=0.1)


def test_the_interval_is_as_wide_as_that_of_a_bootstrap_over_seeds_and_test_points() -> None:
    generator = torch.Generator().manual_seed(3)
    n_seeds, n_test = 40, 60
    values = torch.randn(n_seeds, 1, dtype=torch.float64, generator=generator) + torch.randn(
        1, n_test, dtype=torch.float64, generator=generator
    )
    means = []
    for _ in range(2000):
        seeds = torch.randint(n_seeds, (n_seeds,), generator=generator)
        tests = torch.randint(n_test, (n_test,), generator=generator)
        means.append(values[seeds][:, tests].mean())
    found = mean_over_all(values)
    low, high = torch.stack(means).quantile(torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.1)


def test_one_seed_has_no_interval() -> None:
    effects = simulated(5, 1, 9, group=1.0, by_seed=0.0, by_test=0.0, noise=1.0, seed=1)
    found = mean_effect(effects[0], of_random_groups(effects[1:])).interval()
    assert (found.low, found.high) == (None, None)


def test_difficulties_agree_if_all_decide_alike() -> None:
    assert agreed([{"supported"}, {"not supported"}]) == "supported"
    assert agreed([{"supported"}, {"supported", "not supported"}]) == "not supported"
    assert agreed([{"supported"}, {"undecided"}]) == "undecided"
    assert agreed([{"supported", "undecided"}]) == "undecided"


# ---------------------------------------------------------------- groups


def pool(n: int = 60, *, n_classes: int = 4, wrong: float = 0.25, seed: int = 5) -> Pool:
    generator = torch.Generator().manual_seed(seed)
    return Pool(
        ids=torch.randperm(1000, generator=generator)[:n],
        strata=torch.randint(n_classes, (n,), generator=generator),
        correct=torch.rand(n, generator=generator) >= wrong,
        seed=3,
    )


def test_seats_are_shared_in_proportion_as_far_as_there_is_room() -> None:
    assert shares(10, torch.tensor([10, 20, 20]), torch.tensor([9, 9, 9])).tolist() == [2, 4, 4]  # type: ignore[union-attr]
    assert shares(10, torch.tensor([10, 20, 20]), torch.tensor([9, 2, 9])).tolist() == [3, 2, 5]  # type: ignore[union-attr]
    assert shares(10, torch.tensor([10, 20, 20]), torch.tensor([3, 3, 3])) is None


def test_all_groups_of_a_size_hold_as_many_points_of_each_class() -> None:
    of, difficulty = pool(120, wrong=0.4), torch.rand(120)
    groups = choose(of, [0.05, 0.2], {"one": difficulty, "other": -difficulty}, n_random=7)
    for fraction in (0.05, 0.2):
        of_size = [group for group in groups if group.fraction == fraction]
        counts = {tuple(of.strata[group.rows].bincount(minlength=4).tolist()) for group in of_size}
        assert len(counts) == 1
        assert sum(counts.pop()) == round(fraction * 120)
        kinds = [group.kind for group in of_size]
        assert [kinds.count(kind) for kind in ("random", "hard", "easy", "wrong")] == [7, 2, 2, 2]
    for group in groups:
        assert group.rows.unique().tolist() == group.rows.tolist()
        assert of.correct[group.rows].tolist() == [group.kind != "wrong"] * len(group.rows)


def test_groups_are_the_extremes_of_their_classes() -> None:
    of, difficulty = pool(), torch.rand(60)
    (hard,), (easy,), (wrong,) = (
        [group.rows for group in choose(of, [0.1], {"one": difficulty}, n_random=2) if group.kind == kind]
        for kind in ("hard", "easy", "wrong")
    )
    for stratum in range(4):
        for rows, among, sign in ((hard, of.correct, 1), (easy, of.correct, -1), (wrong, ~of.correct, 1)):
            members = (of.strata == stratum) & among
            inside = torch.zeros(60, dtype=torch.bool)
            inside[rows] = True
            chosen, left = difficulty[members & inside], difficulty[members & ~inside]
            assert not len(chosen) or not len(left) or (sign * chosen).min() > (sign * left).max()


def test_equal_difficulties_are_told_apart_by_chance_and_no_point_is_hard_and_easy() -> None:
    of = pool()
    sizes = of.sizes(0.2)
    assert sizes is not None
    hard, easy = (choose_rows(torch.zeros(60), sizes, among=of.correct) for choose_rows in (of.hardest, of.easiest))
    assert not set(hard.tolist()) & set(easy.tolist())
    assert hard.tolist() != sorted(of.correct.nonzero()[:, 0].tolist())[: len(hard)]


def test_random_groups_share_no_point_until_all_are_used() -> None:
    of = replace(pool(80, wrong=0.0), strata=torch.arange(80) % 4)
    groups = of.random(torch.full((4,), 2), 20)
    first, second = torch.cat(groups[:10]), torch.cat(groups[10:])
    assert first.sort().values.tolist() == second.sort().values.tolist() == list(range(80))
    assert sorted(map(tuple, map(Tensor.tolist, groups[:10]))) != sorted(map(tuple, map(Tensor.tolist, groups[10:])))


def test_halves_are_complements_with_equal_shares_of_every_kind() -> None:
    of = pool(121, wrong=0.4)
    halves = of.halves(6)
    assert len(halves) == 6
    for one, other in zip(halves[::2], halves[1::2], strict=True):
        assert (one ^ other).all()
        for stratum in range(4):
            for kind in (of.correct, ~of.correct):
                members = kind & (of.strata == stratum)
                assert abs(int((one & members).sum()) - int((other & members).sum())) <= 1
        assert abs(int(one.sum()) - int(other.sum())) <= 1
    assert len({tuple(half.tolist()) for half in halves}) == 6


def test_groups_of_halves_are_the_extremes_of_their_half_at_half_the_size() -> None:
    of, difficulty = pool(240, wrong=0.4), torch.rand(240)
    groups = choose(of, [0.05, 0.1], {"one": difficulty}, n_random=2, n_halves=4, halved_at=0.1)
    halves, of_halves = of.halves(4), [group for group in groups if group.half is not None]
    assert groups[-len(of_halves) :] == of_halves
    assert len(of_halves) == 4 * 3
    for group in of_halves:
        assert group.fraction == 0.1
        assert len(group.rows) == 12
        inside = halves[group.half or 0]
        assert inside[group.rows].all()
        assert of.correct[group.rows].tolist() == [group.kind != "wrong"] * 12
        among = inside & (of.correct if group.kind != "wrong" else ~of.correct)
        sign = -1 if group.kind == "easy" else 1
        for stratum in range(4):
            members = among & (of.strata == stratum)
            chosen = torch.zeros_like(among)
            chosen[group.rows] = True
            assert int((chosen & members).sum()) == pytest.approx(3, abs=1)
            worst, best = (sign * difficulty[members & chosen]).min(), (sign * difficulty[members & ~chosen]).max()
            assert worst > best
    assert not [group for group in choose(of, [0.005], {"one": difficulty}, n_random=2) if group.half is not None]


def test_groups_follow_the_ids() -> None:
    of, difficulty, order = pool(), (torch.rand(60) * 5).round(), torch.randperm(60)
    permuted = Pool(of.ids[order], of.strata[order], of.correct[order], of.seed)
    groups = choose(of, [0.1], {"one": difficulty}, n_random=3, n_halves=4, halved_at=0.1)
    others = choose(permuted, [0.1], {"one": difficulty[order]}, n_random=3, n_halves=4, halved_at=0.1)
    for group, other in zip(groups, others, strict=True):
        assert set(of.ids[group.rows].tolist()) == set(permuted.ids[other.rows].tolist())


# ---------------------------------------------------------------- trainings


def test_trainings_are_those_on_the_others_and_on_the_group() -> None:
    """Each against a training by itself, in which the points that are left out hold other inputs."""
    of, rows = trainer(epochs=3), torch.tensor([2, 5, 11])
    group, other = Group("hard", 0.15, "any", rows), Group("random", 0.1, None, torch.tensor([0, 7]))
    retraining = Retraining(of, root_seed=1, groups=[other, group])
    computed = retraining.compute("seed-0003")
    seed, test = retraining._seed(3), of.data.test
    everywhere, inside = torch.ones(20), torch.zeros(20)
    inside[rows] = 1
    for number, weights in ((0, everywhere), (2, 1 - inside), (4, inside)):
        inputs = of.data.train.inputs.clone()
        inputs[weights == 0] = 17.0
        data = replace(of.data, train=replace(of.data.train, inputs=inputs))
        runs = of.train(replace(of, data=data).course(weights[None], seeds=[seed], normalizer="kept"))
        torch.testing.assert_close(computed["neg_loss"][number], runs.measured(test)[0])
        torch.testing.assert_close(computed["p_correct"][number], runs.p_correct(test)[0])
        right = (runs.outputs(test)[0].argmax(-1) == test.labels).double()
        torch.testing.assert_close(computed["accuracy"][number], right)


def test_narrow_stacks_give_the_same() -> None:
    groups = [Group("random", 0.1, None, torch.tensor([row, row + 1])) for row in range(6)]
    wide, narrow = trainer(), trainer()
    narrow.__dict__["stack_width"] = 3
    of_wide, of_narrow = (Retraining(one, 1, groups).compute("seed-0000") for one in (wide, narrow))
    for measure, values in of_wide.items():
        torch.testing.assert_close(of_narrow[measure], values, rtol=0, atol=1e-12)


# ---------------------------------------------------------------- running


@dataclass
class _Stopping:
    """Runs so many pieces, and then the user interrupts."""

    n: int
    done: list[str]

    def run(
        self, function: Callable[..., object], shared: object, items: Sequence[str]
    ) -> Iterator[tuple[str, object]]:
        for item in items:
            if len(self.done) == self.n:
                raise KeyboardInterrupt
            self.done.append(f"{type(shared).__name__} {item}")
            yield item, function(shared, item)

    def close(self) -> None:
        """Nothing was started."""


def test_an_interrupted_study_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of, first, second = plan(QUICK, epochs=1, n_seeds=4), _Stopping(3, []), _Stopping(99, [])
    with pytest.raises(KeyboardInterrupt):
        study(of, tmp_path, first)
    found = study(of, tmp_path, second)
    assert first.done == [f"Retraining seed-000{number}" for number in range(3)]
    for_accuracy = [f"OrdinaryTrainings seed-000{number}" for number in range(4)]
    assert second.done == ["Retraining seed-0003", *for_accuracy]

    def nothing(*_: object, **__: object) -> None:
        raise AssertionError("everything is stored")

    monkeypatch.setattr(Trainer, "train", nothing)
    assert study(of, tmp_path) == found
    monkeypatch.undo()
    assert study(of, tmp_path / "elsewhere", Here()) == found


def test_what_a_stranger_estimates_is_not_stored(tmp_path: Path) -> None:
    of = plan(QUICK.replace("learning_time", "only_memorization").replace("grad_dot", "elsewhere"), epochs=1)
    registry = registry_with(HALVES, only_memorization="OnlyMemorization", elsewhere="Elsewhere")
    asked(of, stored_in(tmp_path), registry)
    assert not (tmp_path / "scores").exists()
    assert (tmp_path / "groups").is_dir()


@pytest.mark.parametrize(
    ("target", "error", "sentence"),
    [
        ("Vandal", EstimateError, r"bad \(strangers 1\.0\): wrote into the data it was given; work on a copy"),
        ("Leaves", PluginError, r"bad \(strangers 1\.0\) raised SystemExit: 3"),
    ],
)
def test_what_a_stranger_does_wrong_is_told_with_its_name(
    target: str, error: type[Exception], sentence: str, tmp_path: Path
) -> None:
    of = plan(QUICK.replace("learning_time", "bad"), epochs=1)
    with pytest.raises(error, match=sentence):
        asked(of, stored_in(tmp_path), registry_with(HALVES, bad=target))


def test_the_rules_and_the_settings_are_in_the_result(tmp_path: Path) -> None:
    settings = QUICK + "supported_above = 0.5\nrefuted_below = -0.25\n"
    found = study(plan(settings, epochs=1), tmp_path)
    (claim,) = claims(found, "more than random")
    assert claim.verdict == "undecided"
    assert "hard minus random, groups of 8 points" in claim.rule
    assert "supported above 0.5, not supported below -0.25, tested at a false discovery rate of 5%" in claim.rule
    assert found.false_discovery_rate == 0.05
    told = json.loads(found.model_dump_json(by_alias=True))
    assert told["settings"]["supported_above"] == 0.5
    assert told["settings"]["fractions"] == [0.1]
    assert told["problems"][0]["fit"]["statistic"] == "accuracy"
    assert told["problems"][0]["fit"]["n_seeds"] == told["n_seeds"]
    assert {claim["id"] for claim in told["claims"]} == {"more than random", "more than easy"}


@pytest.mark.parametrize(
    ("of", "error", "sentence"),
    [
        (lambda: plan(QUICK, dataset="line"), DataError, "line, .* cannot be studied: difficulty needs classes"),
        (lambda: plan("fractions = [0.1, 0.001]"), DataError, "0.001 of its 80 train points is less than one"),
        (lambda: plan("fractions = [0.6]\ndecided_at = 0.6"), DataError, "two groups of 48 points .* do not fit"),
        (lambda: plan("fractions = [0.2]"), PlanError, "decided_at = 0.1 must be one of its fractions, 0.2"),
        (
            lambda: plan(QUICK + "refuted_below = 1.0"),
            PlanError,
            "refuted_below = 1 must not be above supported_above = 0",
        ),
        (lambda: plan(QUICK.replace("learning_time", "tracin")), UsageError, "tracin does not estimate memorization"),
        (lambda: plan(QUICK.replace("grad_dot", "el2n")), UsageError, "el2n does not estimate influence"),
        (lambda: plan(QUICK.replace("learning_time", "learning_tim")), UnknownNameError, "did you mean"),
        (
            lambda: plan(QUICK.replace("learning_time", "turn_over_dropout[n_checkpoints=999]")),
            UsageError,
            r"turn_over_dropout\[n_checkpoints=999\] cannot run on halves, .*: n_checkpoints is 999, but",
        ),
    ],
)
def test_what_cannot_be_studied_is_told_in_a_sentence(
    of: Callable[[], Plan], error: type[Exception], sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=sentence):
        study(of(), tmp_path)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ("fractions = [0.1, 1.5]", r"fractions = 1.5 in \[informativeness\] does not fit; input should be less than 1"),
        ("fractions = [0.0]", r"fractions = 0.0 in \[informativeness\] does not fit; input should be greater than 0"),
        ("fractions = []", r"fractions = \[\] in \[informativeness\] does not fit; expected at least one value"),
        ("random_groups = 1", r"random_groups = 1 in \[informativeness\] does not fit"),
        ("dificulty = ['subset']", r"unknown key 'dificulty' in \[informativeness\]; did you mean 'difficulty'"),
    ],
)
def test_settings_are_checked_with_the_plan(settings: str, sentence: str) -> None:
    with pytest.raises(PlanError, match=sentence):
        plan(settings)


def test_unbalanced_groups_are_the_extremes_of_all(tmp_path: Path) -> None:
    found = study(plan(QUICK + "balanced_classes = false\n", epochs=1, dataset="blobs"), tmp_path)
    (group, _) = found.problems[0].by_difficulty[0].groups
    assert sum(group.class_counts) == group.n_points == 2
    assert found.problems[0].n_train == len(blobs().train)
