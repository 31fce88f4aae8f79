"""Groups of train points that are removed together."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from influbench.seeds import derive, hash_integers
from influbench.studies.informativeness.record import GroupKind


@dataclass(frozen=True, eq=False)
class Group:
    """Train points that are removed together. A random group does not have a difficulty.

    A group with the number of a `half` was chosen from that random half of the train points, and has half the size; it
    shows how much the effect of such a group depends on the points that happen to be in it.
    """

    kind: GroupKind
    fraction: float
    difficulty: str | None
    rows: Tensor  # (n_points,) of the train points, ascending
    half: int | None = None


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

    def halves(self, n_halves: int) -> list[Tensor]:
        """Random halves (n_train,) bool of all points, in pairs of complements: True for the points of the half.

        The halves of a pair have equally many points of each stratum and kind, up to one.
        """
        found: list[Tensor] = []
        for pair in range(n_halves // 2):
            order = hash_integers(derive(self.seed, "halves", pair), self.ids).argsort()
            for key in (self.strata, self.correct.to(torch.int64)):
                order = order[key[order].argsort(stable=True)]
            half = torch.zeros_like(self.correct)
            half[order[::2]] = True
            found += [half, ~half]
        return found

    def halved(self, sizes: Tensor, among: Tensor) -> Tensor:
        """The numbers of points of each stratum in a group of half this size, as far as there are any among these."""
        found = shares(int(sizes.sum()) // 2, sizes, self._counts(among))
        assert found is not None  # each half has half of the points of each kind, up to one
        return found

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


def choose(
    pool: Pool,
    fractions: Sequence[float],
    difficulties: dict[str, Tensor],
    *,
    n_random: int,
    n_halves: int = 0,
    halved_at: float | None = None,
) -> list[Group]:
    """Every group of every size: random groups, and by each difficulty the hardest and the easiest correct points.

    The hardest wrong points are a group as well if there are enough of them. Groups of the size `halved_at`, if they
    have at least two points, are also chosen from random halves of the points, with half the size; these come last.
    """
    groups = []
    for fraction in fractions:
        groups += [Group("random", fraction, None, rows) for rows in pool.random(_sizes(pool, fraction), n_random)]
        groups += _by_difficulty(pool, fraction, difficulties)
    if halved_at is not None and pool.n_points(halved_at) >= 2:
        for number, half in enumerate(pool.halves(n_halves)):
            groups += _by_difficulty(pool, halved_at, difficulties, half=half, number=number)
    return groups


def _by_difficulty(
    pool: Pool,
    fraction: float,
    difficulties: dict[str, Tensor],
    *,
    half: Tensor | None = None,
    number: int | None = None,
) -> list[Group]:
    """The hardest, the easiest and, if there are enough, the hardest wrong points by each difficulty."""
    sizes = _sizes(pool, fraction)
    kinds: dict[GroupKind, tuple[_Chooser, Tensor]] = {
        "hard": (pool.hardest, pool.correct),
        "easy": (pool.easiest, pool.correct),
    }
    if pool.has_wrong(sizes):
        kinds["wrong"] = (pool.hardest, ~pool.correct)
    groups = []
    for name, difficulty in difficulties.items():
        for kind, (chosen, among) in kinds.items():
            if half is None:
                rows = chosen(difficulty, sizes, among=among)
            else:
                rows = chosen(difficulty, pool.halved(sizes, among & half), among=among & half)
            groups.append(Group(kind, fraction, name, rows, number))
    return groups


def _sizes(pool: Pool, fraction: float) -> Tensor:
    sizes = pool.sizes(fraction)
    assert sizes is not None
    return sizes


class _Chooser(Protocol):
    """Rows of some of the points, by their difficulty: this many of each stratum."""

    def __call__(self, difficulty: Tensor, sizes: Tensor, *, among: Tensor) -> Tensor: ...
