"""Networks trained on random subsets of the train points. Their answers are stored, not their parameters.

The seed decides a bank's role: estimators share one bank, the truth has another, and no training is in both.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
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
    """The points that each model is trained on, (n_models, n_train) of 0 and 1; each subset has round(ratio n) points.

    A point's place in the draw depends on its id, not on its row.
    """
    n_kept = _n_kept(len(ids), ratio)
    model_seeds = torch.tensor([derive(seed, "subset", model) for model in models], device=ids.device)[:, None]
    order = hash_integers(model_seeds, ids[None]).argsort(dim=1)
    return torch.zeros(len(models), len(ids), device=ids.device).scatter_(1, order[:, :n_kept], 1.0)


@dataclass(frozen=True, eq=False)
class SubsetBank(Trainings[Bank]):
    """`n_models` trainings, each with its own seed and on its own subset, with the normalizer "kept".

    They are stored in shards of 64 models, so that a larger bank contains the smaller one.
    """

    holds: ClassVar[str] = "measures of networks trained on subsets"

    seed: int
    n_models: int
    ratio: float
    repeat: int = 0  # the same subsets, trained with other seeds
    steps: Sequence[int] = ()  # answers are stored after these steps and after the last one

    @cached_property
    def key(self) -> str:
        """The digest under which the bank is stored: of everything that decides it except the number of models."""
        repeat = ("repeat", self.repeat) if self.repeat else ()
        steps = ("steps", *sorted(self.steps)) if self.steps else ()
        return digest("subsets", "kept", self.ratio, *repeat, *steps, training_key(self.trainer, self.seed))

    @property
    def folder(self) -> str:
        return f"banks/{self.key}"

    @property
    def names(self) -> list[str]:
        n_shards = -(-self.n_models // BLOCK)
        return [f"block-{block:05d}" for block in range(n_shards)]

    def trainings_in(self, name: str) -> int:
        """All models of the shard, even if the bank needs only some of them."""
        return len(_models(name))

    def values_in(self, name: str) -> int:
        data = self.trainer.data
        n_answers = len(available(data.n_classes)) * (1 + len(self.steps))
        return len(_models(name)) * (len(data.test) + len(data.train)) * n_answers

    @property
    def gradients_per_model(self) -> int:
        """The example-gradients that one model takes: one for each point of its subset in each epoch."""
        return _n_kept(len(self.trainer.data.train), self.ratio) * self.trainer.recipe.epochs

    def n_wanted(self, name: str) -> int:
        """Models of this shard that belong to the bank; the last shard may hold more."""
        return min(BLOCK, self.n_models - _models(name)[0])

    def compute(self, name: str) -> dict[str, Tensor]:
        """Measures of one shard's models on the test points and on the train points, by name, (n, ...).

        `test/MEASURE` is after the last step, `test/MEASURE@STEP` after an earlier one.
        """
        models = _models(name)
        weights = subsets(self.trainer.data.train.ids, self.seed, models=models, ratio=self.ratio)
        role = "model" if not self.repeat else f"model, repeat {self.repeat}"
        seeds = [derive(self.seed, role, model) for model in models]
        course = self.trainer.course(weights, seeds=seeds, normalizer="kept", checkpoints=self.steps)
        runs = self.trainer.train(course)
        measures, answers = available(self.trainer.data.n_classes), {}
        for split, where in ((self.trainer.data.test, "test"), (self.trainer.data.train, "train")):
            for step, suffix in self._suffixes().items():
                for measure, values in runs.measured_by(measures, split, step=step).items():
                    answers[f"{where}/{measure}{suffix}"] = values.to(self.trainer.dtype).cpu()
        return answers

    def assemble(self, shards: Sequence[Shard]) -> Bank:
        """The bank, from all of its shards."""
        answers, ids = _joined(shards, self.n_models), self.trainer.data.train.ids
        weights = subsets(ids, self.seed, models=range(self.n_models), ratio=self.ratio).cpu()
        *earlier, (_, last) = self._suffixes().items()
        return replace(
            self._bank(weights, answers, last),
            earlier={step: self._bank(weights, answers, suffix) for step, suffix in earlier},
        )

    def _suffixes(self) -> dict[int, str]:
        """The ending of the names of answers after each step, the last step last."""
        last = self.trainer.n_steps
        return {**{step: f"@{step}" for step in sorted({*self.steps} - {last})}, last: ""}

    def _bank(self, weights: Tensor, answers: Mapping[str, Tensor], suffix: str) -> Bank:
        measure = self.trainer.measure
        return Bank(
            weights=weights,
            on_test=answers[f"test/{measure}{suffix}"],
            on_train=answers[f"train/{measure}{suffix}"],
            p_correct=answers.get(f"train/p_correct{suffix}"),
        )


def _n_kept(n: int, ratio: float) -> int:
    """The size of each subset of n points."""
    return round(ratio * n)


def _models(name: str) -> range:
    first = int(name.rpartition("-")[2]) * BLOCK
    return range(first, first + BLOCK)


def _joined(shards: Sequence[Shard], n_models: int) -> Mapping[str, Tensor]:
    names = shards[0].tensors
    return {name: torch.cat([shard.tensors[name] for shard in shards])[:n_models].double() for name in names}
