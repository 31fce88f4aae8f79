"""The terms of each mask's scores, stored mask by mask."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property

from torch import Tensor

from influbench.errors import TrainingError
from influbench.estimators.turn_over_dropout.estimator import TurnOverDropout
from influbench.executors import Executor, Here
from influbench.problem import TrainingProblem
from influbench.seeds import derive
from influbench.shards import Shard, gather
from influbench.store.cache import Cache
from influbench.studies.decomposition.terms import Halves, Parts, in_halves, of_mask
from influbench.training.fingerprint import digest, training_key
from influbench.training.loop import Trainer

_NAMES = [field.name for field in fields(Parts)]


@dataclass(frozen=True, eq=False)
class MaskedRetraining:
    """One mask to a shard: its network, trained once and once more without each train point, in terms.

    `seed` is the estimator's stream, so that scores are those of a run.
    """

    trainer: Trainer
    estimator: TurnOverDropout
    seed: int
    cache: Cache

    @property
    def shard_names(self) -> list[str]:
        return [f"mask-{number:05d}" for number in range(self.estimator.n_masks)]

    @property
    def n_trainings(self) -> int:
        """Networks that are trained for all masks."""
        return self.estimator.n_masks * (1 + len(self.trainer.data.train))

    @cached_property
    def folder(self) -> str:
        """The folder of a cache that holds its shards: a digest of all that decides them but their number."""
        estimator = replace(self.estimator, n_masks=2)
        return f"decomposed/{digest('decomposed', estimator, training_key(self.trainer, self.seed))}"

    def gather(self, executor: Executor) -> Iterator[Shard]:
        """Its shards, from the cache as far as they are stored."""
        return gather(self.cache, self.folder, self.shard_names, self, executor)

    def compute(self, name: str) -> dict[str, Tensor]:
        """The parts of one mask's scores."""
        problem = TrainingProblem(
            self.trainer, seed=self.seed, bank_seed=derive(self.seed, "bank"), cache=self.cache, executor=Here()
        )
        influence, memorization = of_mask(problem, self.estimator, int(name.rpartition("-")[2]))
        found = {f"influence.{field}": getattr(influence, field) for field in _NAMES}
        if memorization is not None:
            found |= {f"memorization.{field}": getattr(memorization, field) for field in _NAMES}
        if not all(values.isfinite().all() for values in found.values()):
            raise TrainingError(
                "training with masks diverged: measures are not finite; lower the learning rate in the plan's "
                f"[training], which is {self.trainer.recipe.learning_rate}"
            )
        return {field: values.contiguous().cpu() for field, values in found.items()}

    def assemble(self, shards: Sequence[Shard]) -> tuple[Halves, Halves | None]:
        """Influence and memorization (None for regression), averaged over halves of the masks, from all shards."""
        in_order = sorted(shards, key=lambda shard: shard.name)

        def halves(quantity: str) -> Halves:
            return in_halves([Parts(*(shard.tensors[f"{quantity}.{field}"] for field in _NAMES)) for shard in in_order])

        has_memorization = self.trainer.data.n_classes is not None
        return halves("influence"), halves("memorization") if has_memorization else None
