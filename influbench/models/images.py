"""The check that models of images make on their data."""

from influbench.api import Data
from influbench.errors import ModelError


def check_images(data: Data, *, smallest: int) -> tuple[int, int, int]:
    """(channels, height, width) of the inputs. ModelError if they are not images, or are smaller than `smallest`."""
    shape = tuple(data.train.inputs.shape[1:])
    if len(shape) != 3 or min(shape[1:]) < smallest:
        raise ModelError(
            f"inputs have shape {shape}, expected images (channels, height, width) of at least {smallest} x {smallest}"
        )
    return shape[0], shape[1], shape[2]
