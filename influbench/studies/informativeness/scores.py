"""What estimators say of a problem, stored where influbench's own code has said it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import torch
from torch import Tensor

import influbench
from influbench.engine.estimating import estimated
from influbench.engine.obstacles import in_words
from influbench.engine.preparation import Candidate
from influbench.errors import InflubenchError, PluginError, UsageError
from influbench.executors import Here
from influbench.results import Quantity
from influbench.shards import gather
from influbench.store.cache import Cache
from influbench.training.fingerprint import digest, training_key
from influbench.training.loop import Trainer

Done = Callable[[int, int], None]  # how many repeats are done, and of how many


@dataclass(frozen=True, eq=False)
class Scores:
    """One quantity of one estimator, in some of its repeats: each has seeds of its own, and is a shard."""

    candidate: Candidate
    trainer: Trainer
    root_seed: int
    quantity: Quantity
    repeats: range

    def mean(self, cache: Cache, *, done: Done = lambda _done, _all: None) -> Tensor:
        """Scores in the mean over repeats, (n_train,) or (n_train, n_test) float64. UsageError if there are none.

        A stranger's estimator runs every time: nothing tells whether its code has changed.
        """
        found = {}
        for repeat, scores in self._stored(cache) if self._is_own else self._computed():
            found[repeat] = scores
            done(len(found), len(self.repeats))
        return torch.stack([found[repeat] for repeat in self.repeats]).mean(0)

    def compute(self, name: str) -> dict[str, Tensor]:
        """The scores of one repeat."""
        return {self.quantity: self._scores(_repeat(name))}

    def _stored(self, cache: Cache) -> Iterator[tuple[int, Tensor]]:
        names = [f"repeat-{repeat:04d}" for repeat in self.repeats]
        for shard in gather(cache, f"scores/{self._key}", names, self, Here()):
            yield _repeat(shard.name), shard.tensors[self.quantity]

    def _computed(self) -> Iterator[tuple[int, Tensor]]:
        for repeat in self.repeats:
            yield repeat, self._scores(repeat)

    @cached_property
    def _key(self) -> str:
        """All seeds derive from the root seed, the estimator's name and the repeat."""
        what = self.quantity, self.candidate.selector.name, repr(self.candidate.estimator)
        return digest("scores", *what, _own_code(), training_key(self.trainer, self.root_seed))

    @property
    def _is_own(self) -> bool:
        return self.candidate.supplied == str(self.candidate.selector)

    def _scores(self, repeat: int) -> Tensor:
        view, estimator, who = self.candidate.problems[repeat], self.candidate.estimator, self.candidate.supplied
        assert estimator is not None
        try:
            (estimate,) = estimated(estimator, view, who=who)
        except InflubenchError as error:
            raise type(error)(in_words(error, who)) from error
        except Exception as error:
            raise PluginError(in_words(error, who)) from error
        scores: Tensor | None = getattr(estimate, self.quantity)
        if scores is None:
            raise UsageError(f"{who} tells no {self.quantity}; name another in the plan's [informativeness]")
        return scores


def _repeat(name: str) -> int:
    return int(name.rpartition("-")[2])


@cache
def _own_code() -> str:
    """A digest of influbench's source files."""
    folder = Path(influbench.__file__).parent
    return digest(*(path.read_text(encoding="utf-8") for path in sorted(folder.rglob("*.py"))))
