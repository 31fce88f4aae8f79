"""Exact properties of turn-over dropout, and bits that must never change."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor

from influbench.estimators.turn_over_dropout.estimator import TurnOverDropout
from influbench.estimators.turn_over_dropout.masks import HashedMasks
from influbench.estimators.turn_over_dropout.scoring import influence_scores, memorization_scores
from influbench.models.linear import Linear
from influbench.models.mlp import Mlp
from tests.problems import ResidualModel, blobs, line, permuted, problem, trainer

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

    def __call__(self, site: str, ids: Tensor, replicas: slice) -> Tensor:
        factors = self.masks(site, ids, replicas)
        borrowed = self.masks(site, torch.tensor([self.of]), replicas)
        borrowed = 2 - borrowed if self.complement else borrowed
        ids = ids.expand(factors.shape[:2])
        return torch.where((ids == self.to)[..., None], borrowed, factors)


def test_mask_bits_never_change() -> None:
    masks = HashedMasks([11], {"2": 16})
    for example, expected in GOLDEN.items():
        bits = masks.bits("2", torch.tensor([example]), slice(0, 1))[0, 0]
        assert "".join(str(int(bit)) for bit in bits) == expected


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
    torch.testing.assert_close(kept * p + left * (1 - p), torch.ones(1, 500, 200))
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
    data, module = view.data, view._trainer._build(0)
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
    """One step on one example: weights into and out of the units it leaves out stay as they were."""
    view = problem(trainer(blobs(n_train=2), epochs=1, batch_size=2, momentum=0.0))
    weights = torch.tensor([[1.0, 0.0]])
    own = HashedMasks([5], view.sites)
    runs = view.train(weights, replicates=[0], masks=own, checkpoints=[0])
    kept = own.bits("2", view.data.train.ids[:1], slice(0, 1))[0, 0]
    before, after = runs.parameters(step=0), runs.parameters()
    moved = (before["1.weight"] != after["1.weight"])[0].any(1) | (before["3.weight"] != after["3.weight"])[0].any(0)
    assert not moved[~kept].any()
    assert moved[kept].any()


def test_memorization_is_higher_for_wrong_labels() -> None:
    data = blobs(n_train=30)
    data.train.labels[:5] = (data.train.labels[:5] + 1) % 3
    view = problem(trainer(data, Mlp(hidden=(32,)), epochs=60))
    scores = TurnOverDropout(n_masks=16).estimate(view).memorization
    assert scores is not None
    assert scores[:5].mean() > scores[5:].mean() + 0.1


def test_permuting_the_train_points_permutes_the_scores() -> None:
    order = torch.randperm(20, generator=torch.Generator().manual_seed(1))
    before = TurnOverDropout(n_masks=3).estimate(problem(trainer(blobs())))
    after = TurnOverDropout(n_masks=3).estimate(problem(trainer(permuted(blobs(), order))))
    assert before.influence is not None
    assert before.memorization is not None
    torch.testing.assert_close(after.influence, before.influence[order], rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(after.memorization, before.memorization[order], rtol=1e-9, atol=1e-12)


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


@pytest.mark.parametrize(("parameters", "field"), [({"n_masks": 0}, "n_masks"), ({"p": 0.0}, "p"), ({"p": 1.0}, "p")])
def test_parameters_out_of_range_are_refused(parameters: dict[str, float], field: str) -> None:
    with pytest.raises(ValueError, match=field):
        TurnOverDropout(**parameters)  # type: ignore[arg-type]
