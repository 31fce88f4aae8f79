"""A small convolutional network."""

from dataclasses import dataclass
from itertools import pairwise

from torch import nn

from influbench.api import Data, Model, Recipe
from influbench.models.images import check_images


@dataclass(frozen=True)
class Cnn(Model):
    """3 x 3 convolutions of the given numbers of channels, each with ReLU and max pooling, then one linear layer."""

    channels: tuple[int, ...] = (16, 32)

    def __post_init__(self) -> None:
        if not self.channels or min(self.channels) < 1:
            raise ValueError(f"channels needs one number of at least 1 per convolution, got {list(self.channels)}")

    @property
    def recipe(self) -> Recipe:
        """SGD with momentum at a constant rate."""
        return Recipe(learning_rate=0.05, momentum=0.9, epochs=10)

    def build(self, data: Data) -> nn.Module:
        """A module with torch's default initialization."""
        n_channels, height, width = check_images(data, smallest=2 ** len(self.channels))
        layers: list[nn.Module] = []
        for n_in, n_out in pairwise((n_channels, *self.channels)):
            layers += [nn.Conv2d(n_in, n_out, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        shrink = 2 ** len(self.channels)
        n_features = self.channels[-1] * (height // shrink) * (width // shrink)
        return nn.Sequential(*layers, nn.Flatten(), nn.Linear(n_features, data.n_classes or 1))
