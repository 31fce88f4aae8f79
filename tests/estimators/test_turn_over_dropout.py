"""Exact properties of turn-over dropout, and bits that must never change."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor

from influbench.errors import ModelError
from influbench.estimators.turn_over_dropout.estimator import TurnOverDropout
from influbench.estimators.turn_over_dropout.masks import HashedMasks
from influbench.estimators.turn_over_dropout.scoring import influence_scores, memorization_scores
from influbench.models.linear import Linear
from influbench.models.mlp import Mlp
from influbench.seeds import derive
from tests.problems import ResidualModel, blobs, line, problem, trainer
from tests.test_seeds import reference_hash

GOLDEN = {  # from the reference in Python integers of tests/test_seeds.py
    3: "0001111110010100",
    10**8: "1111110111111110",
    2**62: "1101100011101000",
}


@dataclass(frozen=True, eq=False)
class Chosen:
    """Masks in which example `to` gets the mask of example `of`, or its complement."""

    masks: HashedMasks
    of: int
    to: int
    complement: bool = False

    @property
    def sites(self) -> Sequence[str]:
        return self.masks.sites

    @property
    def p(self) -> float:
        return self.masks.p

    def flipped(self) -> "Chosen":
        return replace(self, masks=self.masks.flipped())

    def __call__(self, site: str, ids: Tensor, replicas: slice, *, step: int) -> Tensor:
        factors = self.masks(site, ids, replicas, step=step)
        borrowed = self.masks(site, torch.tensor([self.of]), replicas, step=step)
        borrowed = 2 - borrowed if self.complement else borrowed
        ids = ids.expand(factors.shape[:2])
        return torch.where((ids == self.to)[..., None], borrowed, factors)


def test_mask_bits_never_change() -> None:
    masks = HashedMasks([11], {"2": 16})
    for example, expected in GOLDEN.items():
        bits = masks.bits("2", torch.tensor([example]), slice(0, 1))[0, 0]
        assert "".join(str(int(bit)) for bit in bits) == expected


def test_groups_and_balanced_numbers_come_from_the_hash_of_an_id() -> None:
    """In Python integers: an example's group, the order of its units, and whether it has one unit more."""
    one = slice(0, 1)
    for example in (3, 10**8, 2**62):
        ids = torch.tensor([example])
        group = reference_hash(derive(11, "group"), example) % 5
        units = [reference_hash(derive(11, "site", "2"), group, unit) for unit in range(16)]
        grouped = HashedMasks([11], {"2": 16}, n_groups=5).bits("2", ids, one)[0, 0]
        assert grouped.tolist() == [unit % 2**64 >> 11 < 2**52 for unit in units]
    for example in range(20):
        units = [reference_hash(derive(11, "site", "2"), example, unit) for unit in range(9)]
        chance = reference_hash(derive(11, "number", "2"), example) % 2**64 >> 11
        n_drawn = 4 + (chance < 2**52)  # 4.5 on average
        balanced = HashedMasks([11], {"2": 9}, 0.5, balanced=True).bits("2", torch.tensor([example]), one)[0, 0]
        assert balanced.tolist() == [unit in sorted(units)[:n_drawn] for unit in units]


def test_swapped_replicas_have_their_halves_the_other_way_round() -> None:
    masks = HashedMasks([1, 2, 3], {"a": 16}, swapped=(False, True, True))
    plain, ids = HashedMasks([1, 2, 3], {"a": 16}), torch.arange(20)
    assert torch.equal(masks.bits("a", ids, slice(0, 1)), plain.bits("a", ids, slice(0, 1)))
    assert torch.equal(masks.bits("a", ids, slice(1, 3)), ~plain.bits("a", ids, slice(1, 3)))
    assert torch.equal(masks("a", ids, slice(1, 3)), plain.flipped()("a", ids, slice(1, 3)))
    assert torch.equal(replace(masks, swapped=()).bits("a", ids, slice(0, 3)), plain.bits("a", ids, slice(0, 3)))
    assert list(masks.sites) == ["a"]


