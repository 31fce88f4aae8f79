"""A training of a stack of networks as one object, from its seeds to the contents of each batch."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from influbench.api import Masks, Normalizer
from influbench.networks.crossing import Factors
from influbench.training.noise import Draws


@dataclass(frozen=True, eq=False)
class Batch:
    """Everything that one optimizer step of a stack needs besides parameters and data."""

    rows: Tensor  # of train points: (n,) if all replicas share them, or (n_replicas, n)
    weights: Tensor  # (n_replicas, n)
    factors: Factors | None = None  # (n_replicas, n, n_units) of each masked site
    normalizer: Normalizer = "batch"
    frozen: Collection[str] = ()
    draws: Draws | None = None


@dataclass(frozen=True, eq=False)
class Course:
    """All that decides a stack's training, given a trainer's data, model and recipe. `Trainer.course` makes it."""

    weights: Tensor  # (n_replicas, n_train), in the networks' dtype and on their device
    seeds: Sequence[int]  # of each replica's initial parameters and batches
    batches: Sequence[Tensor]  # for each step, rows: (batch,) if all replicas share them, or (n_replicas, batch)
    ids: Tensor  # (n_train,)
    masks: Masks | None = None
    checkpoints: Collection[int] = ()
    normalizer: Normalizer = "batch"
    frozen: Collection[str] = ()
    first_replica: int = 0  # its number, as masks count replicas
    paired: bool = True  # trainings of one seed draw the same for an example, whatever their weights

    @property
    def n_replicas(self) -> int:
        return len(self.weights)

    @property
    def kept_steps(self) -> set[int]:
        """The steps after which parameters are kept, the last one included."""
        return {*self.checkpoints, len(self.batches)}

    @property
    def example_gradients(self) -> list[int]:
        """The example-gradients of each step: for each replica, the examples of its batch whose weight is not 0."""
        used = self.weights != 0
        counts = [(used[:, rows] if rows.ndim == 1 else used.gather(1, rows)).sum() for rows in self.batches]
        return torch.stack(counts).tolist() if counts else []

    def part(self, replicas: slice) -> "Course":
        """The same training of only these replicas, each with the masks that it has in the whole stack."""
        return replace(
            self,
            weights=self.weights[replicas],
            seeds=self.seeds[replicas],
            batches=[rows if rows.ndim == 1 else rows[replicas] for rows in self.batches],
            first_replica=self.first_replica + replicas.start,
        )

    def at(self, step: int) -> Batch:
        """The batch of the step that follows `step` earlier steps."""
        rows = self.batches[step]
        weights = self.weights[:, rows] if rows.ndim == 1 else self.weights.gather(1, rows)
        replicas = slice(self.first_replica, self.first_replica + self.n_replicas)
        of_sites = factors(self.masks, self.ids[rows], replicas, step=step, dtype=weights.dtype)
        return Batch(rows, weights, of_sites, self.normalizer, self.frozen, self._draws(step))

    def _draws(self, step: int) -> Draws:
        rows = self.batches[step]
        seeds = self.seeds[:1] if rows.ndim == 1 else self.seeds
        own = None if self.paired else self.weights
        return Draws(seeds, self.ids[rows].reshape(-1, rows.shape[-1]), step, own)


def factors(masks: Masks | None, ids: Tensor, replicas: slice, *, step: int, dtype: torch.dtype) -> Factors:
    """The factors of each site in the networks' dtype; empty without masks."""
    if masks is None:
        return {}
    return {site: masks(site, ids, replicas, step=step).to(dtype) for site in masks.sites}
