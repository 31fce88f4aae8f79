"""The problem that an estimator receives: data, a model, and metered training. The truth is out of reach from here."""

from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass
from numbers import Integral, Real
from typing import get_args

import torch
from torch import Tensor, nn

from influbench.api import Bank, Masks, MeasureName, Normalizer, OptimizerState, Problem, Runs
from influbench.banks import SubsetBank
from influbench.measures import example_losses, measure_of
from influbench.resources import Resources
from influbench.seeds import derive
from influbench.shards import gather, in_order
from influbench.training.course import Batch
from influbench.training.loop import Trainer


@dataclass
class Meter:
    """A count of example-gradients: spent so far, and announced by the trainings that have begun.

    An example that a training leaves out, with weight 0, is not counted.
    """

    per_training: int
    spent: int = 0
    announced: int = 0

    @property
    def trainings(self) -> float:
        """Cost in training-run equivalents: 1 is an ordinary training on all examples."""
        return self.spent / self.per_training

    def spend(self, examples: int) -> None:
        self.spent += examples


class TrainingProblem(Problem):
    """A problem as one estimator sees it. `seed` is the estimator's stream, `bank_seed` the stream of the shared bank.

    `resources` decide where banks are stored and trained; `bank` needs them. With `run_seed`, replicate 0 is the
    training of this seed, which is handed to the estimator.
    """

    def __init__(
        self,
        trainer: Trainer,
        *,
        seed: int,
        draw: int = 0,
        bank_seed: int | None = None,
        run_seed: int | None = None,
        resources: Resources | None = None,
    ) -> None:
        self.data, self.model = trainer.data, trainer.model
        self.recipe, self.optimizer = trainer.recipe, trainer.optimizer
        self.dtype, self.device = trainer.dtype, trainer.device
        self.measure, self.seed, self.draw = trainer.measure, seed, draw
        self.meter = Meter(per_training=trainer.recipe.epochs * len(trainer.data.train))
        self._trainer, self._bank_seed = trainer, bank_seed
        self._resources = resources
        self.has_run, self._run_seed = run_seed is not None, run_seed

    @property
    def sites(self) -> Mapping[str, int]:
        return self._trainer.sites

    def units(self, sites: Sequence[str]) -> Mapping[str, int]:
        return self._trainer.units(sites)

    @property
    def trainable(self) -> Collection[str]:
        return self._trainer.network.trainable

    @property
    def statistics(self) -> Collection[str]:
        return self._trainer.network.statistics

    @property
    def n_steps(self) -> int:
        return self._trainer.n_steps

    def initial_parameters(self, replicate: int) -> Mapping[str, Tensor]:
        (number,) = _whole_numbers("replicates", [replicate])
        return self._trainer.initial_parameters(self._training_seed(number))

    def forward(
        self, parameters: Mapping[str, Tensor], inputs: Tensor, *, factors: Mapping[str, Tensor] | None = None
    ) -> Tensor:
        return self._trainer.network.single(parameters, inputs, factors)

    def module(self, parameters: Mapping[str, Tensor], *, frozen_as_buffers: bool = False) -> nn.Module:
        return self._trainer.module(parameters, frozen_as_buffers=frozen_as_buffers)

    def loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
        return example_losses(self.model, outputs, labels, self.recipe.label_smoothing)

    def measured(self, outputs: Tensor, labels: Tensor, *, measure: MeasureName | None = None) -> Tensor:
        return measure_of(measure or self.measure, self.model)(outputs, labels)

    def train(
        self,
        weights: Tensor | None = None,
        *,
        replicates: Sequence[int],
        masks: Masks | None = None,
        checkpoints: Sequence[int] = (),
        normalizer: Normalizer = "batch",
        frozen: Collection[str] = (),
    ) -> Runs:
        numbers, steps = _whole_numbers("replicates", replicates), _whole_numbers("checkpoints", checkpoints)
        if not numbers:
            raise ValueError("replicates is empty; give one number for each network to train")
        if negative := [number for number in numbers if number < 0]:
            raise ValueError(f"replicate {negative[0]} is below 0; give whole numbers from 0")
        if normalizer not in get_args(Normalizer):
            raise ValueError(f"normalizer must be 'batch' or 'kept', got {normalizer!r}")
        if beyond := [step for step in steps if not 0 <= step <= self.n_steps]:
            raise ValueError(f"checkpoint {beyond[0]} is not a step from 0 to {self.n_steps}")
        if isinstance(frozen, str):
            raise ValueError(f"frozen is the text {frozen!r}; give a list of names: [{frozen!r}]")
        _check_weights(weights)
        if unknown := [name for name in frozen if name not in self.trainable]:
            raise ValueError(
                f"{unknown[0]!r} is not a parameter that training moves; those are {sorted(self.trainable)}"
            )
        course = self._trainer.course(
            weights,
            seeds=[self._training_seed(number) for number in numbers],
            masks=masks,
            checkpoints=steps,
            normalizer=normalizer,
            frozen=frozen,
        )
        self.meter.announced += sum(course.example_gradients)
        return self._trainer.train(course, spend=self.meter.spend)

    def bank(self, *, n_models: int, ratio: float) -> Bank:
        (n_models,), ratio = _whole_numbers("n_models", [n_models]), _ratio(ratio, n=len(self.data.train))
        if n_models < 1:
            raise ValueError(f"n_models must be at least 1, got {n_models}")
        assert self._resources is not None
        assert self._bank_seed is not None
        bank, shards = SubsetBank(self._trainer, self._bank_seed, n_models=n_models, ratio=ratio), []
        self.meter.announced += n_models * bank.gradients_per_model
        for shard in gather(bank, self._resources):
            shards.append(shard)
            self.meter.spend(bank.n_wanted(shard.name) * bank.gradients_per_model)
        return bank.assemble(in_order(shards))

    def update(
        self,
        parameters: Mapping[str, Tensor],
        state: OptimizerState | None,
        batch: Tensor,
        weights: Tensor | None = None,
        *,
        replicate: int = 0,
    ) -> tuple[Mapping[str, Tensor], OptimizerState]:
        n_replicas = len(next(iter(parameters.values())))
        if state is None:
            state = self._trainer.initial_state(parameters)
        if not isinstance(state, OptimizerState):
            raise TypeError(f"state must be None or what update returned, got {type(state).__name__}")
        if state.step >= self.n_steps:
            raise ValueError(f"a training has {self.n_steps} steps, and this would be one more")
        if weights is None:
            weights = torch.ones(n_replicas, batch.shape[-1], dtype=self.dtype, device=self.device)
        examples = n_replicas * batch.shape[-1]
        self.meter.announced += examples
        self.meter.spend(examples)
        (number,) = _whole_numbers("replicates", [replicate])
        draws = self._trainer.draws(batch, seeds=[self._training_seed(number)], step=state.step)
        return self._trainer.update(parameters, state, Batch(batch, weights, draws=draws))

    def _training_seed(self, replicate: int) -> int:
        if self._run_seed is not None and replicate == 0:
            return self._run_seed
        return derive(self.seed, "replicate", replicate)


