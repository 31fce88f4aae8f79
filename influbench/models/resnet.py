"""A small residual network (He et al. 2016, arXiv 1512.03385)."""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from influbench.api import Data, Model, Recipe
from influbench.models.images import check_images

_CHANNELS_PER_GROUP = 8  # it divides the default widths 16, 32 and 64


class _Block(nn.Module):
    """Two 3 x 3 convolutions with norms, added to the input, which is projected where the shape changes."""

    def __init__(self, n_in: int, n_out: int, *, stride: int, norm: str) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(n_in, n_out, 3, stride=stride, padding=1, bias=False)
        self.norm1 = _norm(norm, n_out)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(n_out, n_out, 3, padding=1, bias=False)
        self.norm2 = _norm(norm, n_out)
        same = stride == 1 and n_in == n_out
        self.shortcut = nn.Identity() if same else nn.Conv2d(n_in, n_out, 1, stride=stride, bias=False)
        self.relu2 = nn.ReLU()

    def forward(self, inputs: Tensor) -> Tensor:
        residual = self.norm2(self.conv2(self.relu1(self.norm1(self.conv1(inputs)))))
        outputs: Tensor = self.relu2(residual + self.shortcut(inputs))
        return outputs


@dataclass(frozen=True)
class Resnet(Model):
    """A convolution, then stages of residual blocks that double the channels and halve the image, then a linear layer.

    `norm` is "group" (8 channels per group; Wu & He 2018) or "batch" (Ioffe & Szegedy 2015).
    """

    width: int = 16
    blocks: tuple[int, ...] = (1, 1, 1)
    norm: Literal["group", "batch"] = "group"

    def __post_init__(self) -> None:
        if self.width < 1:
            raise ValueError(f"width must be at least 1, got {self.width}")
        if not self.blocks or min(self.blocks) < 1:
            raise ValueError(f"blocks needs one number of at least 1 per stage, got {list(self.blocks)}")

    @property
    def recipe(self) -> Recipe:
        """SGD with momentum and a cosine schedule."""
        return Recipe(learning_rate=0.05, momentum=0.9, schedule="cosine", epochs=10)

    def build(self, data: Data) -> nn.Module:
        """A module with torch's default initialization."""
        n_channels, _, _ = check_images(data, smallest=2 ** (len(self.blocks) - 1))
        layers: list[nn.Module] = [
            nn.Conv2d(n_channels, self.width, 3, padding=1, bias=False),
            _norm(self.norm, self.width),
            nn.ReLU(),
        ]
        n_in = self.width
        for stage, n_blocks in enumerate(self.blocks):
            n_out = self.width * 2**stage
            for block in range(n_blocks):
                stride = 2 if stage and not block else 1
                layers.append(_Block(n_in, n_out, stride=stride, norm=self.norm))
                n_in = n_out
        pooled = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(n_in, data.n_classes or 1))
        return nn.Sequential(*layers, *pooled)


def _norm(norm: str, n_channels: int) -> nn.Module:
    if norm == "batch":
        return nn.BatchNorm2d(n_channels)
    n_groups = n_channels // _CHANNELS_PER_GROUP if n_channels % _CHANNELS_PER_GROUP == 0 else 1
    return nn.GroupNorm(n_groups, n_channels)
