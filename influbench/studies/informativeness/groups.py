"""Groups of train points that are removed together."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from influbench.seeds import derive, hash_integers
from influbench.studies.informativeness.record import GroupKind


@dataclass(frozen=True, eq=False)
class Group:
    """Train points that are removed together. A random group does not have a difficulty."""

    kind: GroupKind
    fraction: float
    difficulty: str | None
    rows: Tensor  # (n_points,) of the train points, ascending


@dataclass(frozen=True, eq=False)
class Pool:
    """The train points that groups are drawn from. All groups of one size have equally many points of each stratum."""

    ids: Tensor  # (n_train,)
    strata: Tensor  # (n_train,) int64; the classes, or a single one
    correct: Tensor  # (n_train,) bool, True if the label is right
    seed: int

    def sizes(self, fraction: float) -> Tensor | None:
        """The number of points of each stratum in a group of this fraction of all train points, (n_strata,).

        The numbers are in proportion to the correct points, such that two groups of correct points fit without a common
        point; None if they do not fit. If wrong points can also fill such a group, no stratum has more points than
        there are wrong points in it.
        """
        room = self._counts(self.correct)
        of_correct = shares(self.n_points(fraction), room, room // 2)
        of_both = shares(self.n_points(fraction), room, torch.minimum(room // 2, self._counts(~self.correct)))
        return of_correct if of_both is None else of_both

    def n_points(self, fraction: float) -> int:
        """The number of points in a group of this fraction of all train points."""
        return round(fraction * len(self.ids))

    def has_wrong(self, sizes: Tensor) -> bool:
        """True if there are enough wrong points for a group of these sizes."""
        return bool((self._counts(~self.correct) >= sizes).all())

    def hardest(self, difficulty: Tensor, sizes: Tensor, *, among: Tensor) -> Tensor:
        """Rows of the points with the highest difficulty (n_train,) in each stratum, among some of the points."""
        return self._first(self._from_hard_to_easy(difficulty, among), sizes)

    def easiest(self, difficulty: Tensor, sizes: Tensor, *, among: Tensor) -> Tensor:
        """Rows of the points with the lowest difficulty; disjoint from `hardest` if there is room for both."""
        return self._first(self._from_hard_to_easy(difficulty, among).flip(0), sizes)

    def random(self, sizes: Tensor, n_groups: int) -> list[Tensor]:
        """Rows of random groups of correct points. Each stratum is shuffled, dealt out, and reshuffled when used up.

        So groups do not share a point as long as there are points that were not drawn.
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
        """Rows from the most to the least difficult; equal difficulties are in the order of a hash of ids."""
        by_chance = hash_integers(derive(self.seed, "ties"), self.ids).argsort()
        order = by_chance[difficulty[by_chance].argsort(descending=True, stable=True)]
        return order[among[order]]

    def _first(self, order: Tensor, sizes: Tensor) -> Tensor:
        parts = [order[self.strata[order] == stratum][:size] for stratum, size in enumerate(sizes.tolist())]
        return torch.cat(parts).sort().values

    def _counts(self, among: Tensor) -> Tensor:
        return self.strata[among].bincount(minlength=int(self.strata.max()) + 1)


def shares(n: int, counts: Tensor, room: Tensor) -> Tensor | None:
    """`n` seats for strata in proportion to their `counts`, none above its `room`; None if there is not room for `n`.

    Each seat goes to the stratum that is furthest below its proportion; the first of equal ones.
    """
    if n > int(room.sum()):
        return None
    given, wanted = torch.zeros_like(counts), n * counts.double() / counts.sum()
    for _ in range(n):
        lacking = (wanted - given).masked_fill(given >= room, -torch.inf)
        given[lacking.argmax()] += 1
    return given


def choose(pool: Pool, fractions: Sequence[float], difficulties: dict[str, Tensor], *, n_random: int) -> list[Group]:
    """Every group of every size: random groups, and by each difficulty the hardest and the easiest correct points.

    The hardest wrong points are a group as well if there are enough of them.
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
