"""The pixels of pictures, read by pillow. A DataError here begins with a verb."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from influbench.datasets.examples import in_brackets
from influbench.errors import DataError

GRAY = ("1", "L", "LA", "La", "I;16", "I;16B", "I;16L", "I")
_DEEP = ("I;16", "I;16B", "I;16L", "I")  # 16 bits, which pillow would clip on conversion
_ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")


@dataclass(frozen=True)
class Format:
    """The size and channels that all pictures of a data set get, and sentences about what that changes."""

    width: int
    height: int
    n_channels: int
    notes: tuple[str, ...] = ()


def format_of(sizes: Sequence[tuple[int, int]], modes: Sequence[str], *, size: int | None) -> Format:
    """The format of pictures of these (width, height) and modes. DataError if they have several sizes and get none."""
    n_channels = 1 if all(mode in GRAY for mode in modes) else 3
    notes: list[str] = []
    if n_channels == 3 and (n_gray := sum(mode in GRAY for mode in modes)):
        notes.append(f"{n_gray} of {len(modes)} pictures are gray and have three equal channels.")
    if n_transparent := sum(mode in _ALPHA for mode in modes):
        notes.append(f"{n_transparent} of {len(modes)} pictures have an alpha channel, which is left out.")
    different = sorted(set(sizes))
    if size is None and len(different) > 1:
        first, last = (f"{width} x {height}" for width, height in (different[0], different[-1]))
        raise DataError(
            f"holds pictures of {len(different)} sizes, from {first} to {last} pixels; resize them with "
            f"{in_brackets('size', 32)}"
        )
    width, height = different[0] if size is None else (size, size)
    if n_resized := sum(one != (width, height) for one in sizes):
        notes.append(f"{n_resized} of {len(sizes)} pictures are resized to {width} x {height} pixels.")
    return Format(width, height, n_channels, tuple(notes))


def pixels_in(file: Path, look: Format, *, shown: str) -> Tensor:
    """The pixels of a picture, (channels, height, width) in [0, 1]. DataError if it is damaged."""
    try:
        with Image.open(file) as image:
            return pixels_of(image, look)
    except (OSError, ValueError, SyntaxError) as error:
        raise DataError(f"holds {shown}, which is damaged or not a picture") from error


def pixels_of(image: Image.Image, look: Format) -> Tensor:
    """The pixels of an open picture, likewise."""
    if image.mode in _DEEP:
        scaled = Image.fromarray(np.asarray(image).astype(np.float32) / 65535)
        planes = [_resized(scaled, look)] * look.n_channels
    else:
        converted = image.convert("L" if look.n_channels == 1 else "RGB")
        planes = [_resized(band, look) / np.float32(255) for band in converted.split()]
    return torch.from_numpy(np.stack(planes))


def _resized(band: Image.Image, look: Format) -> "np.typing.NDArray[np.float32]":
    if band.size != (look.width, look.height):
        band = band.resize((look.width, look.height), Image.Resampling.BILINEAR)
    return np.asarray(band, dtype=np.float32)
