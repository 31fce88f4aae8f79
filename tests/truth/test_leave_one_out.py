"""The ground truth, against closed forms and against retraining by hand."""

import shutil
from pathlib import Path

import pytest
import torch

from influbench.api import Shard
from influbench.errors import TrainingError
from influbench.models.linear import Linear
from influbench.resources import Resources
from influbench.shards import gather, in_order, trained
from influbench.store.cache import Cache
from influbench.truth.leave_one_out import GroundTruth, Truth, leave_out
from tests.problems import blobs, line, stored_in, trainer


def truth_of(of, cache: Cache, *, n_seeds: int = 2, root_seed: int = 0) -> tuple[Truth, list[Shard]]:  # type: ignore[no-untyped-def]
    ground_truth = GroundTruth(of, root_seed, n_seeds=n_seeds)
    shards = in_order(list(gather(ground_truth, Resources(cache=cache))))
    return ground_truth.assemble(shards), shards


@pytest.mark.parametrize("bias", [True, False])
def test_least_squares_equals_the_closed_form(bias: bool, tmp_path: Path) -> None:
    """Residuals without i follow from the hat matrix: beta - beta_i = (X'X)^-1 x_i e_i / (1 - h_ii)."""
    data = line()
    of = trainer(data, Linear(bias=bias), learning_rate=0.05, momentum=0.5, batch_size=20, epochs=1500)
    truth, _ = truth_of(of, Cache(tmp_path))

    def design(inputs: torch.Tensor) -> torch.Tensor:
        return torch.cat([inputs, torch.ones(len(inputs), 1, dtype=torch.float64)], dim=1) if bias else inputs

    x, z, y = design(data.train.inputs), design(data.test.inputs), data.train.labels
    inverse = torch.linalg.inv(x.T @ x)
    beta = inverse @ x.T @ y
    residual, leverage = y - x @ beta, (x @ inverse * x).sum(1)
    beta_without = beta - (x @ inverse) * (residual / (1 - leverage))[:, None]  # (n_train, n_features)
    loss_with = (data.test.labels - z @ beta).square()
    loss_without = (data.test.labels - beta_without @ z.T).square()
    expected = loss_without - loss_with
    torch.testing.assert_close(truth.influence, expected.expand(2, -1, -1), rtol=1e-6, atol=1e-6)
    assert truth.memorization is None


def test_own_residuals_equal_the_closed_form() -> None:
    """The leave-one-out residual of i itself is e_i / (1 - h_ii)."""
    data = line()
    of = trainer(data, Linear(bias=False), learning_rate=0.05, momentum=0.5, batch_size=20, epochs=1500)
    own = leave_out(of, 1, range(20))[f"own/neg_loss@{of.n_steps}"]
    x, y = data.train.inputs, data.train.labels
    hat = x @ torch.linalg.inv(x.T @ x) @ x.T
    residual = y - hat @ y
    expected = (residual / (1 - hat.diagonal())).square() - residual.square()
    torch.testing.assert_close(own, expected, rtol=1e-6, atol=1e-6)


def test_effects_equal_retraining_by_hand() -> None:
    of = trainer()
    effects = leave_out(of, 3, range(20))
    for i in (0, 7, 19):
        with_all = of.train(of.course(seeds=[3]))
        without = of.train(of.course((torch.arange(20) != i).double()[None], seeds=[3]))
        for measure in ("neg_loss", "margin", "p_correct"):

            def measured(split, runs, measure=measure):  # type: ignore[no-untyped-def]
                return runs.measured_by([measure], split)[measure]

            difference = measured(of.data.test, with_all) - measured(of.data.test, without)
            torch.testing.assert_close(effects[f"influence/{measure}@8"][i], difference[0], rtol=1e-9, atol=1e-12)
            itself = of.data.train.rows(slice(i, i + 1))
            own = measured(itself, with_all) - measured(itself, without)
            torch.testing.assert_close(effects[f"own/{measure}@8"][i], own[0, 0], rtol=1e-9, atol=1e-12)


def test_signs_a_copy_of_the_test_point_helps_and_a_mislabelled_copy_hurts() -> None:
    data = blobs()
    data.train.inputs[0] = data.train.inputs[1] = data.test.inputs[2]
    data.train.labels[0] = data.test.labels[2]
    data.train.labels[1] = (data.test.labels[2] + 1) % 3
    effects = leave_out(trainer(data, epochs=10), 1, range(20))
    assert effects["influence/neg_loss@40"][0, 2] > 0
    assert effects["influence/neg_loss@40"][1, 2] < 0


def test_the_grid_of_shards_is_fixed() -> None:
    names = GroundTruth(trainer(blobs(n_train=130)), 0, n_seeds=2).names
    assert names == [f"seed-000{s}/block-0000{b}" for s in range(2) for b in range(3)]
    assert len(GroundTruth(trainer(blobs(n_train=64)), 0).names) == 1


