"""Keys change with whatever changes a training, and with nothing else."""

from copy import deepcopy
from dataclasses import dataclass, field, replace

import pytest
import torch
from torch import Tensor, nn

from influbench.api import Data, Model, Recipe, Split
from influbench.models.mlp import Mlp
from influbench.training.fingerprint import training_key
from influbench.training.optimizers.sgd import Sgd
from influbench.training.schedules.constant import Constant
from tests.plugins import Nesterov, WarmUp, registry
from tests.problems import ModuleModel, blobs, permuted, trainer


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


@dataclass(frozen=True)
class EditedNesterov(Nesterov):
    """The same step, but for what it does with weight decay."""

    decay_is_in_objective = False

    def __repr__(self) -> str:
        return repr(Nesterov(self.beta))


@dataclass(frozen=True)
class Late(Nesterov):
    """Has a setting that its first steps do not show."""

    after: int = 100


@dataclass(frozen=True)
class EditedWarmUp(WarmUp):
    def learning_rate(self, recipe: Recipe, step: int, n_steps: int) -> float:
        return super().learning_rate(recipe, step + (step == n_steps - 7), n_steps)


def test_what_a_strangers_optimizer_and_schedule_do_is_in_the_key() -> None:
    of = trainer(registry=registry(mine="Nesterov", warm="WarmUp"), optimizer="mine", schedule="warm", weight_decay=0.1)
    rules = [
        of.rule,
        replace(of.rule, optimizer=Nesterov(0.5)),
        replace(of.rule, optimizer=EditedNesterov()),
        replace(of.rule, optimizer=Late(after=100)),
        replace(of.rule, optimizer=Late(after=200)),
        replace(of.rule, optimizer=Sgd()),
        replace(of.rule, schedule=WarmUp(2)),
        replace(of.rule, schedule=EditedWarmUp()),
        replace(of.rule, schedule=Constant()),
    ]
    keys = [training_key(replace(of, rule=rule), 1) for rule in rules]
    assert len(set(keys)) == len(keys)
    assert training_key(of, 1) == keys[0]


@dataclass(frozen=True)
class Fixed(Model):
    """Initial parameters that no generator draws, so that the key is the same everywhere."""

    @property
    def recipe(self) -> Recipe:
        return Recipe()

    def build(self, data: Data) -> nn.Module:
        layer = nn.Linear(2, 2)
        with torch.no_grad():
            layer.weight.copy_(torch.tensor([[0.5, -0.25], [0.125, 1.0]]))
            layer.bias.zero_()
        return layer


@pytest.mark.parametrize(
    ("optimizer", "schedule", "key"),
    [
        ("sgd", "constant", "6056e427383ab69c3287b998deb77193"),
        ("sgd", "cosine", "d355be2cf3dfdcc9527df3d8c1e25d79"),
        ("adam", "constant", "0a3c04787a56878d3782b944c7d52d94"),
        ("adamw", "cosine", "d38f1f88e697ccdebf0c1e3227e6d39d"),
    ],
)
def test_stored_trainings_are_found_under_the_keys_they_always_had(optimizer: str, schedule: str, key: str) -> None:
    points = Split(torch.arange(8.0).reshape(4, 2) / 4, torch.arange(4) % 2, torch.arange(4))
    of = trainer(Data(points, points, 2), Fixed(), optimizer=optimizer, schedule=schedule, momentum=0.5)
    assert training_key(of, 1) == key


@pytest.mark.parametrize(
    "layer", [nn.Dropout(0.4), nn.Dropout(0.3, inplace=True), nn.AlphaDropout(0.3), nn.BatchNorm1d(6), nn.Identity()]
)
def test_the_key_covers_what_layers_do_in_training_alone(layer: nn.Module) -> None:
    def key(layer: nn.Module) -> str:
        make = lambda: nn.Sequential(nn.Linear(5, 6), deepcopy(layer), nn.Linear(6, 3))  # noqa: E731
        return training_key(trainer(model=Silent(make)), 0)

    assert (key(layer) == key(nn.Dropout(0.3))) == (type(layer) is nn.Dropout and layer.p == 0.3)


@dataclass(frozen=True)
class Silent(ModuleModel):
    """A model whose repr does not say which module it makes."""

    make: object = field(default=None, repr=False)
