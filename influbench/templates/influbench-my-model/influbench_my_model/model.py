"""A perceptron with tanh. Replace it with your network."""

from dataclasses import dataclass

from influbench import Data, Model, Recipe
from torch import nn


@dataclass(frozen=True)
class MyModel(Model):
    """One hidden layer of `width` units with tanh, and a linear output layer."""

    width: int = 32

    def __post_init__(self) -> None:
        if self.width < 1:
            raise ValueError(f"width must be at least 1, got {self.width}")

    @property
    def recipe(self) -> Recipe:
        """The training recipe, unless a plan says otherwise."""
        return Recipe(optimizer="sgd", learning_rate=0.1, momentum=0.9, batch_size=50, epochs=20)

    def build(self, data: Data) -> nn.Module:
        """A newly initialized module. It draws from torch's global generator, which influbench seeds."""
        n_inputs = data.train.inputs[0].numel()
        return nn.Sequential(
            nn.Flatten(),
            nn.Linear(n_inputs, self.width),
            nn.Tanh(),
            nn.Linear(self.width, data.n_classes or 1),
        )
