"""Networks trained on random subsets of the train points, stored by what they answer.

A bank's role is in its seed: estimators are given one bank, the truth has another, and no training is in both.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from influbench.api import Bank
from influbench.executors import Executor
from influbench.measures import available
from influbench.seeds import derive, hash_integers
from influbench.shards import Shard, gather
from influbench.store.cache import Cache
from influbench.training.fingerprint import digest, training_key
from influbench.training.loop import Trainer

BLOCK = 64  # models in one shard

Done = Callable[[int], None]


def subsets(ids: Tensor, seed: int, *, models: Sequence[int], ratio: float) -> Tensor:
    """Which points each model is trained on, (n_models, n_train) of 0 and 1; each subset has round(ratio n) points.

    A point's place in the draw comes from its id, whatever its row.
    """
    n_kept = round(ratio * len(ids))
    model_seeds = torch.tensor([derive(seed, "subset", model) for model in models], device=ids.device)[:, None]
    order = hash_integers(model_seeds, ids[None]).argsort(dim=1)
    return torch.zeros(len(models), len(ids), device=ids.device).scatter_(1, order[:, :n_kept], 1.0)


@dataclass(frozen=True, eq=False)
class SubsetBank:
    """`n_models` trainings with seeds of their own, each on its subset, with the kept normalizer.

    Stored in shards of 64 models, so that a larger bank contains the smaller one.
    """

    trainer: Trainer
    seed: int
    n_models: int
    ratio: float
    repeat: int = 0  # the same subsets, trained with other seeds

    @cached_property
    def key(self) -> str:
        """Where the bank is stored: a digest of all that decides it, but for the number of models."""
        repeat = ("repeat", self.repeat) if self.repeat else ()
        return digest("subsets", "kept", self.ratio, *repeat, training_key(self.trainer, self.seed))

    def compute(self, name: str) -> dict[str, Tensor]:
        """Measures of one shard's models on the test points and on the train points, by name, (n, ...)."""
        models = _models(name)
        weights = subsets(self.trainer.data.train.ids, self.seed, models=models, ratio=self.ratio)
        role = "model" if not self.repeat else f"model, repeat {self.repeat}"
        seeds = [derive(self.seed, role, model) for model in models]
        runs = self.trainer.train(seeds, weights, normalizer="kept")
        answers = {}
        for split, where in ((self.trainer.data.test, "test"), (self.trainer.data.train, "train")):
            for measure, values in runs.measured_by(available(self.trainer.data.n_classes), split).items():
                answers[f"{where}/{measure}"] = values.to(self.trainer.dtype).cpu()
        return answers

    def gather(self, cache: Cache, executor: Executor) -> Iterator[Shard]:
        """Its shards, from the cache as far as they are stored."""
        return gather(cache, self.folder, self.shard_names, self, executor)

    @property
    def folder(self) -> str:
        """The folder of a cache that holds its shards."""
        return f"banks/{self.key}"

    @property
    def shard_names(self) -> list[str]:
        return [f"block-{block:05d}" for block in range(self.n_shards)]

    @property
    def n_shards(self) -> int:
        return -(-self.n_models // BLOCK)

    def assemble(self, shards: Sequence[Shard]) -> Bank:
        """The bank, from all of its shards."""
        answers = _joined(shards, self.n_models)
        measure = self.trainer.measure
        return Bank(
            weights=subsets(
                self.trainer.data.train.ids, self.seed, models=range(self.n_models), ratio=self.ratio
            ).cpu(),
            on_test=answers[f"test/{measure}"],
            on_train=answers[f"train/{measure}"],
            p_correct=answers.get("train/p_correct"),
        )

    def train(self, cache: Cache, executor: Executor, *, done: Done = lambda _models: None) -> Bank:
        """The bank, whole. `done` is told how many models each shard added."""
        shards: list[Shard] = []
        for shard in self.gather(cache, executor):
            shards.append(shard)
            done(min(BLOCK, self.n_models - _models(shard.name)[0]))
        return self.assemble(shards)


def _models(name: str) -> range:
    first = int(name.rpartition("-")[2]) * BLOCK
    return range(first, first + BLOCK)


def _joined(shards: Sequence[Shard], n_models: int) -> Mapping[str, Tensor]:
    in_order = sorted(shards, key=lambda shard: shard.name)
    return {
        name: torch.cat([shard.tensors[name] for shard in in_order])[:n_models].double() for name in in_order[0].tensors
    }
