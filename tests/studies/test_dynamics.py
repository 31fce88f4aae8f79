"""The study of learning from a plan to its verdicts."""

from pathlib import Path

import pytest

from influbench.engine.preparation import prepare
from influbench.errors import InflubenchError, PlanError, UsageError
from influbench.executors.here import Here
from influbench.plan import Plan, parse_plan
from influbench.resources import Resources
from influbench.results import to_json
from influbench.shards import Shard
from influbench.store.cache import Cache
from influbench.studies.dynamics.record import DynamicsRecord
from influbench.studies.running import ask
from influbench.training.loop import Trainer
from influbench.truth.leave_one_out import GroundTruth
from tests.plugins import registry
from tests.problems import stored_in

TABLE = """
estimator = "turn_over_dropout[n_masks=8,p=0.5,antithetic=true]"
checkpoints = 4
difficulty_trainings = 3
fewest = 6
resamples = 100
"""


def plan(more: str = "", *, labels: str = "[0.0, 0.5]", table: str = TABLE, dataset: str = "blobs[n_train=40]") -> Plan:
    text = f"""
estimators = ["random"]
[problem]
dataset = "{dataset}"
model = "mlp[hidden=[8]]"
random_labels = {labels}
[training]
batch_size = 10
epochs = 3
[truth]
seeds = 2
{more}
[dynamics]
{table}
"""
    return parse_plan(text, source="test.toml", name="test")


def studied(of: Plan, tmp_path: Path) -> DynamicsRecord:
    return asked(of, stored_in(tmp_path / "study"))


def asked(of: Plan, resources: Resources) -> DynamicsRecord:
    record = ask("dynamics", of, resources=resources, registry=registry())
    assert isinstance(record, DynamicsRecord)
    return record


def test_the_study_covers_every_problem_with_what_can_be_asked(tmp_path: Path) -> None:
    study = studied(plan(), tmp_path)
    asked = [(claim.problem.partition("random_")[2], claim.id) for claim in study.claims]
    assert asked == [
        ("", "within real data"),
        ("labels=0.5", "simultaneous"),
        ("labels=0.5", "faster to half"),
        ("labels=0.5", "faster at first"),
        ("labels=0.5", "within real data"),
    ]
    clean, noisy = study.problems
    assert clean.steps == (0, 1, 3, 7, 12)
    assert [(group.name, group.n) for group in clean.by_label] == [("true labels", 40)]
    assert [group.n for group in clean.by_difficulty] == [7, 7, 7, 7, 6, 6]
    assert [group.name for group in noisy.by_label] == ["true labels", "wrong labels"]
    assert len({group.n for group in noisy.by_label}) == 1
    too_few_seeds = "memorization by leaving out has no intervals: it is the mean over 2 seeds, and intervals need 4"
    assert clean.notes == (
        "true and wrong labels are not compared: there are 40 points with true labels and 0 with wrong ones, but a "
        "group needs 6",
        too_few_seeds,
    )
    assert noisy.notes == (too_few_seeds,)
    assert noisy.left_out_overlap.low is None
    assert study.false_discovery_rate == 0.05
    assert all((claim.p_value is None) == (claim.low is None) for claim in study.claims)
    assert {"tested at a false discovery rate of 5%" in claim.rule for claim in study.claims} == {True}
    for problem in study.problems:
        assert (problem.n_networks, problem.n_seeds, problem.steps_per_epoch) == (8, 4, 4)
        assert all(len(points) == 4 for points in problem.agreement.values())
        for group in (*problem.by_label, *problem.by_difficulty):
            assert len(group.seen) == len(group.unseen) == len(problem.steps)
            assert group.memorization == pytest.approx([a - b for a, b in zip(group.seen, group.unseen, strict=True)])
            assert group.memorization[0] == pytest.approx(0, abs=1e-7)
            assert group.left_out is not None
            assert group.left_out[0] == 0
    assert DynamicsRecord.model_validate_json(to_json(study)) == study


def test_steps_and_truth_are_those_of_a_run_of_the_plan(tmp_path: Path) -> None:
    of = plan("steps = [2, 9]", labels="0.0")
    (problem,) = studied(of, tmp_path).problems
    assert problem.steps == (0, 2, 9, 12)
    assert [at.step for at in problem.agreement["all points"]] == [2, 9, 12]
    (prepared,), _ = prepare(of, registry(), resources=stored_in(tmp_path / "study"))
    truth: GroundTruth = prepared.judged.ground_truth
    assert all(Cache(tmp_path / "study").holds(f"{truth.folder}/{name}") for name in truth.names)
    left_out = problem.by_label[0].left_out
    assert left_out is not None
    shards = [
        Shard(name, stored.tensors, 0.0, reused=True)
        for name in truth.names
        if (stored := Cache(tmp_path / "study").read(f"{truth.folder}/{name}"))
    ]
    memorization = truth.assemble(shards).earlier[9].memorization
    assert memorization is not None
    assert left_out[2] == pytest.approx(memorization.mean().item())


