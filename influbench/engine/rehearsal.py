"""A model's network on a few train points, before anything is trained with it.

It runs in float64, so that what differs, differs by more than rounding.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from influbench.api import Split
from influbench.isolation import isolated
from influbench.networks.step import Step, within
from influbench.training.loop import Trainer
from influbench.training.noise import Draws

_N_EXAMPLES = 4


@dataclass(frozen=True, eq=False)
class Call:
    """One call of the network on examples: outputs, the losses if there can be any, and what was written into."""

    outputs: Any
    losses: Any
    wrote: str | None  # who into what


@dataclass(frozen=True, eq=False)
class Rehearsal:
    """A model in float64, and some of its train points, spread over all of them."""

    trainer: Trainer
    rows: Tensor
    examples: Split  # copies, which nothing that the model does to the data reaches

    @classmethod
    def of(cls, trainer: Trainer) -> "Rehearsal":
        """Before anything of the model has run."""
        train = trainer.data.train
        rows = torch.linspace(0, len(train) - 1, min(_N_EXAMPLES, len(train))).round().long().to(train.ids.device)
        return cls(replace(trainer, dtype=torch.float64), rows, train.rows(rows).to(torch.float64))

    def shapes(self, n: int) -> list[tuple[int, ...]]:
        """Those that outputs on n examples may have."""
        n_classes = self.trainer.data.n_classes
        return [(n, 1), (n,)] if n_classes is None else [(n, n_classes)]

    def built(self, seed: int) -> tuple[object, Tensor]:
        """The result of `build` under this random state, and torch's random state after it."""
        with isolated(seed):
            return self.trainer.model.build(self.trainer.data), torch.get_rng_state()

    @property
    def data_are_unchanged(self) -> bool:
        """True if the examples are still the same."""
        now = self.trainer.data.train.rows(self.rows).to(torch.float64)
        return torch.equal(now.inputs, self.examples.inputs) and torch.equal(now.labels, self.examples.labels)

    @cached_property
    def parameters(self) -> dict[str, Tensor]:
        """Of one network before training."""
        return dict(self.trainer.initial_parameters(0))

    @cached_property
    def first(self) -> Call:
        """The first call on all examples, as in training: in an optimizer step, and with gradients."""
        return self.call(self.examples, differentiable=True, in_step=True)

    @cached_property
    def evaluated(self) -> Call:
        """A call on all examples outside of a step."""
        return self.call(self.examples)

    @cached_property
    def leaves(self) -> dict[str, Tensor]:
        """The trained parameters that the outputs and losses of the first call are functions of."""
        trainable = self.trainer.network.trainable
        return {name: p.clone().requires_grad_() for name, p in self.parameters.items() if name in trainable}

    @cached_property
    def gradients(self) -> dict[str, Tensor]:
        """Of the summed losses of the first call, by the parameters that they reach."""
        losses = self.first.losses
        if not losses.requires_grad:
            return {}
        found = torch.autograd.grad(losses.sum(), list(self.leaves.values()), allow_unused=True)
        return {name: one for name, one in zip(self.leaves, found, strict=True) if one is not None}

    def call(self, examples: Split, *, seed: int = 0, differentiable: bool = False, in_step: bool = False) -> Call:
        """The network and the loss on copies of these examples, with this random state."""
        inputs, labels = examples.inputs.clone(), examples.labels.clone()
        parameters = {name: p.clone() for name, p in self.parameters.items()} | (self.leaves if differentiable else {})
        step = self._step(examples) if in_step else None
        with isolated(seed), torch.set_grad_enabled(differentiable), within(step):
            watched = _Watched({"its inputs": [inputs], "its parameters": list(parameters.values())})
            outputs = self.trainer.network.single(parameters, inputs)
            into = watched.written()
            if into or not has_floats(outputs) or tuple(outputs.shape) not in self.shapes(len(labels)):
                return Call(outputs, None, f"forward writes into {into}" if into else None)
            watched = _Watched({"the outputs": [outputs], "the labels": [labels]})
            losses = self.trainer.model.loss(outputs, labels)
            into = watched.written()
        return Call(outputs, losses, f"loss writes into {into}" if into else None)

    def _step(self, examples: Split) -> Step:
        """The first step of a training whose first batch has these examples, all of weight 1."""
        weights = torch.ones(len(examples), dtype=torch.float64, device=examples.ids.device)
        return Step(Draws([0], examples.ids[None], step=0).of_step()[0], weights, 0)

    @cached_property
    def alone(self) -> list[Call]:
        """A call for each example."""
        return [self.call(self.examples.rows(slice(row, row + 1))) for row in range(len(self.examples))]

    def as_module(self) -> Tensor:
        """Outputs of an ordinary module with other parameters than the first call's, as libraries are given it."""
        with isolated(0):
            module: nn.Module = self.trainer.module(self._others)
            outputs: Tensor = module(self.examples.inputs.clone())
        return outputs

    def in_a_stack_and_alone(self) -> tuple[Tensor, Tensor]:
        """Outputs of two networks in a stack, and of each alone: (2, n, ...)."""
        both, inputs = [self.parameters, self._others], self.examples.inputs
        stack = {name: torch.stack([own[name] for own in both]) for name in self.parameters}
        with isolated(0), torch.no_grad():
            together = self.trainer.network.outputs(stack, inputs.clone()[None])
            return together, torch.stack([self.trainer.network.single(own, inputs.clone()) for own in both])

    @cached_property
    def _others(self) -> dict[str, Tensor]:
        return dict(self.trainer.initial_parameters(1))


class _Watched:
    """Tensors, by what they are, and whether they were written into since: values, or the same values again."""

    def __init__(self, tensors: Mapping[str, list[Tensor]]) -> None:
        watched = [(name, tensor) for name, some in tensors.items() for tensor in some]
        self._before = [(name, tensor, tensor._version, tensor.detach().clone()) for name, tensor in watched]

    def written(self) -> str | None:
        """The names of what was written into."""
        for name, tensor, version, copy in self._before:
            if tensor._version != version or not same(tensor.detach(), copy):
                return name
        return None


def same(tensor: Tensor, copy: Tensor) -> bool:
    """True if all values are the same, where NaN equals NaN."""
    return tensor.shape == copy.shape and bool(((tensor == copy) | (tensor.isnan() & copy.isnan())).all())


def has_floats(values: object) -> bool:
    """True for a tensor of real numbers."""
    return isinstance(values, Tensor) and values.is_floating_point()
