"""Which units each example trains: bits of a counter-based hash, so that no mask is ever stored."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from influbench.seeds import bernoulli, derive, hash_integers


@dataclass(frozen=True, eq=False)
class HashedMasks:
    """A mask for every example id, one set of masks for each replica.

    Unit u of a site is kept for example i with probability `p`, by the hash of (replica's seed, site, i, u). Kept units
    are scaled by 1/p. The flipped masks keep the other units, scaled by 1/(1-p).
    """

    seeds: Sequence[int]  # one for each replica
    units: Mapping[str, int]  # site -> number of units
    p: float = 0.5
    flip: bool = False

    @property
    def sites(self) -> Sequence[str]:
        """The masked submodules."""
        return list(self.units)

    def flipped(self) -> "HashedMasks":
        """The masks over the units that these leave out."""
        return replace(self, flip=not self.flip)

    def __call__(self, site: str, ids: Tensor, replicas: slice) -> Tensor:
        """Factors (n_replicas, n, n_units), float32, for ids (n,) or (n_replicas, n)."""
        kept = self.bits(site, ids, replicas)
        if self.flip:
            return (~kept).to(torch.float32) / (1 - self.p)
        return kept.to(torch.float32) / self.p

    def bits(self, site: str, ids: Tensor, replicas: slice) -> Tensor:
        """True for the units that example i trains, (n_replicas, n, n_units); flipping does not change them."""
        of_site = [derive(seed, "site", site) for seed in self.seeds[replicas]]
        seeds = torch.tensor(of_site, device=ids.device)[:, None, None]
        units = torch.arange(self.units[site], device=ids.device)
        return bernoulli(hash_integers(seeds, ids[..., None], units), self.p)