def _whole_numbers(what: str, given: Sequence[int]) -> list[int]:
    """The numbers as a list of int, from which seeds can be derived; ValueError if they are anything else."""
    if not isinstance(given, Sequence | Set) or isinstance(given, str | bytes):
        raise ValueError(f"{what} must be a list of whole numbers (int), got {_shown(given)}")
    for number in given:
        if not isinstance(number, Integral) or isinstance(number, bool):
            raise ValueError(f"{what} must be whole numbers (int), got {_shown(number)}")
    return [int(number) for number in given]


def _ratio(ratio: float, *, n: int) -> float:
    """The share of `n` train points that a network is trained on."""
    if not isinstance(ratio, Real) or isinstance(ratio, bool) or not 0 < ratio <= 1:
        raise ValueError(f"ratio must be a number above 0 and at most 1, got {_shown(ratio)}")
    if round(ratio * n) < 1:
        raise ValueError(f"ratio {ratio} keeps none of {n} train points; give a larger one")
    return float(ratio)


def _check_weights(weights: object) -> None:
    """Raise ValueError unless these can be weights of losses. The trainer checks their shape."""
    if weights is None:
        return
    if not isinstance(weights, Tensor) or weights.is_complex():
        raise ValueError(f"weights must be a torch.Tensor of real numbers, got {_shown(weights)}")
    if not bool(((weights >= 0) & weights.isfinite()).all()):
        raise ValueError("weights must be finite and not negative; 0 leaves an example out")


def _shown(value: object) -> str:
    """A value as an error shows it: a tensor by its dtype, another container by its type."""
    if isinstance(value, Tensor):
        return f"a tensor of {value.dtype}"
    return repr(value) if isinstance(value, str | Real) or value is None else f"a {type(value).__name__}"
