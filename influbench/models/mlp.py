"""A multilayer perceptron."""

from dataclasses import dataclass
from itertools import pairwise

from torch import nn

from influbench.api import Data, Model, Recipe


@dataclass(frozen=True)
class Mlp(Model):
    """Hidden layers of the given widths with ReLU, and a linear output layer."""

    hidden: tuple[int, ...] = (64,)

    def __post_init__(self) -> None:
        if not self.hidden or min(self.hidden) < 1:
            raise ValueError(f"hidden needs one width of at least 1 for each layer, got {list(self.hidden)}")

    @property
    def recipe(self) -> Recipe:
        """SGD with momentum at a constant rate."""
        return Recipe(learning_rate=0.1, momentum=0.9)

    def build(self, data: Data) -> nn.Module:
        """Flatten, then linear layers with ReLU between them, with torch's default initialization."""
        widths = [data.train.inputs[0].numel(), *self.hidden]
        layers = [layer for n_in, n_out in pairwise(widths) for layer in (nn.Linear(n_in, n_out), nn.ReLU())]
        return nn.Sequential(nn.Flatten(), *layers, nn.Linear(widths[-1], data.n_classes or 1))
