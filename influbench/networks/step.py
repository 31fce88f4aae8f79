"""The optimizer step in which a network runs, as its layers see it. Outside of a step, a network is evaluated.

Random layers need the random bits of each example, and batch norm its weight. Modules are called with inputs alone, so
the step is a context around the call.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from math import prod

import torch
from torch import Tensor

from influbench.errors import ModelError
from influbench.seeds import derive, hash_integers

_PARTS = (0, 16, 32, 48)  # a word of 64 random bits serves four units
_LEVELS = 2**16


@dataclass(frozen=True, eq=False)
class StackedStep:
    """One optimizer step of a stack of networks."""

    keys: Tensor  # (R, n) random bits of each example, int64, or (1, n) if all networks share them
    weights: Tensor  # (R, n)
    number: int = 0  # of earlier steps


@dataclass(eq=False)
class Step:
    """One optimizer step of one network. Layers add their new running statistics under their names."""

    keys: Tensor  # (n,)
    weights: Tensor  # (n,)
    number: int
    whole: bool = False  # True if every weight is known to be 1
    statistics: dict[str, Tensor] = field(default_factory=dict)
    uses: Counter[str] = field(default_factory=Counter)
    drawn: dict[tuple[str, int], Tensor] | None = None  # draws of networks with the same keys, by layer and use

    def kept(self, site: str, units: Sequence[int], share: float) -> Tensor:
        """True for each unit of each example that a random layer keeps, (n, n_units)."""
        place = (site, self.uses[site])
        self.uses[site] += 1
        if self.drawn is not None and place in self.drawn:
            return self.drawn[place]
        drawn = kept_units(self.keys, *place, prod(units), share)
        if self.drawn is not None:
            self.drawn[place] = drawn
        return drawn

    def rows_of_each(self, site: str, n_rows: int) -> int:
        """The number of rows that a layer is given for each example; ModelError if examples are not its rows."""
        n = len(self.keys)
        if n_rows < n or n_rows % n:
            raise ModelError(
                f"layer {site!r} is given {n_rows} rows for a batch of {n} examples; give it tensors whose first axis "
                "is the batch"
            )
        return n_rows // n


_steps: list[Step] = []


def current_step() -> Step | None:
    """The step in which the network runs, or None if it is evaluated."""
    return _steps[-1] if _steps else None


@contextmanager
def within(step: Step | None) -> Iterator[None]:
    """A context in which networks run in this step."""
    if step is None:
        yield
        return
    _steps.append(step)
    try:
        yield
    finally:
        _steps.pop()


def kept_units(keys: Tensor, site: str, use: int, n_units: int, share: float) -> Tensor:
    """True for each unit that is kept, (n, n_units), with probability `share` in steps of 2^-16.

    A pure function of the example's random bits (n,), the layer's name, the number of earlier uses of the layer in
    this call, and the unit.
    """
    of_site = hash_integers(_site_seed(site, use), keys[:, None])
    words = hash_integers(of_site, torch.arange(-(-n_units // len(_PARTS)), device=keys.device))
    numbers = torch.stack([(words >> part) & (_LEVELS - 1) for part in _PARTS], dim=-1).flatten(1)
    return numbers[:, :n_units] < round(share * _LEVELS)


@lru_cache(maxsize=4096)
def _site_seed(site: str, use: int) -> int:
    return derive(0, "layer", site, use)
