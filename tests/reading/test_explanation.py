"""One point of a run, held against the stored tables themselves."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from influbench.engine import run
from influbench.errors import StoreError, UnknownNameError, UsageError
from influbench.plan import Plan
from influbench.reading.explanation import explain_test, explain_train
from influbench.reading.stored import Stored, read_stored
from influbench.results import Account, Strongest
from influbench.store.files import Arrays, write_arrays
from influbench.store.run_directory import read_scores, scores_place
from tests.engine.test_run import plan
from tests.plugins import registry
from tests.problems import stored_in

TWO = '["blobs", "blobs[n_train=24]"]'


def stored(of: Plan, tmp_path: Path, problem: str | None = None) -> Stored:
    for _ in run(of, directory=tmp_path / "out", resources=stored_in(tmp_path / "cache"), registry=registry()):
        pass
    return read_stored(tmp_path / "out", problem)


def rewritten(of: Stored, name: str, **tensors: Tensor) -> Stored:
    """The same run with other scores of one estimator, or of the truth."""
    place = scores_place(of.name, name)
    scores = {**read_scores(of.directory, place), **tensors}
    write_arrays(of.directory / place, Arrays(scores, {}))
    return read_stored(of.directory)


def account(accounts: tuple[Account, ...], name: str) -> Account:
    return next(one for one in accounts if one.name == name)


def ids(found: Strongest) -> list[int]:
    return [point.id for point in found.points]


def test_proponents_and_opponents_are_in_the_order_of_the_truth(tmp_path: Path) -> None:
    of = stored(plan(["random", "same_label"], more="random_labels = 0.5"), tmp_path)
    truth = of.truth
    for column, test_id in enumerate(truth["test_ids"].tolist()):
        found = explain_test(of, test_id, k=4)
        effects = dict(zip(truth["train_ids"].tolist(), truth["influence"][:, column].tolist(), strict=True))
        by_effect = sorted(effects, key=lambda point: effects[point])
        helps, hurts = found.accounts[0].helps, found.accounts[0].hurts
        assert ids(helps) == [point for point in reversed(by_effect) if effects[point] > 0][:4]
        assert ids(hurts) == [point for point in by_effect if effects[point] < 0][:4]
        labels = dict(zip(truth["train_ids"].tolist(), truth["train_labels"].tolist(), strict=True))
        wrong = dict(zip(truth["train_ids"].tolist(), truth["label_wrong"].tolist(), strict=True))
        for point in (*helps.points, *hurts.points):
            assert (point.effect, point.label, point.wrong) == (effects[point.id], labels[point.id], wrong[point.id])
        assert (found.side, found.point.id, found.point.label) == ("test", test_id, truth["test_labels"][column])
    assert truth["label_wrong"].any()


def test_a_train_points_account_is_its_row_of_the_table(tmp_path: Path) -> None:
    of = stored(plan(["random", "same_label"], more="random_labels = 0.5"), tmp_path)
    effects, test_ids = of.truth["influence"], of.truth["test_ids"]
    for row, train_id in enumerate(of.truth["train_ids"].tolist()):
        found = explain_train(of, train_id, k=3)
        order = effects[row].argsort(descending=True)
        positive, negative = (sign * effects[row] > 0 for sign in (1, -1))
        assert ids(found.accounts[0].helps) == test_ids[[at for at in order.tolist() if positive[at]]][:3].tolist()
        assert (
            ids(found.accounts[0].hurts) == test_ids[[at for at in order.tolist()[::-1] if negative[at]]][:3].tolist()
        )
        assert [one.name for one in found.memorization] == ["truth", "random"]
        for one in found.memorization:
            scores = of.accounts[one.name]["memorization"]
            assert one.value == scores[row]
            assert one.rank == 1 + sum(score > scores[row] for score in scores)
        assert not any(point.wrong for one in found.accounts for point in one.helps.points)
        assert found.point.wrong == of.truth["label_wrong"][row]


def test_an_estimator_that_is_the_truth_finds_all_and_one_of_the_opposite_sign_nothing(tmp_path: Path) -> None:
    of = stored(plan(["random", "same_label"]), tmp_path)
    truth = of.truth["influence"]
    of = rewritten(of, "random", influence=1000 * truth)
    of = rewritten(of, "same_label", influence=-truth)
    accounts = explain_test(of, of.example("test"), k=3).accounts
    assert [one.name for one in accounts] == ["truth", "random", "same_label"]
    helps, hurts = accounts[0].helps, accounts[0].hurts
    assert (ids(accounts[1].helps), ids(accounts[1].hurts)) == (ids(helps), ids(hurts))
    assert (accounts[1].helps.found, accounts[1].hurts.found) == (len(helps.points), len(hurts.points))
    assert (ids(accounts[2].helps), ids(accounts[2].hurts)) == (ids(hurts), ids(helps))
    assert (accounts[2].helps.found, accounts[2].hurts.found) == (0, 0)
    assert helps.found is hurts.found is None


def test_points_that_tie_for_the_last_place_share_it(tmp_path: Path) -> None:
    of = stored(plan(["random", "same_label"]), tmp_path)
    n_train, n_test = of.truth["influence"].shape
    truth, tied = torch.zeros(n_train, n_test), torch.zeros(n_train, n_test)
    truth[:3] = torch.tensor([3.0, 2.0, -1.0])[:, None]
    tied[1:6] = 1.0
    tied[8] = 2.0
    of = rewritten(rewritten(of, "truth", influence=truth), "random", influence=tied)
    found = explain_test(of, int(of.truth["test_ids"][0]), k=3)
    by_truth, by_random = found.accounts[0], account(found.accounts, "random")
    train_ids = of.truth["train_ids"].tolist()
    assert ids(by_truth.helps) == [train_ids[0], train_ids[1]]  # the others are of no effect
    assert ids(by_truth.hurts) == [train_ids[2]]
    assert ids(by_random.helps) == [train_ids[8], train_ids[1], train_ids[2]]
    assert by_random.helps.n_tied == 3
    assert by_random.helps.found == pytest.approx(
        2 / 5
    )  # two places for five points, and one of the truth's among them
    assert (by_random.hurts.points, by_random.hurts.found, by_random.hurts.n_tied) == ((), 0, 0)


def test_of_regression_there_is_no_memorization(tmp_path: Path) -> None:
    of = stored(plan(["random"], dataset='"line"', model='"linear"'), tmp_path)
    found = explain_train(of, of.example("train"))
    assert found.memorization == ()
    assert isinstance(found.point.label, float)
    assert found.accounts[0].helps.points or found.accounts[0].hurts.points


def test_of_an_estimator_that_ran_several_times_the_first_is_shown(tmp_path: Path) -> None:
    of = stored(plan(["random", "same_label", "train_loss"]).changed(repeats=3), tmp_path)
    found = explain_test(of, of.example("test"), k=1)
    column = of.row("test", found.point.id)
    first = of.estimates["random"]["influence"][:, column]
    assert account(found.accounts, "random").helps.points[0].effect == first.max()
    assert found.notes == ("random, train_loss: the first of their draws",)


def test_what_is_not_known_is_one_sentence_with_what_is(tmp_path: Path) -> None:
    of = stored(plan(["random"], dataset=TWO), tmp_path, "blobs[n_train=24], mlp[hidden=[8]]")
    assert of.truth["influence"].shape[0] == 24
    with pytest.raises(UsageError) as caught:
        explain_test(of, 123456)
    assert str(caught.value) == (
        f"{of.name} has no test point with the id 123456; there is, for instance, {of.example('test')}"
    )
    assert explain_test(of, of.example("test")).point.id == of.example("test")
    train_id = of.example("train")
    assert of.truth["memorization"].max() == of.truth["memorization"][of.row("train", train_id)]
    if train_id not in of.truth["test_ids"].tolist():
        with pytest.raises(UsageError, match=rf"no test point with the id {train_id} \(a train point has it\); there"):
            explain_test(of, train_id)
    with pytest.raises(UsageError, match=r"several problems; choose one with --problem: 'blobs, .*' or 'blobs\[n_tr"):
        read_stored(tmp_path / "out")
    with pytest.raises(
        UnknownNameError, match=r"has no problem 'blobs, mlp\[hidden=\[9\]\]'; did you mean 'blobs, mlp"
    ):
        read_stored(tmp_path / "out", "blobs, mlp[hidden=[9]]")


def test_a_run_of_which_only_the_result_was_kept_is_one_sentence(tmp_path: Path) -> None:
    of = stored(plan(["random"]), tmp_path)
    (of.directory / scores_place(of.name, "truth")).unlink()
    with pytest.raises(
        UsageError, match=r"holds no scores of blobs, .*; run its plan\.toml again with -o NEW_DIRECTORY"
    ):
        read_stored(of.directory)


def test_scores_of_other_points_are_refused(tmp_path: Path) -> None:
    of = stored(plan(["random"]), tmp_path)
    with pytest.raises(StoreError, match=r"random\.safetensors is of other points than the truth beside it"):
        rewritten(of, "random", train_ids=of.truth["train_ids"].flip(0))


def test_the_truth_is_explained_where_every_estimator_failed(tmp_path: Path) -> None:
    found = stored(plan(["turn_over_dropout"], model='"linear"'), tmp_path)
    assert [one.name for one in explain_test(found, found.example("test")).accounts] == ["truth"]
