"""Every random choice, as a pure function of a seed and of what the choice is for.

`derive` splits one root seed into independent streams; `hash_integers` draws bits for an example *id*, so that what
happens to an example depends neither on its row nor on the other examples.
"""

from hashlib import blake2b

import torch
from torch import Tensor

_GOLDEN = -0x61C8864680B583EB  # 0x9E3779B97F4A7C15 as a signed 64-bit integer
_MIX_1 = -0x40A7B892E31B1A47  # 0xBF58476D1CE4E5B9
_MIX_2 = -0x6B2FB644ECCEEE15  # 0x94D049BB133111EB


def derive(seed: int, *labels: str | int) -> int:
    """A seed in [0, 2^63) for the stream that `labels` name under `seed`.

    Different labels give independent streams: `derive(s, "truth", 0)` and `derive(s, "estimator", 0)` share nothing.
    """
    text = repr((int(seed), *labels)).encode()
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "big") >> 1


def hash_integers(seed: int | Tensor, *keys: Tensor) -> Tensor:
    """64 random bits per element of the broadcast `keys` (all int64), the same on every device and in every version.

    A counter-based hash: one SplitMix64 step (Steele, Lea, Flood 2014) for the seed and for each key.
    """
    state = torch.as_tensor(seed, dtype=torch.int64)
    if keys:
        state = state.to(keys[0].device)
    state = _mix(state + _GOLDEN)
    for key in keys:
        state = _mix(state + _GOLDEN * (key + 1))
    return state


def uniform(bits: Tensor) -> Tensor:
    """The upper 52 of 64 random bits as a number in (0, 1), float64."""
    numbers: Tensor = (_shift(bits, 12).double() + 0.5) * 2.0**-52
    return numbers


def bernoulli(bits: Tensor, p: float) -> Tensor:
    """True with probability `p`, from the upper 53 of 64 random bits."""
    return _shift(bits, 11) < int(p * 2**53)


def _mix(state: Tensor) -> Tensor:
    state = (state ^ _shift(state, 30)) * _MIX_1
    state = (state ^ _shift(state, 27)) * _MIX_2
    return state ^ _shift(state, 31)


def _shift(bits: Tensor, by: int) -> Tensor:
    """Logical shift to the right; for int64, torch has only the arithmetic shift."""
    return (bits >> by) & ((1 << (64 - by)) - 1)