def test_masks_depend_on_replica_site_unit_and_id_alone() -> None:
    masks = HashedMasks([1, 2], {"a": 64, "b": 64})
    ids = torch.arange(50)
    bits = masks.bits("a", ids, slice(0, 2))
    assert torch.equal(bits[1:], masks.bits("a", ids, slice(1, 2)))
    assert torch.equal(bits[:, [7, 3]], masks.bits("a", torch.tensor([7, 3]), slice(0, 2)))
    assert torch.equal(bits, masks.bits("a", ids.expand(2, -1), slice(0, 2)))
    for other in (bits[1], masks.bits("b", ids, slice(0, 1))[0], bits[0].roll(1, 0), bits[0].roll(1, 1)):
        assert 0.45 < (bits[0] == other).double().mean() < 0.55


@pytest.mark.parametrize("p", [0.5, 0.3, 0.9])
def test_halves_cover_each_unit_once_and_have_mean_one(p: float) -> None:
    own = HashedMasks([1], {"a": 200}, p)
    ids = torch.arange(500)
    kept, left = own("a", ids, slice(0, 1)), own.flipped()("a", ids, slice(0, 1))
    torch.testing.assert_close(kept * p + left * (1 - p), torch.ones(1, 500, 200).double())
    assert abs(kept.mean() - 1) < 0.02
    assert abs(left.mean() - 1) < 0.02
    assert torch.equal(own.flipped().flipped()("a", ids, slice(0, 1)), kept)


@pytest.mark.parametrize("model", [Mlp(hidden=(8,)), Mlp(hidden=(8, 6)), ResidualModel()])
def test_same_mask_same_influence_and_complementary_masks_opposite_influence(model) -> None:  # type: ignore[no-untyped-def]
    """On every test point, for p = 1/2: the same two halves of the same trained networks."""
    view = problem(trainer(model=model))
    first, second = view.data.train.ids[4].item(), view.data.train.ids[11].item()
    masks = HashedMasks([5, 6, 7], view.sites)
    for complement in (False, True):
        own = Chosen(masks, first, second, complement)
        runs = view.train(replicates=range(3), masks=own)
        scores = influence_scores(view, runs, own)
        expected = -scores[4] if complement else scores[4]
        assert scores[4].abs().max() > 1e-4
        assert (scores[11] - expected).abs().max() <= 1e-6 * scores.abs().max()


def test_swapping_the_two_masks_flips_the_sign() -> None:
    view = problem()
    own = HashedMasks([5, 6], view.sites)
    runs = view.train(replicates=range(2), masks=own)
    assert torch.equal(memorization_scores(view, runs, own), -memorization_scores(view, runs, own.flipped()))
    torch.testing.assert_close(
        influence_scores(view, runs, own), -influence_scores(view, runs, own.flipped()), rtol=1e-10, atol=1e-12
    )


def test_scores_equal_two_forward_passes_for_each_pair() -> None:
    view = problem(trainer(model=Mlp(hidden=(8, 6))))
    own = HashedMasks([5, 6], view.sites)
    runs = view.train(replicates=range(2), masks=own)
    scores = influence_scores(view, runs, own)
    data, module = view.data, view._trainer.built(0)
    for i, j in ((0, 0), (3, 7), (19, 2)):
        total = 0.0
        for replica in range(2):
            module.load_state_dict({name: p[replica] for name, p in runs.parameters().items()})
            for masks, sign in ((own, 1), (own.flipped(), -1)):
                hidden = data.test.inputs[j : j + 1]
                for name, layer in module.named_children():
                    hidden = layer(hidden)
                    if name in masks.sites:
                        hidden = hidden * masks(name, data.train.ids[i : i + 1], slice(replica, replica + 1))[0]
                total -= sign * torch.nn.functional.cross_entropy(hidden, data.test.labels[j : j + 1]).item() / 2
        assert scores[i, j].item() == pytest.approx(total, rel=1e-9)


def test_an_example_trains_only_the_units_of_its_mask() -> None:
    """One step on one example: weights into and out of the units it leaves out stay unchanged."""
    view = problem(trainer(blobs(n_train=2), epochs=1, batch_size=2, momentum=0.0))
    weights = torch.tensor([[1.0, 0.0]])
    own = HashedMasks([5], view.sites)
    runs = view.train(weights, replicates=[0], masks=own, checkpoints=[0])
    kept = own.bits("2", view.data.train.ids[:1], slice(0, 1))[0, 0]
    before, after = runs.parameters(step=0), runs.parameters()
    moved = (before["1.weight"] != after["1.weight"])[0].any(1) | (before["3.weight"] != after["3.weight"])[0].any(0)
    assert not moved[~kept].any()
    assert moved[kept].any()


