"""Models that do not fit."""

from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from influbench.api import Data, Recipe
from influbench.models.linear import Linear

_CALLS = count()
_CACHE: dict[object, Any] = {}


@dataclass(frozen=True)
class Narrow(Linear):
    """Too few outputs."""

    def build(self, data: Data) -> nn.Module:
        return nn.Linear(5, 2)


@dataclass(frozen=True)
class Restless(Linear):
    """Another start at every call."""

    def build(self, data: Data) -> nn.Module:
        module = nn.Linear(5, 3)
        nn.init.constant_(module.bias, next(_CALLS))
        return module


@dataclass(frozen=True)
class Coupled(Linear):
    """Batch statistics, also of the examples that are evaluated."""

    def build(self, data: Data) -> nn.Module:
        return nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4, track_running_stats=False), nn.Linear(4, 3))


@dataclass(frozen=True)
class Broken(Linear):
    """Layers that do not fit each other."""

    def build(self, data: Data) -> nn.Module:
        return nn.Sequential(nn.Linear(5, 4), nn.Linear(5, 3))


class Mlp(nn.Module):
    """A small network, with one fault in what it does."""

    def __init__(self, fault: str, n_inputs: int, n_outputs: int) -> None:
        super().__init__()
        self.fault, self.calls = fault, 0
        self.first, self.last = nn.Linear(n_inputs, 6), nn.Linear(6, n_outputs)
        self.register_buffer("mean", torch.zeros(n_inputs))
        if fault == "nan start":
            nn.init.constant_(self.first.weight, torch.nan)
        if fault == "unused":
            self.further = nn.Linear(2, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        inputs = self.prepared(inputs.flatten(1))
        hidden = self.first(inputs).relu()
        if self.fault == "softmax":
            hidden = hidden.softmax(0)
        outputs: Tensor = self.last(hidden)
        return self.returned(outputs)

    def prepared(self, inputs: Tensor) -> Tensor:
        """Inputs, and what is done to them."""
        match self.fault:
            case "multiplies":
                inputs *= 2
            case "relu":
                inputs.relu_()
            case "assigns":
                inputs[:] = inputs / 2
            case "same":
                inputs.clamp_(-1e9, 1e9)
            case "training" if self.training:
                inputs *= 2
            case "with gradients" if torch.is_grad_enabled():
                inputs *= 2
            case "centres":
                inputs = inputs - inputs.mean(0)
            case "largest":
                inputs = inputs / inputs.max()
            case "noise":
                inputs = inputs + 0.1 * torch.randn_like(inputs)
            case "numpy":
                inputs = inputs + 0.1 * float(np.random.randn())
            case "dropout":
                inputs = nn.functional.dropout(inputs, 0.5, training=True)
            case "training dropout":
                inputs = nn.functional.dropout(inputs, 0.5, training=self.training)
            case "counter":
                self.calls += 1
                inputs = inputs * (1 + 0.01 * self.calls)
            case "buffer":
                self.mean.mul_(0.9).add_(0.1 * inputs.detach().mean(0))
                inputs = inputs - self.mean
            case "cache":
                self.scale = getattr(self, "scale", None) or float(self.first.weight.detach().norm())
                inputs = inputs / self.scale
            case "mode" if not self.training:
                inputs = inputs * 2
            case "float32":
                inputs = inputs @ torch.eye(inputs.shape[1])
            case "parameters":
                self.first.weight.data.clamp_(-0.1, 0.1)
        return inputs

    def returned(self, outputs: Tensor) -> Any:
        """What is made of the outputs."""
        match self.fault:
            case "tuple":
                return outputs, outputs
            case "argmax":
                return outputs.argmax(1)
            case "detach":
                return outputs.detach()
            case "squeeze":
                return outputs.squeeze()
            case "nan":
                return outputs * torch.nan
        return outputs


@dataclass(frozen=True)
class Faulty(Linear):
    """A small network with one fault."""

    fault: str = ""

    @property
    def recipe(self) -> Any:
        match self.fault:
            case "recipe method":
                return super().build
            case "recipe dict":
                return {"epochs": 2}
            case "recipe None":
                return None
            case "recipe epochs":
                return Recipe(epochs=3.0)  # type: ignore[arg-type]
        return Recipe(epochs=1, batch_size=7)

    def build(self, data: Data) -> Any:
        sizes = data.train.inputs[0].numel(), data.n_classes or 1
        match self.fault:
            case "seeds":
                torch.manual_seed(0)
            case "build None":
                return None
            case "build class":
                return Mlp
            case "build dict":
                return {"layers": 2}
            case "build cached" | "build shared":
                cached = _CACHE.setdefault(sizes, Mlp("", *sizes))
                if self.fault == "build cached":
                    return cached
                module = Mlp("", *sizes)
                module.last.bias = cached.last.bias
                return module
            case "build data":
                data.train.inputs.sub_(data.train.inputs.mean(0))
            case "dropout 0":
                return nn.Sequential(
                    nn.Flatten(), nn.Linear(sizes[0], 6), nn.Dropout(0), nn.ReLU(), nn.Linear(6, sizes[1])
                )
            case "pretrained":
                module, generator = Mlp("", *sizes), torch.Generator().manual_seed(0)
                for parameter in module.parameters():
                    parameter.data.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
                return module
            case "lstm" | "gru":
                return Recurrent(nn.LSTM if self.fault == "lstm" else nn.GRU, *sizes)
        return Mlp(self.fault, *sizes)

    def loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
        match self.fault:
            case "mean loss":
                return super().loss(outputs, labels).mean()
            case "coupled loss":
                losses = super().loss(outputs, labels)
                return losses / losses.detach().max()
            case "loss writes":
                return super().loss(outputs.clamp_(-0.1, 0.1), labels)
        return super().loss(outputs, labels)


class Recurrent(nn.Module):
    """The inputs of an example, one after the other."""

    def __init__(self, kind: type[nn.LSTM] | type[nn.GRU], n_inputs: int, n_outputs: int) -> None:
        super().__init__()
        self.cells, self.last = kind(1, 4, batch_first=True), nn.Linear(4, n_outputs)

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.last(self.cells(inputs.flatten(1)[:, :, None])[0][:, -1])
        return outputs
