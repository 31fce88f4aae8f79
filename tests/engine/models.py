"""Models that do not fit."""

from dataclasses import dataclass
from itertools import count

from torch import nn

from influbench.api import Data
from influbench.models.linear import Linear

_CALLS = count()


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
    """Batch statistics."""

    def build(self, data: Data) -> nn.Module:
        return nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Linear(4, 3))


@dataclass(frozen=True)
class Broken(Linear):
    """Layers that do not fit each other."""

    def build(self, data: Data) -> nn.Module:
        return nn.Sequential(nn.Linear(5, 4), nn.Linear(5, 3))


@dataclass(frozen=True)
class InPlace(Linear):
    """Writes into the data."""

    def build(self, data: Data) -> nn.Module:
        return nn.Sequential(nn.ReLU(inplace=True), nn.Linear(5, 3))
