"""Which units each example trains: bits of a counter-based hash, so that no mask is ever stored."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from influbench.seeds import bernoulli, derive, hash_integers


@dataclass(frozen=True, eq=False)
class HashedMasks:
    """A mask for every example id, one set of masks for each replica.

    Unit u of a site is drawn for example i with probability `share`, by the hash of (replica's seed, site, i, u). The
    masks keep the drawn units, or the others if they are flipped, scaled by 1/p, p being the probability of those.
    """

    seeds: Sequence[int]  # one for each replica
    units: Mapping[str, int]  # site -> number of units
    share: float = 0.5
    flip: bool = False

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

    def __call__(self, site: str, ids: Tensor, replicas: slice) -> Tensor:
        """Factors (n_replicas, n, n_units), float32, for ids (n,) or (n_replicas, n)."""
        drawn = self.bits(site, ids, replicas)
        return (drawn ^ self.flip).to(torch.float32) / self.p

    def bits(self, site: str, ids: Tensor, replicas: slice) -> Tensor:
        """True for the units that are drawn for example i, (n_replicas, n, n_units); flipping does not change them."""
        of_site = [derive(seed, "site", site) for seed in self.seeds[replicas]]
        seeds = torch.tensor(of_site, device=ids.device)[:, None, None]
        units = torch.arange(self.units[site], device=ids.device)
        return bernoulli(hash_integers(seeds, ids[..., None], units), self.share)