def test_blocks_join_in_row_order(tmp_path: Path) -> None:
    of = trainer(blobs(n_train=70), epochs=1)
    truth, shards = truth_of(of, Cache(tmp_path), n_seeds=1)
    assert len(shards) == 2
    wanted = GroundTruth(of, 0, n_seeds=1)
    assert sum(wanted.trainings_in(name) for name in wanted.names) == 72
    for i in (0, 63, 64, 69):
        by_hand = leave_out(of, GroundTruth(of, 0).seed(0), [i])[f"influence/neg_loss@{of.n_steps}"][0]
        torch.testing.assert_close(truth.influence[0, i], by_hand, rtol=1e-9, atol=1e-12)


def test_stored_shards_are_reused_and_more_seeds_only_add(tmp_path: Path) -> None:
    of, cache = trainer(), Cache(tmp_path)
    first, computed = truth_of(of, cache, n_seeds=2)
    again, reused = truth_of(of, cache, n_seeds=3)
    assert [shard.reused for shard in computed] == [False, False]
    assert [shard.reused for shard in reused] == [True, True, False]
    assert torch.equal(first.influence, again.influence[:2])
    assert [shard.seconds for shard in reused[:2]] == [shard.seconds for shard in computed]


def test_another_root_seed_is_another_truth(tmp_path: Path) -> None:
    of, cache = trainer(), Cache(tmp_path)
    first, _ = truth_of(of, cache)
    other, shards = truth_of(of, cache, root_seed=1)
    assert not any(shard.reused for shard in shards)
    assert not torch.equal(first.influence, other.influence)


def test_a_damaged_shard_is_named_and_computed_again(tmp_path: Path) -> None:
    of, cache = trainer(), Cache(tmp_path)
    first, _ = truth_of(of, cache)
    stored = sorted(tmp_path.rglob("*.safetensors"))
    content = bytearray(stored[0].read_bytes())
    content[-5] ^= 1
    stored[0].write_bytes(content)
    stored[1].write_bytes(stored[1].read_bytes()[:-40])
    again, shards = truth_of(of, cache)
    for shard, path in zip(shards, stored, strict=True):
        assert not shard.reused
        assert shard.warning is not None
        assert str(path) in shard.warning
        assert "is damaged" in shard.warning
    assert torch.equal(first.influence, again.influence)
    assert all(shard.reused for shard in truth_of(of, cache)[1])


def test_a_shard_in_the_place_of_another_is_named_and_computed_again(tmp_path: Path) -> None:
    of, cache = trainer(blobs(n_train=70), epochs=1), Cache(tmp_path)
    first, _ = truth_of(of, cache)
    (folder,) = (tmp_path / "truth").iterdir()
    shutil.rmtree(folder / "seed-0001")
    shutil.copytree(folder / "seed-0000", folder / "seed-0001")
    again, shards = truth_of(of, cache)
    assert [shard.reused for shard in shards] == [True, True, False, False]
    for block, shard in enumerate(shards[2:]):
        place = f"truth/{folder.name}/seed-000{{}}/block-0000{block}"
        assert shard.warning == (
            f"{tmp_path / place.format(1)}.safetensors is in the wrong place: it was written as {place.format(0)}; "
            "it is computed again"
        )
    assert torch.equal(again.influence, first.influence)


def test_effects_at_checkpoints_are_those_of_a_shorter_look(tmp_path: Path) -> None:
    of = trainer()
    ground_truth = GroundTruth(of, 0, steps=(0, 3))
    truth = trained(ground_truth, stored_in(tmp_path))
    assert ground_truth.kept_steps == [0, 3, 8]
    assert (truth.earlier[0].influence == 0).all()
    with_all = of.train(of.course(seeds=[ground_truth.seed(0)], checkpoints=[3]))
    without = of.train(of.course((torch.arange(20) != 5).double()[None], seeds=[ground_truth.seed(0)], checkpoints=[3]))
    effect = with_all.measured(of.data.test, step=3) - without.measured(of.data.test, step=3)
    torch.testing.assert_close(truth.earlier[3].influence[0, 5], effect[0], rtol=1e-9, atol=1e-12)
    assert torch.equal(truth.influence, truth_of(of, Cache(tmp_path), n_seeds=1)[0].influence)
    assert ground_truth.key != GroundTruth(of, 0).key


def test_a_training_that_diverges_is_an_error_and_is_not_stored(tmp_path: Path) -> None:
    of = trainer(line(), Linear(), learning_rate=1e6, epochs=100)
    with pytest.raises(TrainingError, match=r"diverged.*which is 1000000\.0"):
        truth_of(of, Cache(tmp_path))
    assert not list(tmp_path.rglob("*.safetensors"))
