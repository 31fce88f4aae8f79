"""Networks trained on random subsets of the train points, stored by what they answer.

A bank's role is in its seed: estimators are given one bank, the truth has another, and no training is in both.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from influbench.api import Bank, Shard
from influbench.measures import available
from influbench.seeds import derive, hash_integers
from influbench.shards import Trainings
from influbench.training.fingerprint import digest, training_key

BLOCK = 64  # models in one shard


def subsets(ids: Tensor, seed: int, *, models: Sequence[int], ratio: float) -> Tensor:
    """Which points each model is trained on, (n_models, n_train) of 0 and 1; each subset has round(ratio n) points.

    A point's place in the draw comes from its id, whatever its row.
    """
    n_kept = round(ratio * len(ids))
    model_seeds = torch.tensor([derive(seed, "subset", model) for model in models], device=ids.device)[:, None]
    order = hash_integers(model_seeds, ids[None]).argsort(dim=1)
    return torch.zeros(len(models), len(ids), device=ids.device).scatter_(1, order[:, :n_kept], 1.0)


@dataclass(frozen=True, eq=False)
class SubsetBank(Trainings[Bank]):
    """`n_models` trainings with seeds of their own, each on its subset, with the kept normalizer.

    Stored in shards of 64 models, so that a larger bank contains the smaller one.
    """

    holds: ClassVar[str] = "measures of networks trained on subsets"

    seed: int
    n_models: int
    ratio: float
    repeat: int = 0  # the same subsets, trained with other seeds

    @cached_property
    def key(self) -> str:
        """Where the bank is stored: a digest of all that decides it, but for the number of models."""
        repeat = ("repeat", self.repeat) if self.repeat else ()
        return digest("subsets", "kept", self.ratio, *repeat, training_key(self.trainer, self.seed))

    @property
    def folder(self) -> str:
        return f"banks/{self.key}"

    @property
    def names(self) -> list[str]:
        n_shards = -(-self.n_models // BLOCK)
        return [f"block-{block:05d}" for block in range(n_shards)]

    def n_wanted(self, name: str) -> int:
        """Models of this shard that belong to the bank; the last shard may hold more."""
        return min(BLOCK, self.n_models - _models(name)[0])

    def compute(self, name: str) -> dict[str, Tensor]:
        """Measures of one shard's models on the test points and on the train points, by name, (n, ...)."""
        models = _models(name)
        weights = subsets(self.trainer.data.train.ids, self.seed, models=models, ratio=self.ratio)
        role = "model" if not self.repeat else f"model, repeat {self.repeat}"
        seeds = [derive(self.seed, role, model) for model in models]
        runs = self.trainer.train(self.trainer.course(weights, seeds=seeds, normalizer="kept"))
        answers = {}
        for split, where in ((self.trainer.data.test, "test"), (self.trainer.data.train, "train")):
            for measure, values in runs.measured_by(available(self.trainer.data.n_classes), split).items():
                answers[f"{where}/{measure}"] = values.to(self.trainer.dtype).cpu()
        return answers

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


def _models(name: str) -> range:
    first = int(name.rpartition("-")[2]) * BLOCK
    return range(first, first + BLOCK)


def _joined(shards: Sequence[Shard], n_models: int) -> Mapping[str, Tensor]:
    names = shards[0].tensors
    return {name: torch.cat([shard.tensors[name] for shard in shards])[:n_models].double() for name in names}
