"""Trainings for the judges of a problem, before the estimators run. Trainings that several judges share run once."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

from influbench.api import Shard, Work
from influbench.engine.events import JudgeEvent, ShardDone, TrainingsDone, WorkExtended
from influbench.engine.obstacles import Obstacle
from influbench.engine.seats import Seat, failure
from influbench.errors import EstimateError, InflubenchError
from influbench.resources import Resources
from influbench.shards import gather, in_order


@dataclass(frozen=True, eq=False)
class Finished:
    """One work with its result and its shards."""

    work: Work[Any]
    result: Any
    shards: Sequence[Shard]

    @property
    def n_trainings(self) -> int:
        return sum(self.work.trainings_in(shard.name) for shard in self.shards)


@dataclass(frozen=True, eq=False)
class Trained:
    """The trainings of each judge, by its name and in the order it asked, and the obstacles of judges without them."""

    by_judge: dict[str, list[Finished]]
    obstacles: dict[str, Obstacle]

    @property
    def results(self) -> dict[str, list[Any]]:
        """The results alone."""
        return {name: [one.result for one in finished] for name, finished in self.by_judge.items()}

    def finished_in(self, folder: str) -> Finished | None:
        """The work that is stored in this folder of the cache; None if no judge asked for it."""
        for finished in self.by_judge.values():
            for one in finished:
                if one.work.folder == folder:
                    return one
        return None


def train_for(seats: Sequence[Seat], resources: Resources, *, problem: str) -> Generator[JudgeEvent, None, Trained]:
    """Train what every judge needs. Our own errors are raised; anything else that is raised is that judge's failure.

    `problem` is its name, for the sentence: a model that raises in training is not the judge's fault.
    """
    done: dict[tuple[str, ...], Finished] = {}
    trained = Trained({}, {})
    for seat in seats:
        if seat.obstacle is not None:
            continue
        try:
            trained.by_judge[seat.name] = yield from _for_seat(seat, done, resources)
        except EstimateError as error:  # of what the judge wrote into
            trained.obstacles[seat.name] = failure(f"training {problem} for {seat.supplied}", error)
        except InflubenchError:
            raise
        except Exception as error:
            trained.obstacles[seat.name] = failure(f"training {problem} for {seat.supplied}", error)
    yield TrainingsDone()
    return trained


def _for_seat(
    seat: Seat, done: dict[tuple[str, ...], Finished], resources: Resources
) -> Generator[JudgeEvent, None, list[Finished]]:
    found = []
    n_before, n_all = 0, sum(len(work.names) for work in seat.works)
    for work in seat.works:
        place = (work.folder, *work.names)
        if place not in done:
            with seat.guarded("a training"):
                done[place] = yield from _finished(work, seat, n_before, n_all, resources)
        found.append(done[place])
        n_before += len(done[place].shards)
    return found


def _finished(
    work: Work[Any], seat: Seat, n_before: int, n_all: int, resources: Resources
) -> Generator[JudgeEvent, None, Finished]:
    """The work and, where its result calls for more, the larger work."""
    shards: list[Shard] = []
    while True:
        for shard in gather(work, resources, known=shards):
            shards.append(shard)
            n_done = n_before + len(shards)
            yield ShardDone(seat.name, n_done, max(n_all, n_done), shard.reused, shard.warning)
        result = work.assemble(in_order(shards))
        further = work.further(result)
        if further is None:
            return Finished(work, result, shards)
        yield WorkExtended(seat.name, work.standing(result))
        n_all += len(further.names) - len(work.names)
        work = further
