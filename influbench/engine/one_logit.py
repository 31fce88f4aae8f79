"""Binary classifiers with one logit, which are trained and measured as networks with the two logits 0 and z."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from influbench.api import Data, Model, Recipe
from influbench.engine.rehearsal import Rehearsal
from influbench.training.loop import Trainer

_NOTE = "The network has one logit z, which is taken as the two logits 0 and z: its loss is binary cross-entropy."


class TwoLogits(nn.Module):
    """The logits 0 and z, (n, 2), of outputs z, (n,) or (n, 1).

    Their softmax is sigmoid(z), their cross-entropy the binary cross-entropy of z, and their margin z or -z.
    """

    def forward(self, outputs: Tensor) -> Tensor:
        z = outputs.reshape(-1, 1)
        return torch.cat([torch.zeros_like(z), z], 1)


@dataclass(frozen=True)
class WithTwoLogits(Model):
    """A model whose networks have one logit, with a second one."""

    of: Model

    @property
    def recipe(self) -> Recipe:
        return self.of.recipe

    def build(self, data: Data) -> nn.Module:
        return nn.Sequential(OrderedDict(network=self.of.build(data), logits=TwoLogits()))

    def mask_sites(self, module: nn.Module) -> Sequence[str]:
        return [f"network.{name}" for name in self.of.mask_sites(module.get_submodule("network"))]


def with_two_logits(trainer: Trainer) -> Trainer | None:
    """The same trainer with two logits for each example, or None unless the model has one for two classes.

    The model's loss must be the default. Call it only if the model failed its checks: this runs the model's code.
    """
    if trainer.data.n_classes != 2 or type(trainer.model).loss is not Model.loss:
        return None
    rehearsal = Rehearsal.of(trainer)
    try:
        outputs = rehearsal.call(rehearsal.examples).outputs
    except Exception:  # of somebody's module; the checks have said what is wrong
        return None
    n = len(rehearsal.examples)
    if not isinstance(outputs, Tensor) or tuple(outputs.shape) not in [(n, 1), (n,)]:
        return None
    data = replace(trainer.data, notes=(*trainer.data.notes, _NOTE))
    return replace(trainer, data=data, model=WithTwoLogits(trainer.model))
