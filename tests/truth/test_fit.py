"""The accuracy of the truth's ordinary trainings, against sklearn and by hand."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from sklearn.metrics import accuracy_score, r2_score

from influbench.api import Data, Split
from influbench.models.linear import Linear
from influbench.shards import stored, trained
from influbench.store.cache import Cache
from influbench.truth.fit import OrdinaryTrainings
from influbench.truth.leave_one_out import GroundTruth
from tests.problems import blobs, line, stored_in, trainer


def outputs(ground_truth: GroundTruth, seed: int, split: Split) -> torch.Tensor:
    """The outputs of the truth's ordinary training of this seed."""
    of = ground_truth.trainer
    return of.train(of.course(seeds=[ground_truth.seed(seed)])).outputs(split)[0]


def test_accuracy_is_that_of_the_truths_seeds(tmp_path: Path) -> None:
    ground_truth = GroundTruth(trainer(blobs(n_train=31), epochs=1), 5, n_seeds=3)
    fit = trained(OrdinaryTrainings.of(ground_truth), stored_in(tmp_path))
    data = ground_truth.trainer.data
    for which, split in (("train", data.train), ("test", data.test)):
        by_hand = [accuracy_score(split.labels, outputs(ground_truth, seed, split).argmax(1)) for seed in range(3)]
        values = torch.tensor(by_hand, dtype=torch.float64)
        assert getattr(fit, which) == pytest.approx(values.mean().item())
        assert getattr(fit, f"{which}_sd") == pytest.approx(values.std().item())
    assert (fit.statistic, fit.n_seeds, fit.n_test) == ("accuracy", 3, 8)
    assert fit.train_majority == pytest.approx(11 / 31)
    assert 0 < fit.test_majority < 1  # type: ignore[operator]


def test_regression_has_r2(tmp_path: Path) -> None:
    ground_truth = GroundTruth(trainer(line(), Linear(), epochs=20), 5, n_seeds=2)
    fit = trained(OrdinaryTrainings.of(ground_truth), stored_in(tmp_path))
    data = ground_truth.trainer.data
    for which, split in (("train", data.train), ("test", data.test)):
        by_hand = [r2_score(split.labels, outputs(ground_truth, seed, split)) for seed in range(2)]
        assert getattr(fit, which) == pytest.approx(sum(by_hand) / 2, rel=1e-6)
    assert fit.statistic == "R2"
    assert (fit.train_majority, fit.test_majority) == (None, None)


def test_r2_of_labels_that_are_all_equal_is_not_defined(tmp_path: Path) -> None:
    data = line()
    test = replace(data.test, labels=torch.full_like(data.test.labels, 2.0))
    ground_truth = GroundTruth(trainer(Data(data.train, test, None), Linear(), epochs=1), 5, n_seeds=2)
    fit = trained(OrdinaryTrainings.of(ground_truth), stored_in(tmp_path))
    assert fit.train is not None
    assert (fit.test, fit.test_sd) == (None, None)


def test_one_seed_has_no_spread(tmp_path: Path) -> None:
    fit = trained(OrdinaryTrainings.of(GroundTruth(trainer(), 5)), stored_in(tmp_path))
    assert fit.train is not None
    assert (fit.train_sd, fit.test_sd) == (None, None)


def test_what_is_stored_is_known_without_training_and_more_seeds_only_add(tmp_path: Path) -> None:
    ground_truth, cache = GroundTruth(trainer(), 5, n_seeds=2), Cache(tmp_path)
    work = OrdinaryTrainings.of(ground_truth)
    assert stored(work, cache) is None
    assert not list(tmp_path.iterdir())
    fit = trained(work, stored_in(tmp_path))
    assert stored(work, cache) == fit
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")}
    more = OrdinaryTrainings.of(replace(ground_truth, n_seeds=3))
    assert stored(more, cache) is None
    trained(more, stored_in(tmp_path))
    after = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")}
    assert len(after) == 3
    assert {path: after[path] for path in before} == before
    next(iter(before)).write_bytes(b"damaged")
    assert stored(work, cache) is None


def test_another_root_seed_is_another_fit() -> None:
    of = trainer()
    assert OrdinaryTrainings.of(GroundTruth(of, 1)).folder != OrdinaryTrainings.of(GroundTruth(of, 2)).folder
