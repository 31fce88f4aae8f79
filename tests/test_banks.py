"""Banks of subset trainings: stored, extended, and one for each role."""

from pathlib import Path

import pytest
import torch

from influbench.banks import BLOCK, SubsetBank, subsets
from influbench.errors import TrainingError
from influbench.models.linear import Linear
from influbench.problem import TrainingProblem
from influbench.resources import Resources
from influbench.seeds import derive
from influbench.shards import gather, trained
from influbench.store.cache import Cache
from influbench.store.files import Arrays
from tests.problems import judged, line, problem, stored_in, trainer
from tests.test_seeds import reference_hash


def test_answers_equal_trainings_one_by_one(tmp_path: Path) -> None:
    of = trainer()
    bank = trained(SubsetBank(of, 3, n_models=3, ratio=0.5), stored_in(tmp_path))
    assert (bank.weights.sum(1) == 10).all()
    for model in range(3):
        alone = of.train(
            of.course(bank.weights[model : model + 1], seeds=[derive(3, "model", model)], normalizer="kept")
        )
        torch.testing.assert_close(bank.on_test[model], alone.measured(of.data.test)[0], rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(bank.on_train[model], alone.measured(of.data.train)[0], rtol=1e-9, atol=1e-12)
        assert bank.p_correct is not None
        torch.testing.assert_close(bank.p_correct[model], alone.p_correct(of.data.train)[0], rtol=1e-9, atol=1e-12)


def test_a_larger_bank_contains_the_smaller_and_trains_only_what_is_new(tmp_path: Path) -> None:
    of, cache = trainer(epochs=1), Cache(tmp_path)
    small = trained(SubsetBank(of, 3, n_models=BLOCK, ratio=0.5), Resources(cache=cache))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")}
    large = trained(SubsetBank(of, 3, n_models=BLOCK + 5, ratio=0.5), Resources(cache=cache))
    after = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")}
    assert torch.equal(large.on_test[:BLOCK], small.on_test)
    assert torch.equal(large.weights[:BLOCK], small.weights)
    assert large.on_test.shape == (BLOCK + 5, 8)
    assert len(after) == 2
    assert {path: after[path] for path in before} == before


def test_every_estimator_is_given_the_same_bank_and_pays_for_it(tmp_path: Path) -> None:
    of, cache = trainer(), Cache(tmp_path)
    views = [TrainingProblem(of, seed=seed, bank_seed=2, resources=Resources(cache=cache)) for seed in (1, 9)]
    banks = [view.bank(n_models=3, ratio=0.5) for view in views]
    assert torch.equal(banks[0].on_test, banks[1].on_test)
    assert [view.meter.trainings for view in views] == [1.5, 1.5]


def test_the_truths_banks_are_not_the_estimators(tmp_path: Path) -> None:
    of = trainer()
    ours = [judged(of).subsets(n_models=4, ratio=0.5, repeat=repeat) for repeat in range(2)]
    theirs = SubsetBank(of, 2, n_models=4, ratio=0.5)
    assert len({theirs.folder, *(bank.folder for bank in ours)}) == 3
    first, second, bank = (trained(one, stored_in(tmp_path)) for one in (*ours, theirs))
    assert not torch.equal(first.weights, bank.weights)
    assert not torch.equal(first.on_test, bank.on_test)
    assert torch.equal(first.weights, second.weights)
    assert not torch.equal(first.on_test, second.on_test)


def test_answers_after_earlier_steps_are_those_of_the_same_trainings_cut_short(tmp_path: Path) -> None:
    of = trainer()
    bank = trained(SubsetBank(of, 3, n_models=3, ratio=0.5, steps=(2, of.n_steps)), stored_in(tmp_path))
    plain = trained(SubsetBank(of, 3, n_models=3, ratio=0.5), stored_in(tmp_path))
    assert bank.earlier.keys() == {2}
    assert torch.equal(bank.on_test, plain.on_test)
    assert torch.equal(bank.after(of.n_steps).on_test, plain.on_test)
    earlier = bank.after(2)
    assert torch.equal(earlier.weights, bank.weights)
    for model in range(3):
        seeds, weights = [derive(3, "model", model)], bank.weights[model : model + 1]
        alone = of.train(of.course(weights, seeds=seeds, normalizer="kept", checkpoints=[2]))
        torch.testing.assert_close(earlier.on_test[model], alone.measured(of.data.test, step=2)[0], rtol=1e-9, atol=0)
        torch.testing.assert_close(earlier.on_train[model], alone.measured(of.data.train, step=2)[0], rtol=1e-9, atol=0)
    assert not torch.allclose(earlier.on_test, bank.on_test)


def test_subsets_follow_ids() -> None:
    ids = torch.arange(30) * 3 + 1
    order = torch.randperm(30, generator=torch.Generator().manual_seed(0))
    assert torch.equal(
        subsets(ids[order], 4, models=range(5), ratio=0.7), subsets(ids, 4, models=range(5), ratio=0.7)[:, order]
    )


def test_a_subset_has_the_points_with_the_smallest_hashes_of_their_ids() -> None:
    ids = [5, 900, 17, 3, 44, 10**8, 6]
    found = subsets(torch.tensor(ids), 4, models=(0, 3), ratio=0.6)
    for row, model in zip(found, (0, 3), strict=True):
        hashes = {example: reference_hash(derive(4, "subset", model), example) for example in ids}
        first = sorted(ids, key=lambda example, hashes=hashes: hashes[example])[:4]  # round(.6 * 7)
        assert row.tolist() == [float(example in first) for example in ids]


def test_a_repeat_has_the_same_subsets_and_seeds_of_its_own(tmp_path: Path) -> None:
    of = trainer(epochs=1)
    first, again = (
        trained(SubsetBank(of, 3, n_models=2, ratio=0.5, repeat=repeat), stored_in(tmp_path)) for repeat in (0, 2)
    )
    assert torch.equal(first.weights, again.weights)
    for model in range(2):
        seeds, weights = [derive(3, "model, repeat 2", model)], again.weights[model : model + 1]
        alone = of.train(of.course(weights, seeds=seeds, normalizer="kept"))
        torch.testing.assert_close(again.on_test[model], alone.measured(of.data.test)[0], rtol=1e-9, atol=1e-12)


def test_regression_has_no_p_correct() -> None:
    assert problem(trainer(line(), Linear())).bank(n_models=3, ratio=0.5).p_correct is None


@pytest.mark.parametrize("n_models", [1, 64, 65])
@pytest.mark.parametrize(("ratio", "n_kept"), [(0.5, 10), (0.33, 7), (1, 20)])
def test_the_cost_is_that_of_the_models_asked_for(n_models: int, ratio: float, n_kept: int) -> None:
    view = problem(trainer(epochs=2))
    bank = view.bank(n_models=n_models, ratio=ratio)
    assert bank.weights.sum() == n_models * n_kept
    assert view.meter.spent == view.meter.announced == n_models * n_kept * 2


def test_the_cost_is_that_of_training_the_same_networks() -> None:
    banked, by_hand = problem(trainer(epochs=2)), problem(trainer(epochs=2))
    weights = banked.bank(n_models=3, ratio=0.33).weights
    by_hand.train(weights, replicates=range(3), normalizer="kept")
    assert banked.meter.spent == by_hand.meter.spent


def test_a_bank_that_diverges_is_an_error_and_is_not_stored(tmp_path: Path) -> None:
    of = trainer(line(), Linear(), learning_rate=1e6, epochs=100)
    with pytest.raises(TrainingError, match=r"diverged: measures of networks trained on subsets.*which is 1000000\.0"):
        trained(SubsetBank(of, 3, n_models=3, ratio=0.5), stored_in(tmp_path))
    assert not list(tmp_path.rglob("*.safetensors"))


def test_a_stored_piece_that_is_not_finite_is_computed_again(tmp_path: Path) -> None:
    bank, cache = SubsetBank(trainer(), 3, n_models=3, ratio=0.5), Cache(tmp_path)
    (right,) = gather(bank, Resources(cache=cache))
    place = f"{bank.folder}/{right.name}"
    cache.discard(place)
    cache.write(place, Arrays({name: values / 0 for name, values in right.tensors.items()}, {"seconds": "1.0"}))
    (again,) = gather(bank, Resources(cache=cache))
    assert not again.reused
    assert again.warning is not None
    assert again.warning.endswith("block-00000.safetensors holds values that are not finite; it is computed again")
    assert all(torch.equal(again.tensors[name], values) for name, values in right.tensors.items())


def test_a_piece_holds_every_measure_of_its_models_on_all_points_after_each_step() -> None:
    of = trainer()
    n_points = len(of.data.train) + len(of.data.test)
    assert SubsetBank(of, 3, n_models=3, ratio=0.5).values_in("block-00000") == BLOCK * n_points * 3
    assert SubsetBank(of, 3, n_models=3, ratio=0.5, steps=(1, 2)).values_in("block-00000") == BLOCK * n_points * 3 * 3
