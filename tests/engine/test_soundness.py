"""Models that would make numbers wrong are refused before the first training, in a sentence."""

import pytest
import torch
from torch import nn

from influbench.api import Data
from influbench.engine.soundness import check_model, checked_recipe
from influbench.errors import ModelError
from influbench.testing.problems import blobs, line, pictures
from tests.engine.models import Faulty
from tests.problems import ModuleModel, trainer

IN_PLACE = "forward writes into its inputs; work on a copy: x = x * 2 in place of x *= 2, and layers with inplace=False"
COUPLED = (
    "an example's outputs depend on the others of its batch; take no mean, norm or softmax over the axis of examples"
)
RANDOM = "forward or loss draws random numbers; write dropout as layers of torch"
STATE = "a second call on the same inputs gives other outputs; keep no counters, running averages or caches"
SHARED = "build returns the parameters that it returned before, so that every seed would start alike; make a new module"
FAULTS = {
    "multiplies": IN_PLACE,
    "relu": IN_PLACE,
    "assigns": IN_PLACE,
    "same": IN_PLACE,
    "training": IN_PLACE,
    "with gradients": IN_PLACE,
    "centres": COUPLED,
    "softmax": COUPLED,
    "largest": COUPLED,
    "noise": RANDOM,
    "numpy": RANDOM,
    "dropout": RANDOM,
    "training dropout": RANDOM,
    "counter": STATE,
    "buffer": STATE,
    "cache": "a network gives other outputs than a module of its own with its parameters; keep nothing in the module",
    "mode": "forward gives other outputs in evaluation mode than in training mode; do the same in both",
    "float32": "the model runs in float32 and not in float64, which is needed, too",
    "parameters": "forward writes into its parameters; work on a copy",
    "unused": "no gradient reaches the parameter 'further.weight' from the loss; use it, or take it out of training",
    "tuple": "forward returns a tuple; return the outputs alone, one tensor",
    "argmax": "forward returns torch.int64; return floating-point scores, before any argmax",
    "detach": "no gradient reaches the parameters from the outputs; take detach(), .data, numpy and no_grad() out",
    "squeeze": "forward gives outputs of shape (3,) for 1 example, expected (n, n_classes) = (1, 3); size the last",
    "seeds": "build sets torch's random state, so that every seed would start alike; take torch.manual_seed out of it",
    "build None": "build returned None; return a torch.nn.Module",
    "build class": "build returned the class Mlp; return an instance of it",
    "build dict": "build returned a dict; return a torch.nn.Module",
    "build cached": SHARED,
    "build shared": SHARED,
    "nan start": "forward gives outputs that are NaN before training; start from smaller values, and take",
    "nan": "forward gives outputs that are NaN before training; start from smaller values, and take",
    "build data": "build writes into the data that it is given; work on copies of tensors",
    "mean loss": "loss gives shape () for 4 examples, expected one loss each, (4,); do not average over the examples",
    "coupled loss": "an example's loss depends on the others of its batch; compute each loss from its own outputs",
    "loss writes": "loss writes into the outputs; work on a copy",
}


@pytest.mark.parametrize("data", [blobs(), pictures(n_classes=3)], ids=["flat", "images"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_model_that_would_make_the_truth_wrong_is_refused(fault: str, data: Data) -> None:
    given = Data(*(split.rows(torch.arange(len(split))) for split in (data.train, data.test)), data.n_classes)
    of = trainer(given, Faulty(fault=fault), dtype=torch.float32)
    inputs = of.data.train.inputs.clone()
    with pytest.raises(ModelError) as caught:
        check_model(of)
    assert str(caught.value).startswith(FAULTS[fault])
    assert torch.equal(of.data.train.inputs, inputs) or fault == "build data"


@pytest.mark.parametrize("model", ["", "dropout 0", "pretrained", "lstm", "gru"])
@pytest.mark.parametrize("data", [blobs(), line(), pictures()], ids=["classes", "regression", "images"])
def test_what_is_sound_passes_and_trains_the_same_in_a_stack(model: str, data: Data) -> None:
    of = trainer(data, Faulty(fault=model), learning_rate=0.01)
    check_model(of)
    together = of.train(of.course(seeds=[1, 2])).parameters()
    for replica, seed in enumerate((1, 2)):
        for name, alone in of.train(of.course(seeds=[seed])).parameters().items():
            torch.testing.assert_close(together[name][replica], alone[0])


def test_no_dropout_is_no_layer_that_slows_a_stack_down() -> None:
    assert trainer(model=Faulty(fault="dropout 0")).network.path(torch.device("cpu")) == "stacked"


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("recipe method", "`recipe` is a method; write @property above it"),
        ("recipe dict", "`recipe` is a dict, expected an influbench.Recipe"),
        ("recipe None", "`recipe` is None, expected an influbench.Recipe"),
    ],
)
def test_a_recipe_that_is_none_is_refused(fault: str, told: str) -> None:
    with pytest.raises(ModelError) as caught:
        checked_recipe(Faulty(fault=fault))
    assert str(caught.value) == told


@pytest.mark.parametrize("batch_size", [1, 19])
def test_batch_norm_needs_more_than_one_example_in_every_batch(batch_size: int) -> None:
    def make() -> nn.Module:
        return nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Linear(4, 3))

    with pytest.raises(ModelError, match="batch norm has no variance in a batch of one example; choose a batch_size"):
        check_model(trainer(blobs(), ModuleModel(make), batch_size=batch_size))
    check_model(trainer(blobs(), ModuleModel(make), batch_size=10))
