"""Networks looked at while they are trained: those of the estimator, stored, and difficulty by others."""

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor

from influbench.errors import TrainingError, UsageError
from influbench.estimators.proxies import learning_times
from influbench.estimators.turn_over_dropout.estimator import TurnOverDropout
from influbench.executors.processes import LocalProcesses
from influbench.models.mlp import Mlp
from influbench.resources import no_progress
from influbench.seeds import derive
from influbench.shards import gather, trained
from influbench.studies.dynamics.difficulty import LearningTimes, by_difficulty, subset_memorization
from influbench.studies.dynamics.masked_networks import BLOCK, MaskedNetworks, PointCurves
from tests.problems import problem, stored_in, trainer

STEPS = (0, 2, 5, 8)


def networks(estimator: TurnOverDropout | None = None, **settings: object) -> MaskedNetworks:
    of = trainer(**settings)  # type: ignore[arg-type]
    return MaskedNetworks(of, estimator or TurnOverDropout(n_masks=3), 1, STEPS)


def course_of(of: MaskedNetworks, tmp_path: Path) -> PointCurves:
    return trained(of, stored_in(tmp_path))


@pytest.mark.parametrize(
    "estimator",
    [
        TurnOverDropout(n_masks=3),
        TurnOverDropout(n_masks=BLOCK + 2, p=0.5, antithetic=True),
        TurnOverDropout(n_masks=2, sealed=True, balanced=True),
    ],
)
def test_they_are_the_networks_of_the_estimator(tmp_path: Path, estimator: TurnOverDropout) -> None:
    model = Mlp(hidden=(8, 6))
    course = course_of(networks(estimator, model=model), tmp_path)
    expected = estimator.trace(problem(trainer(model=model), seed=1), STEPS)
    assert expected is not None
    assert course.steps == STEPS
    assert course.seen.shape == (len(set(estimator.replicates())), len(STEPS), 20)
    for place, estimate in enumerate(expected):
        assert estimate.memorization is not None
        torch.testing.assert_close(course.memorization[:, place].mean(0), estimate.memorization, rtol=1e-9, atol=1e-12)


def test_antithetic_pairs_start_without_a_gap(tmp_path: Path) -> None:
    """One initialisation and its halves in both roles: what the halves differ in cancels, seed by seed."""
    paired = course_of(networks(TurnOverDropout(n_masks=6, p=0.5, antithetic=True)), tmp_path)
    assert paired.memorization[:, 0].abs().max() < 1e-15
    assert paired.memorization[:, -1].abs().max() > 1e-3
    single = course_of(networks(TurnOverDropout(n_masks=6, p=0.5)), tmp_path)
    assert single.memorization[:, 0].abs().max() > 1e-3


def test_more_masks_train_only_what_is_new(tmp_path: Path) -> None:
    small = course_of(networks(TurnOverDropout(n_masks=BLOCK)), tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")}
    large = networks(TurnOverDropout(n_masks=BLOCK + 3))
    course = course_of(large, tmp_path)
    after = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")}
    assert len(before) == 1
    assert len(after) == 2
    assert {path: after[path] for path in before} == before
    assert torch.equal(course.seen[:BLOCK], small.seen)
    assert [shard.reused for shard in gather(large, stored_in(tmp_path))] == [True, True]


def test_what_decides_the_answers_is_another_key(tmp_path: Path) -> None:
    of = networks()
    others = [
        networks(TurnOverDropout(n_masks=3, p=0.5)),
        networks(epochs=3),
        MaskedNetworks(of.trainer, of.estimator, 2, STEPS),
        MaskedNetworks(of.trainer, of.estimator, 1, STEPS[1:]),
    ]
    assert len({one.key for one in (of, *others)}) == 5
    assert networks(TurnOverDropout(n_masks=9)).key == of.key


def test_processes_train_the_same(tmp_path: Path) -> None:
    of = networks(TurnOverDropout(n_masks=BLOCK + 1))
    there = networks(TurnOverDropout(n_masks=BLOCK + 1))
    course = trained(there, stored_in(tmp_path / "there", executor=LocalProcesses(2)))
    torch.testing.assert_close(course.seen, course_of(of, tmp_path / "here").seen)


def test_a_training_that_diverges_is_told_and_not_stored(tmp_path: Path) -> None:
    with pytest.raises(
        TrainingError, match="training diverged: outputs of networks with masks are not finite; lower the learning"
    ):
        course_of(networks(learning_rate=1e30), tmp_path)
    assert not list(tmp_path.rglob("*.safetensors"))


def test_learning_times_are_means_over_trainings(tmp_path: Path) -> None:
    of, n_done = trainer(epochs=5), []
    found = trained(
        LearningTimes(of, 7, 3), stored_in(tmp_path), progress=lambda _what, done, _all: n_done.append(done)
    )
    by_training = []
    for number in range(3):
        runs = of.train(of.course(seeds=[derive(7, "training", number)], checkpoints=range(4, 21, 4)))
        answers = [runs.outputs(of.data.train, step=step)[0].argmax(-1) for step in range(4, 21, 4)]
        by_training.append(learning_times(torch.stack(answers) == of.data.train.labels).double())
    torch.testing.assert_close(found, torch.stack(by_training).mean(0))
    assert n_done == [1]


def test_subset_memorization_needs_points_on_both_sides(tmp_path: Path) -> None:
    def memorization(n_trainings: int) -> Tensor:
        return subset_memorization(
            trainer(), 7, n_trainings=n_trainings, resources=stored_in(tmp_path), what="", progress=no_progress
        )

    assert memorization(40).shape == (20,)
    with pytest.raises(UsageError, match=r"\[dynamics\] difficulty_trainings = 2 is too small: \d+ of 20 train points"):
        memorization(2)


def test_quantiles_have_the_easiest_first_and_break_ties_by_the_given_order() -> None:
    difficulty, order = torch.tensor([3.0, 1.0, 1.0, 1.0, 2.0, 9.0]), torch.tensor([0, 5, 4, 3, 1, 2])
    groups = by_difficulty(torch.tensor([0, 1, 2, 3, 4]), difficulty, order, n_groups=2)
    assert [group.tolist() for group in groups] == [[3, 2, 1], [4, 0]]


def test_shards_hold_what_the_networks_answer(tmp_path: Path) -> None:
    of = networks()
    answers: Mapping[str, Tensor] = of.compute("block-00000")
    assert {half: answer.shape for half, answer in answers.items()} == dict.fromkeys(
        ("seen", "unseen"), (BLOCK, len(STEPS), 20)
    )
