"""Sealed and leaking parameters: their measured shares, and the exact changes of one training step."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from influbench.api import Data, Model, Split
from influbench.estimators.turn_over_dropout.estimator import TurnOverDropout
from influbench.estimators.turn_over_dropout.sealing import sealing
from influbench.models.cnn import Cnn
from influbench.models.mlp import Mlp
from influbench.models.resnet import Resnet
from influbench.problem import TrainingProblem
from tests.problems import ModuleModel, blobs, problem, trainer


def pictures() -> Data:
    generator = torch.Generator().manual_seed(0)
    inputs, labels = torch.rand(20, 2, 8, 8, generator=generator).double(), torch.arange(20) % 3
    everything = Split(inputs, labels, torch.arange(20) + 7)
    return Data(everything.rows(slice(0, 12)), everything.rows(slice(12, 20)), 3)


def one_step(model: Model, data: Data | None = None) -> TrainingProblem:
    """A training of one plain step on all train points."""
    data = data or blobs()
    return problem(trainer(data, model, epochs=1, batch_size=len(data.train), momentum=0.0))


@pytest.mark.parametrize(
    ("model", "data", "sites", "leaking"),
    [
        (Mlp(hidden=(16,)), None, (), {"3.bias": 3}),
        (Mlp(hidden=(16, 12)), None, ("2", "4"), {"5.bias": 3}),
        (Mlp(hidden=(16, 12)), None, ("2",), {"3.bias": 12, "5.weight": 36, "5.bias": 3}),
        (Cnn(channels=(6, 8)), pictures(), ("1", "4"), {"7.bias": 3}),
    ],
)
def test_the_parameters_that_touch_no_masked_unit_leak(
    model: Model, data: Data | None, sites: tuple[str, ...], leaking: dict[str, int]
) -> None:
    view = one_step(model, data)
    found = sealing(view, TurnOverDropout(n_masks=1, sites=sites).masks(view))
    assert found.leaks.keys() == leaking.keys()
    assert found.n_parameters == sum(p.numel() for p in view.initial_parameters(0).values())
    assert found.n_leaking <= sum(leaking.values())
    assert found.n_leaking >= 0.6 * sum(leaking.values())  # units that no example switches on show no gradient
    assert found.share == pytest.approx(1 - found.n_leaking / found.n_parameters)
    assert all(name in found.in_words() for name in leaking)


@pytest.mark.parametrize(
    ("model", "data"), [(Mlp(hidden=(16,)), None), (Mlp(hidden=(16, 12)), None), (Cnn(channels=(6, 8)), pictures())]
)
def test_one_step_on_an_example_leaves_its_flipped_half_as_it_was_if_sealed(model: Model, data: Data | None) -> None:
    """With and without the example in the batch: bit-identical in a sealed model, different in an unsealed one."""
    for sealed in (True, False):
        view = one_step(model, data)
        estimator = TurnOverDropout(n_masks=2, sealed=sealed)
        assert estimator.unsupported(view) is None
        masks, frozen = estimator.masks(view), estimator.frozen(view)
        assert bool(frozen) == sealed
        row = 4
        weights = torch.ones(2, len(view.data.train))
        weights[1, row] = 0
        (own_seed, _) = masks.seeds
        both = replace(masks, seeds=[own_seed, own_seed])
        runs = view.train(weights, replicates=[0, 0], masks=both, frozen=frozen)
        ids = view.data.train.ids[row : row + 1]
        parts = list(runs.crossed_outputs(view.data.test, ids=ids, masks=both))
        with_it, without_it = (torch.cat([part.flipped for part in parts if part.replica == r]) for r in (0, 1))
        factors = {
            site: both.flipped()(site, ids, slice(0, 1))[0].double().expand(len(view.data.test), -1)
            for site in both.sites
        }
        plain = [
            view.forward({name: p[r] for name, p in runs.parameters().items()}, view.data.test.inputs, factors=factors)
            for r in (0, 1)
        ]
        assert torch.equal(plain[0], plain[1]) == sealed
        torch.testing.assert_close(with_it[0], plain[0])
        torch.testing.assert_close(without_it[0], plain[1])
        own = [torch.cat([part.own for part in parts if part.replica == r]) for r in (0, 1)]
        assert not torch.allclose(own[0], own[1])


def test_frozen_parameters_stay_and_the_others_move() -> None:
    view = problem()
    runs = view.train(replicates=[0], frozen=["3.bias"], checkpoints=[0])
    before, after = runs.parameters(step=0), runs.parameters()
    assert {name for name in before if torch.equal(before[name], after[name])} == {"3.bias"}
    with pytest.raises(ValueError, match=r"'3\.bais' is not a parameter that training moves"):
        view.train(replicates=[0], frozen=["3.bais"])


def test_what_no_freezing_seals_is_refused_by_name() -> None:
    view = one_step(Resnet(width=4, blocks=(1,)), pictures())
    reason = TurnOverDropout(sealed=True).unsupported(view)
    assert reason is not None
    assert reason.startswith("it cannot be sealed: ")
    assert ".weight" in reason
    assert TurnOverDropout().unsupported(view) is None


def test_statistics_of_batch_norm_leak_whatever_is_sealed() -> None:
    """One step on all examples but one moves the statistics of both halves, so no mask can keep an example out."""

    def make() -> nn.Module:
        return nn.Sequential(nn.Linear(5, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 3, bias=False))

    view = one_step(ModuleModel(make))
    without = torch.ones(1, 20)
    without[0, 4] = 0
    means = [view.train(weights, replicates=[0]).parameters()["1.running_mean"] for weights in (None, without)]
    assert not torch.equal(*means)
    (note,) = TurnOverDropout(n_masks=1).estimate(view).notes
    assert note.endswith("; batch norm has no masks: through its statistics examples reach both halves")
    assert TurnOverDropout(sealed=True).unsupported(view) == (
        "it cannot be sealed: batch norm has no masks, and through its statistics examples reach both halves"
    )


def test_the_estimate_says_what_leaks() -> None:
    (note,) = TurnOverDropout(n_masks=1).estimate(problem()).notes
    assert note.endswith("through 3.bias examples reach their flipped half")
    assert TurnOverDropout(n_masks=1, sealed=True).estimate(problem()).notes == ("all parameters are sealed",)