@pytest.mark.slow
def test_memorization_is_higher_for_wrong_labels() -> None:
    data = blobs(n_train=30)
    data.train.labels[:5] = (data.train.labels[:5] + 1) % 3
    view = problem(trainer(data, Mlp(hidden=(32,)), epochs=60))
    scores = TurnOverDropout(n_masks=16).estimate(view).memorization
    assert scores is not None
    assert scores[:5].mean() > scores[5:].mean() + 0.1


def test_costs_its_masks_and_works_for_regression() -> None:
    view = problem(trainer(line(), Mlp(hidden=(8,))))
    estimate = TurnOverDropout(n_masks=3).estimate(view)
    assert view.meter.trainings == 3
    assert estimate.influence is not None
    assert estimate.influence.shape == (20, 6)
    assert estimate.memorization is None


def test_a_model_without_hidden_units_is_unsupported() -> None:
    assert TurnOverDropout().unsupported(problem(trainer(model=Linear()))) == (
        "the model has no hidden units: there is nothing to mask"
    )
    assert TurnOverDropout().unsupported(problem()) is None


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"n_masks": 0}, "n_masks"),
        ({"p": 0.0}, "p"),
        ({"p": 1.0}, "p"),
        ({"n_groups": 1}, "n_groups"),
        ({"n_checkpoints": 0}, "n_checkpoints"),
        ({"antithetic": True, "p": 0.4}, "antithetic needs p=0.5"),
        ({"antithetic": True, "p": 0.5, "n_masks": 3}, "antithetic needs p=0.5 and an even n_masks"),
        ({"units": "member", "sites": ("2",)}, "units=member"),
        ({"units": "member", "n_masks": 1}, "units=member"),
    ],
)
def test_parameters_out_of_range_are_refused(parameters: dict[str, float], field: str) -> None:
    with pytest.raises(ValueError, match=field):
        TurnOverDropout(**parameters)  # type: ignore[arg-type]


@pytest.mark.parametrize(("share", "units", "numbers"), [(0.5, 16, {8}), (0.25, 16, {4}), (0.5, 7, {3, 4})])
def test_balanced_masks_keep_the_same_number_of_units(share: float, units: int, numbers: set[int]) -> None:
    masks = HashedMasks([1, 2], {"a": units}, share, balanced=True)
    bits = masks.bits("a", torch.arange(400), slice(0, 2))
    assert set(bits.sum(-1).unique().tolist()) == numbers
    assert bits.double().mean() == pytest.approx(share, abs=0.02)
    assert abs(bits.double().mean((0, 1)) - share).max() < 0.08  # no unit is preferred
    correlation = torch.corrcoef(bits[0].double().T).fill_diagonal_(0)
    assert abs(correlation.mean() + 1 / (units - 1) * (units - 1) / units) < 0.05  # of balanced draws, -1/(n - 1)
    left = masks.flipped()("a", torch.arange(400), slice(0, 2))
    torch.testing.assert_close(
        masks("a", torch.arange(400), slice(0, 2)) * share + left * (1 - share), torch.ones_like(left)
    )


def test_groups_share_masks_in_a_replica_and_not_across_them() -> None:
    masks = HashedMasks([1, 2], {"a": 32}, n_groups=5)
    bits = masks.bits("a", torch.arange(300), slice(0, 2))
    assert [len(of_replica.unique(dim=0)) for of_replica in bits] == [5, 5]
    together = [(of_replica[:, None] == of_replica[None]).all(-1) for of_replica in bits]
    assert together[0].double().mean() == pytest.approx(0.2, abs=0.05)
    assert not torch.equal(together[0], together[1])
    some = torch.tensor([7, 250, 31])
    assert torch.equal(masks.bits("a", some, slice(0, 2)), bits[:, some])


def test_shared_masks_are_scored_as_if_each_example_had_its_own() -> None:
    view = problem(trainer(model=Mlp(hidden=(8, 6))))
    masks = HashedMasks([5, 6], view.sites, n_groups=3)
    runs = view.train(replicates=range(2), masks=masks)
    scores = influence_scores(view, runs, masks)
    for row in (0, 7, 19):
        ids = view.data.train.ids[row : row + 1]
        (alone,) = torch.stack(
            [
                view.measured(part.own, view.data.test.labels[None])
                - view.measured(part.flipped, view.data.test.labels[None])
                for part in runs.crossed_outputs(view.data.test, ids=ids, masks=masks)
            ]
        ).mean(0)
        torch.testing.assert_close(scores[row], alone, rtol=1e-9, atol=1e-12)


