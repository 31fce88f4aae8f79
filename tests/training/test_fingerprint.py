"""Keys change with whatever changes a training, and with nothing else."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from influbench.api import Data
from influbench.models.mlp import Mlp
from influbench.training.fingerprint import training_key
from tests.problems import blobs, permuted, trainer


@dataclass(frozen=True)
class EditedLoss(Mlp):
    def loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
        return nn.functional.cross_entropy(outputs, labels, reduction="none", label_smoothing=0.1)


@dataclass(frozen=True)
class EditedForward(Mlp):
    def build(self, data: Data) -> nn.Module:
        layers = [nn.Tanh() if isinstance(layer, nn.ReLU) else layer for layer in super().build(data)]
        return nn.Sequential(*layers)


@dataclass(frozen=True)
class Capped(Mlp):
    """Outputs are capped where the initial network does not reach."""

    def build(self, data: Data) -> nn.Module:
        return nn.Sequential(super().build(data), nn.Hardtanh(-CAP[0], CAP[0]))


CAP = [4.0]


def test_an_edit_that_acts_on_large_outputs_only_changes_the_key() -> None:
    before = training_key(trainer(model=Capped(hidden=(8,))), 1)
    CAP[0] = 2.0
    try:
        assert training_key(trainer(model=Capped(hidden=(8,))), 1) != before
    finally:
        CAP[0] = 4.0


def test_the_same_training_has_the_same_key() -> None:
    assert training_key(trainer(), 1) == training_key(trainer(), 1)


def test_everything_that_changes_a_training_changes_the_key() -> None:
    base = trainer()
    other_input, other_label = blobs(), blobs()
    other_input.train.inputs[3, 2] += 1e-6
    other_label.train.labels[3] = (other_label.train.labels[3] + 1) % 3
    variants = [
        trainer(other_input),
        trainer(other_label),
        trainer(blobs(n_train=19)),
        trainer(permuted(blobs(), torch.arange(19, -1, -1))),
        trainer(learning_rate=0.2),
        trainer(epochs=3),
        trainer(dtype=torch.float32),
        trainer(model=Mlp(hidden=(9,))),
        trainer(model=EditedLoss(hidden=(8,))),
        trainer(model=EditedForward(hidden=(8,))),
    ]
    keys = [training_key(base, 1), training_key(base, 2), *(training_key(variant, 1) for variant in variants)]
    assert len(set(keys)) == len(keys)


def test_the_key_does_not_depend_on_threads_or_on_the_measure() -> None:
    before = torch.get_num_threads()
    keys = {training_key(trainer(), 1), training_key(replace(trainer(), measure="margin"), 1)}
    try:
        torch.set_num_threads(1)
        keys.add(training_key(trainer(), 1))
    finally:
        torch.set_num_threads(before)
    assert len(keys) == 1
