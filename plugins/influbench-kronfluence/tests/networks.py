"""Networks for the tests, as models of influbench."""

from collections.abc import Callable
from dataclasses import dataclass

from influbench import Data, Model, Recipe
from torch import Tensor, nn


@dataclass(frozen=True)
class Made(Model):
    """A module that `make` builds from the number of inputs (channels of images) and of outputs."""

    make: Callable[[int, int], nn.Module]

    @property
    def recipe(self) -> Recipe:
        return Recipe()

    def build(self, data: Data) -> nn.Module:
        return self.make(data.train.inputs.shape[1], data.n_classes or 1)


@dataclass(frozen=True)
class OwnLoss(Made):
    def loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
        return 2 * super().loss(outputs, labels)


class Twice(nn.Module):
    """One layer runs twice."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(n_in, n_in), nn.Linear(n_in, n_out)

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.last(self.first(self.first(inputs).tanh()).tanh())
        return outputs


class ByHand(nn.Module):
    """A layer's weights are also used outside of its call."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(n_in, n_in), nn.Linear(n_in, n_out)

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.last((self.first(inputs).tanh() @ self.first.weight).tanh())
        return outputs


class Tied(nn.Module):
    """Two layers share their weights."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Linear(n_in, n_in), nn.Linear(n_in, n_in), nn.Linear(n_in, n_out)
        self.second.weight = self.first.weight

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.last(self.second(self.first(inputs).tanh()).tanh())
        return outputs


class Folded(nn.Module):
    """A layer runs at several positions of an example, folded into the first axis."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.each, self.last = nn.Linear(1, 2), nn.Linear(2 * n_in, n_out)

    def forward(self, inputs: Tensor) -> Tensor:
        each = self.each(inputs.reshape(-1, 1)).tanh()
        outputs: Tensor = self.last(each.reshape(len(inputs), -1))
        return outputs


class Positions(nn.Module):
    """A layer runs at several positions of an example, along an axis of their own."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.each, self.last = nn.Linear(1, 2), nn.Linear(2 * n_in, n_out)

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.last(self.each(inputs[..., None]).tanh().flatten(1))
        return outputs


def perceptron(n_in: int, n_out: int) -> nn.Module:
    return nn.Sequential(nn.Linear(n_in, 6), nn.Tanh(), nn.Linear(6, n_out))


def half_frozen(n_in: int, n_out: int) -> nn.Module:
    """A perceptron whose first layer is not trained."""
    module = perceptron(n_in, n_out)
    module[0].requires_grad_(False)
    return module


def frozen_bias(n_in: int, n_out: int) -> nn.Module:
    module = perceptron(n_in, n_out)
    module[0].bias.requires_grad_(False)
    return module


def normed(n_in: int, n_out: int) -> nn.Module:
    """A layer norm between its layers."""
    return nn.Sequential(nn.Linear(n_in, 6), nn.LayerNorm(6), nn.Tanh(), nn.Linear(6, n_out))


def subclassed(n_in: int, n_out: int) -> nn.Module:
    """A network whose layer is of a subclass of Linear."""

    class Special(nn.Linear):
        pass

    return nn.Sequential(Special(n_in, n_out))


def convolution(**settings: object) -> Callable[[int, int], nn.Module]:
    """One convolution of 2 to 4 channels, then a linear layer on their means."""

    def make(n_in: int, n_out: int) -> nn.Module:
        first = nn.Conv2d(n_in, 2, 1)
        second = nn.Conv2d(2, 4, **{"kernel_size": 3, **settings})  # type: ignore[arg-type]
        return nn.Sequential(first, second, nn.Tanh(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, n_out))

    return make