def test_an_interrupted_study_goes_on_where_it_stopped(tmp_path: Path) -> None:
    of = plan(labels="[0.5]")
    whole = studied(of, tmp_path / "whole")
    computed: list[str] = []

    class Stops(Here):
        def run(self, function, shared, items):  # type: ignore[no-untyped-def]
            for item in items:
                if len(computed) == n_allowed:
                    raise KeyboardInterrupt
                computed.append(f"{type(shared).__name__} {item}")
                yield item, function(shared, item)

    def attempt() -> DynamicsRecord:
        return asked(of, stored_in(tmp_path / "study", executor=Stops()))

    n_allowed = 2
    with pytest.raises(KeyboardInterrupt):
        attempt()
    n_allowed = 100
    assert attempt() == whole
    assert len(computed) == len(set(computed)) == 6
    works = {"LearningTimes", "MaskedNetworks", "GroundTruth", "OrdinaryTrainings"}
    assert {name.split()[0] for name in computed} == works
    n_allowed = 6
    assert attempt() == whole


def test_without_leaving_out_nothing_is_trained_for_it(tmp_path: Path) -> None:
    study = studied(plan(table=TABLE + "leave_one_out = false"), tmp_path)
    assert study.n_seeds == 0
    for problem in study.problems:
        assert problem.agreement == {}
        assert all(group.left_out is None for group in problem.by_label)
        assert problem.left_out_overlap.value is None
        assert problem.fit is not None
        assert problem.fit.n_seeds == 2
    assert not (tmp_path / "study" / "truth").exists()


@pytest.mark.parametrize(
    ("of", "error", "message"),
    [
        (
            plan(labels="1.0"),
            UsageError,
            "no claim can be tested on test; on blobs.*random_labels=1, true and wrong labels are not compared: there "
            "are 0 points with true labels and .* with wrong ones, but a group needs 6",
        ),
        (
            plan(labels="0.0", table=TABLE.replace("fewest = 6", "fewest = 21")),
            UsageError,
            "no claim can be tested on test; on .*: there are 40 points with true labels and 0 with wrong ones",
        ),
        (plan(labels="0.0", dataset="line"), UsageError, "line, mlp.* is a regression problem, but memorization needs"),
        (plan("steps = [2, 13]"), PlanError, r"\[truth\] step 13 is beyond the last step, 12"),
        (
            plan(table=TABLE + "initial_epochs = 4.0"),
            UsageError,
            "initial_epochs = 4 is beyond the last epoch of blobs",
        ),
        (
            plan(table=TABLE + "apart_below = 0.45"),
            UsageError,
            "apart_below = 0.45 must not be above together_above = 0.4",
        ),
        (
            plan(table=TABLE + "tail = 0.3"),
            UsageError,
            "together_above = 0.4 must be below 0.4, which is what equal curves give with tail = 0.3",
        ),
        (plan(table='estimator = "random"'), UsageError, "random has no masks of units; name a turn_over_dropout"),
        (
            plan(table='estimator = "turn_over_dropout[units=member]"'),
            UsageError,
            "has no masks of units; name a turn_over_dropout",
        ),
        (
            plan(table='estimator = "turn_over_dropout[n_masks=6,p=0.5,antithetic=true]"'),
            UsageError,
            "has networks of 3 seeds, but intervals over seeds need at least 4",
        ),
        (plan(table='estimator = "turn_over_dropuot"'), UsageError, "did you mean 'turn_over_dropout'"),
    ],
)
def test_what_cannot_be_studied_is_one_sentence_before_anything_is_trained(
    of: Plan, error: type[InflubenchError], message: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=message) as caught:
        studied(of, tmp_path)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "study").exists()


def test_a_model_without_units_cannot_be_studied(tmp_path: Path) -> None:
    of = plan().changed(models=("linear",))
    with pytest.raises(UsageError, match=r"cannot run on .*: the model has no hidden units"):
        studied(of, tmp_path)


def test_neither_truth_nor_estimators_have_the_studys_seeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks that are looked at, that tell difficulty, and of the truth are all different trainings."""
    stacks: set[frozenset[int]] = set()
    train = Trainer.train

    def noted(self, course, **options):  # type: ignore[no-untyped-def]
        stacks.add(frozenset(course.seeds))
        return train(self, course, **options)

    monkeypatch.setattr(Trainer, "train", noted)
    studied(plan(labels="0.5"), tmp_path)
    assert len(stacks) == 4  # difficulty, masks, and two seeds of the truth
    assert sum(map(len, stacks)) == len(frozenset().union(*stacks))