def test_antithetic_pairs_change_places_and_share_initial_parameters_and_batches() -> None:
    estimator = TurnOverDropout(n_masks=4, p=0.5, antithetic=True)
    view = problem()
    masks = estimator.masks(view)
    ids = view.data.train.ids
    for site in masks.sites:
        bits = masks.bits(site, ids, slice(0, 4))
        assert torch.equal(bits[0], ~bits[1])
        assert torch.equal(bits[2], ~bits[3])
        assert torch.equal(masks.bits(site, ids, slice(1, 3)), bits[1:3])
        assert not torch.equal(bits[0], bits[2])
    assert estimator.replicates() == [0, 0, 1, 1]
    runs = view.train(replicates=estimator.replicates(), masks=masks, checkpoints=[0])
    for p in runs.parameters(step=0).values():
        assert torch.equal(p[0], p[1])
    assert estimator.estimate(view).influence is not None
    assert view.meter.trainings == 8  # here and in the estimate


@pytest.mark.parametrize("n_classes", [3, None])
def test_members_are_the_subset_estimator_of_the_same_inclusion(n_classes: int | None) -> None:
    view = problem(trainer(line() if n_classes is None else blobs()))
    found = TurnOverDropout(n_masks=16, p=0.5, units="member").estimate(view)
    masks = HashedMasks([derive(view.seed, "masks", 0)], {"members": 16})
    inside = masks.bits("members", view.data.train.ids, slice(0, 1))[0].T.double()
    assert view.meter.trainings == inside.sum() / 20
    runs = view.train(inside, replicates=range(16), normalizer="kept")
    measured, kept = runs.measured(view.data.test), inside.bool()
    assert found.influence is not None
    for i, j in ((0, 0), (5, 3), (19, 5)):
        expected = measured[kept[:, i], j].mean() - measured[~kept[:, i], j].mean()
        assert found.influence[i, j].item() == pytest.approx(expected.item(), rel=1e-6)
    if n_classes is None:
        assert found.memorization is None
        return
    p_correct = runs.p_correct(view.data.train)
    assert found.memorization is not None
    for i in (0, 13):
        expected = p_correct[kept[:, i], i].mean() - p_correct[~kept[:, i], i].mean()
        assert found.memorization[i].item() == pytest.approx(expected.item(), rel=1e-6)


def test_scores_are_averaged_over_late_checkpoints() -> None:
    view = problem()
    estimator = TurnOverDropout(n_masks=2, n_checkpoints=2)
    masks = estimator.masks(view)
    assert view.n_steps == 8
    runs = view.train(replicates=range(2), masks=masks, checkpoints=[6])
    parts = [influence_scores(view, runs, masks, step=step) for step in (6, 8)]
    found = estimator.estimate(view)
    assert found.influence is not None
    torch.testing.assert_close(found.influence, (parts[0] + parts[1]) / 2)
    late = [memorization_scores(view, runs, masks, step=step) for step in (6, 8)]
    assert found.memorization is not None
    torch.testing.assert_close(found.memorization, (late[0] + late[1]) / 2)


def test_another_measure_can_score() -> None:
    view, by_margin = problem(), problem(trainer(measure="margin"))
    found = TurnOverDropout(n_masks=2, scored_by="margin").estimate(view)
    expected = TurnOverDropout(n_masks=2).estimate(by_margin)
    assert found.influence is not None
    assert expected.influence is not None
    torch.testing.assert_close(found.influence, expected.influence)


def test_sites_can_be_named() -> None:
    view = problem(trainer(model=Mlp(hidden=(8, 6))))
    estimator = TurnOverDropout(n_masks=2, sites=("2",))
    assert estimator.unsupported(view) is None
    assert list(estimator.masks(view).sites) == ["2"]
    assert not torch.equal(estimator.estimate(view).influence, TurnOverDropout(n_masks=2).estimate(view).influence)  # type: ignore[arg-type]
    assert list(TurnOverDropout().masks(view).sites) == ["4"]
    assert list(TurnOverDropout(sealed=True).masks(view).sites) == ["2", "4"]
    with pytest.raises(ModelError, match=r"mask site '1.relu' is not a submodule of the model; it has '0', '1', '2'"):
        TurnOverDropout(sites=("1.relu",)).unsupported(view)
