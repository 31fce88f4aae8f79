"""One linear layer."""

from dataclasses import dataclass

from torch import nn

from influbench.api import Data, Model, Recipe


@dataclass(frozen=True)
class Linear(Model):
    """Logistic regression for classes, least squares for float labels. It does not have units to mask."""

    bias: bool = True

    @property
    def recipe(self) -> Recipe:
        """SGD with momentum at a constant rate."""
        return Recipe(learning_rate=0.1, momentum=0.9)

    def build(self, data: Data) -> nn.Module:
        """Flatten and one linear layer, with torch's default initialization."""
        n_inputs = data.train.inputs[0].numel()
        return nn.Sequential(nn.Flatten(), nn.Linear(n_inputs, data.n_classes or 1, bias=self.bias))
