"""Shapes of pictures."""

from dataclasses import replace

from torch import Tensor

from influbench.datasets.examples import Examples

_CHANNELS = (1, 3, 4)  # gray; red, green and blue; with alpha
_MOST_CHANNELS = 4


def is_channels_last(inputs: Tensor) -> bool:
    """True if the inputs are (n, height, width, channels) with few channels, and more pixels than channels."""
    if inputs.ndim != 4 or inputs.shape[3] not in _CHANNELS:
        return False
    return min(inputs.shape[1:3]) > _MOST_CHANNELS


def channels_first(examples: Examples) -> Examples:
    """The examples with pictures as (n, channels, height, width), and a note if they had their channels last."""
    if not all(is_channels_last(split.inputs) for split in examples.splits):
        return examples
    shape = tuple(examples.splits[0].inputs.shape[1:])
    note = f"Inputs of shape {shape} are taken as (height, width, channels); the channels are moved to the front."
    splits = tuple(replace(split, inputs=split.inputs.permute(0, 3, 1, 2).contiguous()) for split in examples.splits)
    return replace(examples, splits=splits, notes=(*examples.notes, note))
