"""The units that each example trains: bits of a counter-based hash, so that masks are never stored."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from influbench.seeds import bernoulli, derive, hash_integers


@dataclass(frozen=True, eq=False)
class HashedMasks:
    """A mask for every example id, one set of masks for each replica.

    Unit u of a site is drawn for example i with probability `share`, by the hash of (replica's seed, site, i, u). The
    masks keep the drawn units, or the other units if they are flipped, scaled by 1/p, where p is the probability that a
    unit is kept.

    `balanced` draws share * n_units units of each site for every example, rounded up or down at random, instead of
    drawing each unit independently. With `n_groups`, examples of the same group, which is drawn by id, share a mask.
    Replicas that are `swapped` have their two halves exchanged.
    """

    seeds: Sequence[int]  # one for each replica
    units: Mapping[str, int]  # site -> number of units
    share: float = 0.5
    flip: bool = False
    balanced: bool = False
    n_groups: int | None = None
    swapped: Sequence[bool] = ()  # one for each replica; empty: none

    @property
    def sites(self) -> Sequence[str]:
        """The masked submodules."""
        return list(self.units)

    @property
    def p(self) -> float:
        """The probability that a unit is kept."""
        return 1 - self.share if self.flip else self.share

    def flipped(self) -> "HashedMasks":
        """The masks over the units that these leave out."""
        return replace(self, flip=not self.flip)

    def __call__(self, site: str, ids: Tensor, replicas: slice, *, step: int = 0) -> Tensor:  # noqa: ARG002
        """Factors (n_replicas, n, n_units), float64, for ids (n,) or (n_replicas, n), identical at every step."""
        drawn = self.bits(site, ids, replicas)
        return (drawn ^ self.flip).to(torch.float64) / self.p

    def bits(self, site: str, ids: Tensor, replicas: slice) -> Tensor:
        """True for the units that are drawn for example i, (n_replicas, n, n_units); flipping does not change them."""
        seeds = self.seeds[replicas]
        if self.n_groups is not None:
            ids = hash_integers(_column(seeds, "group", device=ids.device), ids).remainder(self.n_groups)
        of_units = hash_integers(
            _column(seeds, "site", site, device=ids.device)[..., None],
            ids[..., None],
            torch.arange(self.units[site], device=ids.device),
        )
        if self.balanced:
            chance = hash_integers(_column(seeds, "number", site, device=ids.device), ids)
            drawn = of_units.argsort(-1).argsort(-1) < _number(self.share * self.units[site], chance)[..., None]
        else:
            drawn = bernoulli(of_units, self.share)
        if any(self.swapped):
            drawn = drawn ^ torch.tensor(self.swapped[replicas], device=ids.device)[:, None, None]
        return drawn


def _column(seeds: Sequence[int], *labels: str, device: torch.device) -> Tensor:
    """The seed that these labels derive from each replica's seed, (n_replicas, 1)."""
    return torch.tensor([derive(seed, *labels) for seed in seeds], device=device)[:, None]


def _number(wanted: float, bits: Tensor) -> Tensor:
    """Whole numbers, `wanted` rounded up or down at random, with `wanted` as their mean."""
    whole = int(wanted)
    return whole + bernoulli(bits, wanted - whole).to(torch.int64)
