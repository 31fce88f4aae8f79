"""Which train points are taken away together."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from influbench.seeds import derive, hash_integers
from influbench.studies.informativeness.record import GroupKind


@dataclass(frozen=True, eq=False)
class Group:
    """Train points that are taken away together. A random group was chosen by no difficulty."""

    kind: GroupKind
    fraction: float
    difficulty: str | None
    rows: Tensor  # (n_points,) of the train points, ascending


@dataclass(frozen=True, eq=False)
class Pool:
    """The train points that groups are drawn from. All groups of a size hold as many points of each stratum."""

    ids: Tensor  # (n_train,)
    strata: Tensor  # (n_train,) int64; the classes, or a single one
    correct: Tensor  # (n_train,) bool, whether the label is right
    seed: int

    def sizes(self, fraction: float) -> Tensor | None:
        """How many points of each stratum a group of this fraction of all train points holds, (n_strata,).

        In proportion to the correct points, as far as two groups of them that share no point have room; None where
        they have not. Where wrong ones can fill such a group too, no stratum has more points than there are wrong ones.
        """
        room = self._counts(self.correct)
        of_correct = shares(self.n_points(fraction), room, room // 2)
        of_both = shares(self.n_points(fraction), room, torch.minimum(room // 2, self._counts(~self.correct)))
        return of_correct if of_both is None else of_both

    def n_points(self, fraction: float) -> int:
        """Points in a group of this fraction of all train points."""
        return round(fraction * len(self.ids))

    def has_wrong(self, sizes: Tensor) -> bool:
        """Whether the wrong points fill a group of these sizes."""
        return bool((self._counts(~self.correct) >= sizes).all())

    def hardest(self, difficulty: Tensor, sizes: Tensor, *, among: Tensor) -> Tensor:
        """Rows of the points of the highest difficulty (n_train,) in each stratum, among some of the points."""
        return self._first(self._from_hard_to_easy(difficulty, among), sizes)

    def easiest(self, difficulty: Tensor, sizes: Tensor, *, among: Tensor) -> Tensor:
        """Rows of the points of the lowest difficulty; none that `hardest` gives, where there is room for both."""
        return self._first(self._from_hard_to_easy(difficulty, among).flip(0), sizes)

    def random(self, sizes: Tensor, n_groups: int) -> list[Tensor]:
        """Rows of groups of correct points: dealt out of a shuffled stratum until it is used up, then out of a new one.

        So groups share no point as long as there are points that were not drawn.
        """
        groups: list[list[Tensor]] = [[] for _ in range(n_groups)]
        for stratum, size in enumerate(sizes.tolist()):
            members = (self.correct & (self.strata == stratum)).nonzero()[:, 0]
            for number, group in enumerate(groups if size else []):
                shuffle, place = divmod(number, len(members) // size)
                bits = hash_integers(derive(self.seed, "random groups", int(sizes.sum()), shuffle), self.ids[members])
                group.append(members[bits.argsort()[place * size : (place + 1) * size]])
        return [torch.cat(group).sort().values for group in groups]

    def _from_hard_to_easy(self, difficulty: Tensor, among: Tensor) -> Tensor:
        """Rows, equal difficulties in the order of a hash of ids."""
        by_chance = hash_integers(derive(self.seed, "ties"), self.ids).argsort()
        order = by_chance[difficulty[by_chance].argsort(descending=True, stable=True)]
        return order[among[order]]

    def _first(self, order: Tensor, sizes: Tensor) -> Tensor:
        parts = [order[self.strata[order] == stratum][:size] for stratum, size in enumerate(sizes.tolist())]
        return torch.cat(parts).sort().values

    def _counts(self, among: Tensor) -> Tensor:
        return self.strata[among].bincount(minlength=int(self.strata.max()) + 1)


def shares(n: int, counts: Tensor, room: Tensor) -> Tensor | None:
    """`n` seats for strata in proportion to their `counts`, none above its `room`; None where there is no room for n.

    Seat by seat to the stratum that is furthest below its proportion, of equal ones to the first.
    """
    if n > int(room.sum()):
        return None
    given, wanted = torch.zeros_like(counts), n * counts.double() / counts.sum()
    for _ in range(n):
        lacking = (wanted - given).masked_fill(given >= room, -torch.inf)
        given[lacking.argmax()] += 1
    return given


def choose(pool: Pool, fractions: Sequence[float], difficulties: dict[str, Tensor], *, n_random: int) -> list[Group]:
    """Every group of every size: random ones, and by each difficulty the hardest and easiest correct points.

    And the hardest wrong ones where the wrong ones fill a group.
    """
    groups = []
    for fraction in fractions:
        sizes = pool.sizes(fraction)
        assert sizes is not None
        groups += [Group("random", fraction, None, rows) for rows in pool.random(sizes, n_random)]
        for name, difficulty in difficulties.items():
            groups.append(Group("hard", fraction, name, pool.hardest(difficulty, sizes, among=pool.correct)))
            groups.append(Group("easy", fraction, name, pool.easiest(difficulty, sizes, among=pool.correct)))
            if pool.has_wrong(sizes):
                groups.append(Group("wrong", fraction, name, pool.hardest(difficulty, sizes, among=~pool.correct)))
    return groups
