"""Times at which curves rise, for curves that are known at some steps and linear between them.

A curve is (..., n_steps), known after each of `steps`, the first of which is 0. Its gain is measured from its own
start, as a share of its own whole gain; the times of a curve that does not end above its start are nan.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

HALF = 0.5


def gained(curves: Tensor) -> Tensor:
    """The share of its own whole gain that each curve has made after each step, (..., n_steps): from 0 to 1."""
    start, whole = curves[..., :1], curves[..., -1:] - curves[..., :1]
    return torch.where(whole > 0, (curves - start) / whole, torch.nan)


def time_of(steps: Sequence[int], curves: Tensor, share: float) -> Tensor:
    """The first step, with its fraction, at which each curve has made this share (in (0, 1]) of its gain: (...)."""
    at, made = _tensor(steps, curves), gained(curves)
    after = (made >= share).to(torch.int64).argmax(-1, keepdim=True).clamp(min=1)
    before = after - 1
    low, high = made.gather(-1, before), made.gather(-1, after)
    return torch.lerp(at[before], at[after], (share - low) / (high - low))[..., 0]


def overlap(steps: Sequence[int], first: Tensor, second: Tensor, *, tail: float) -> Tensor:
    """The share of the second curve's gain made while the first goes from `tail` to 1 - `tail` of its own: (...).

    It is 0 if the second rises only after the first is done or before it starts, and 1 - 2 tail for equal curves.
    """
    begin, end = (time_of(steps, first, share) for share in (tail, 1 - tail))
    made = gained(second)
    return value_at(steps, made, end) - value_at(steps, made, begin)


def initial_slope(steps: Sequence[int], curves: Tensor, *, until: float) -> Tensor:
    """The mean rise per step from the start until this step: (...), negative if a curve falls at first."""
    end = curves.new_tensor(float(until)).expand(curves.shape[:-1])
    return (value_at(steps, curves, end) - curves[..., 0]) / until


def value_at(steps: Sequence[int], curves: Tensor, times: Tensor) -> Tensor:
    """The value of each curve at its own time (...), which is within the steps; nan if the time is nan."""
    at = _tensor(steps, curves)
    after = torch.searchsorted(at, times.nan_to_num(0.0)).clamp(1, len(at) - 1)[..., None]
    before = after - 1
    share = (times[..., None] - at[before]) / (at[after] - at[before])
    return torch.lerp(curves.gather(-1, before), curves.gather(-1, after), share)[..., 0]


def _tensor(steps: Sequence[int], like: Tensor) -> Tensor:
    return like.new_tensor(list(steps))
