"""A training as one object: its parts, its batches, and masks that change from step to step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor, nn

from influbench.models.cnn import Cnn
from influbench.models.mlp import Mlp
from influbench.seeds import bernoulli, derive, hash_integers
from influbench.testing.problems import pictures
from tests.problems import ResidualModel, blobs, problem, trainer


@dataclass(frozen=True, eq=False)
class Dropout:
    """Ordinary dropout: at each step, an example keeps other units."""

    units: Mapping[str, int]
    p: float = 0.6
    flip: bool = False

    @property
    def sites(self) -> Sequence[str]:
        return list(self.units)

    def flipped(self) -> "Dropout":
        return replace(self, p=1 - self.p, flip=not self.flip)

    def __call__(self, site: str, ids: Tensor, replicas: slice, *, step: int) -> Tensor:
        numbers = range(replicas.start, replicas.stop)
        seeds = torch.tensor([derive(number, site, step) for number in numbers])[:, None, None]
        bits = hash_integers(seeds, ids[..., None], torch.arange(self.units[site]))
        return (bernoulli(bits, 1 - self.p if self.flip else self.p) ^ self.flip).double() / self.p


def outputs_of(module: nn.Module, inputs: Tensor, masks: Dropout, ids: Tensor, *, replica: int, step: int) -> Tensor:
    """The plain module on inputs (n, ...), each masked by the factors of its id."""

    def gate(site: str):  # type: ignore[no-untyped-def]
        factors = masks(site, ids, slice(replica, replica + 1), step=step)[0]
        return lambda _module, _inputs, outputs: outputs * factors.reshape(*factors.shape, *[1] * (outputs.ndim - 2))

    handles = [module.get_submodule(site).register_forward_hook(gate(site)) for site in masks.sites]
    outputs: Tensor = module(inputs)
    for handle in handles:
        handle.remove()
    return outputs


@pytest.mark.parametrize(
    "model", [Mlp(hidden=(8, 7)), ResidualModel(), Cnn(channels=(3, 4))], ids=["stacked", "vmap", "loop"]
)
def test_masks_that_change_at_every_step_train_as_dropout_in_a_plain_torch_loop(model) -> None:  # type: ignore[no-untyped-def]
    """Three replicas in stacks of two. The first batch has step 0, and parameters are seen with their own step."""
    of = trainer(pictures() if isinstance(model, Cnn) else blobs(), model)
    of.__dict__["stack_width"] = 2
    view, train = problem(of), of.data.train
    masks = Dropout(view.sites)
    runs = view.train(replicates=[0, 0, 1], masks=masks, checkpoints=[0, 3])
    for replica, replicate in enumerate((0, 0, 1)):
        module = view.module(view.initial_parameters(replicate))
        optimizer = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9)
        for step, rows in enumerate(batch[replica] for batch in runs.batches):
            if step in runs.steps:
                _is_seen_through_masks_of_its_step(runs, replica, module, masks, train, step=step)
            optimizer.zero_grad()
            outputs = outputs_of(module, train.inputs[rows], masks, train.ids[rows], replica=replica, step=step)
            nn.functional.cross_entropy(outputs, train.labels[rows]).backward()
            optimizer.step()
        _is_seen_through_masks_of_its_step(runs, replica, module, masks, train, step=of.n_steps)
        for name, parameter in module.named_parameters():
            torch.testing.assert_close(runs.parameters()[name][replica], parameter.detach(), rtol=1e-9, atol=1e-10)


def _is_seen_through_masks_of_its_step(runs, replica, module, masks, train, *, step) -> None:  # type: ignore[no-untyped-def]
    with torch.no_grad():
        expected = outputs_of(module, train.inputs, masks, train.ids, replica=replica, step=step)
    asked = None if step == runs.steps[-1] else step  # the last one is seen unless another is named
    torch.testing.assert_close(runs.outputs(train, step=asked, masks=masks)[replica], expected, rtol=1e-9, atol=1e-10)


def test_crossed_outputs_have_the_masks_of_the_step_of_the_parameters() -> None:
    view = problem(trainer(model=Mlp(hidden=(8,))))
    masks, train, test = Dropout(view.sites), view.data.train, view.data.test
    runs = view.train(replicates=[0, 1], masks=masks, checkpoints=[3])
    for step in runs.steps:
        for part in runs.crossed_outputs(
            test, ids=train.ids, masks=masks, step=None if step == runs.steps[-1] else step
        ):
            module = view.module({name: p[part.replica] for name, p in runs.parameters(step=step).items()})
            for half, found in ((masks, part.own), (masks.flipped(), part.flipped)):
                for outputs, owner in zip(found, train.ids[part.rows], strict=True):
                    ids = owner.expand(len(test))
                    expected = outputs_of(module, test.inputs, half, ids, replica=part.replica, step=step)
                    torch.testing.assert_close(outputs, expected.detach(), rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("seeds", [[4] * 5, [4, 9, 4, 7, 1]], ids=["shared", "own"])
def test_a_part_of_a_part_has_the_batches_weights_and_factors_of_its_replicas(seeds: list[int]) -> None:
    of = trainer(blobs())
    weights = torch.rand(5, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    masks = Dropout(of.sites)
    whole = of.course(weights, seeds=seeds, masks=masks, normalizer="kept", frozen=["1.bias"])
    part = whole.part(slice(1, 5)).part(slice(1, 3))  # replicas 2 and 3
    assert (part.n_replicas, part.seeds) == (2, seeds[2:4])
    rows_of_each = of.train(whole).batches
    for step in (0, of.n_steps - 1):
        batch = part.at(step)
        assert (batch.normalizer, set(batch.frozen)) == ("kept", {"1.bias"})
        for number, replica in enumerate((2, 3)):
            rows = rows_of_each[step][replica]
            own = batch.rows if batch.rows.ndim == 1 else batch.rows[number]
            assert own.tolist() == rows.tolist()
            assert batch.weights[number].tolist() == [weights[replica, row] for row in rows]
            for site in of.sites:
                expected = masks(site, of.data.train.ids[rows], slice(replica, replica + 1), step=step)[0]
                assert torch.equal(batch.factors[site][number], expected)  # type: ignore[index]


def test_one_row_of_weights_is_that_of_every_replica_in_the_dtype_of_the_networks() -> None:
    of = trainer(dtype=torch.float32)
    row = torch.arange(20, dtype=torch.float64)[None]
    course = of.course(row, seeds=[1, 2, 3])
    assert course.weights.dtype == torch.float32
    assert torch.equal(course.weights.double(), row.expand(3, -1))
    assert torch.equal(of.course(seeds=[1, 2]).weights, torch.ones(2, 20))
