"""The one training loop."""

import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, fields, replace
from functools import cached_property
from time import perf_counter

import torch
from torch import Tensor

from influbench.api import Data, Masks, MeasureName, Model, Normalizer, Optimizer, OptimizerState, Recipe, Split
from influbench.errors import ModelError
from influbench.measures import example_losses
from influbench.networks.batch_norm import with_group_norm
from influbench.networks.modules import freeze_into_buffers, take_parameters
from influbench.networks.replicas import Parameters, Replicas
from influbench.networks.step import StackedStep
from influbench.process import settings_kept
from influbench.seeds import derive
from influbench.training.batches import batch_rows, steps_per_training
from influbench.training.course import Batch, Course
from influbench.training.noise import Draws
from influbench.training.runs import StackedRuns
from influbench.training.updates import UpdateRule
from influbench.training.width import (
    LOOPED_WIDTHS,
    STACKED_WIDTHS,
    fastest_width,
    is_out_of_memory,
    memory_limit,
    saved_bytes,
)

_TIMED_STEPS = 3  # the fastest counts, so that an interruption during one or two of them does not matter
_COPIES_OF_PARAMETERS = 3  # parameters, gradients, and a stored copy
_FEWEST_MOMENTS = 2  # counted for every optimizer, so that all built-in ones are trained in stacks of the same width

Spend = Callable[[int], None]


@dataclass(frozen=True, eq=False)
class Trainer:
    """Trains a model on data by the update rule of a recipe, many replicas at a time, from raw seeds."""

    data: Data
    model: Model
    rule: UpdateRule
    measure: MeasureName
    dtype: torch.dtype
    device: torch.device
    memory: int | None = None  # bytes that trainings may take; None: a share of the free memory
    replace_batch_norm: bool = False

    def __getstate__(self) -> dict[str, object]:
        """Only the fields; cached properties are derived again where they are needed."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @property
    def recipe(self) -> Recipe:
        """The recipe of the update rule."""
        return self.rule.recipe

    @property
    def optimizer(self) -> Optimizer:
        """The optimizer of the update rule."""
        return self.rule.optimizer

    @cached_property
    def network(self) -> Replicas:
        """The model's module, ready to run in replicas."""
        module = self.built(0)
        network = Replicas(module)
        network.probe(
            _state(module, network.statistics), self.data.train.rows(slice(0, 2)).to(self.dtype).inputs.clone()
        )
        return network

    @cached_property
    def sites(self) -> dict[str, int]:
        """Mask sites of the model, with their number of units."""
        found: object = self.model.mask_sites(self.built(0))
        names = list(found) if isinstance(found, Iterable) and not isinstance(found, str) else None
        if names is None or not all(isinstance(name, str) for name in names):
            given = "None" if found is None else f"a {type(found).__name__}"
            raise ModelError(
                f"{type(self.model).__name__}.mask_sites returned {given}; return a list of names of submodules"
            )
        return self.units(names)

    def units(self, sites: Sequence[str]) -> dict[str, int]:
        """The number of units of each of these submodules; ModelError if one cannot be masked."""
        return Replicas(self.built(0)).site_units(list(sites), self.data.train.inputs)

    @property
    def n_steps(self) -> int:
        return steps_per_training(self.recipe, len(self.data.train))

    @cached_property
    def learning_rates(self) -> list[float]:
        return self.rule.learning_rates(self.n_steps)

    @cached_property
    def stack_width(self) -> int:
        """The number of replicas trained at a time: the fastest that fits, by timing steps. See training.width."""
        limit = memory_limit(self.device) if self.memory is None else self.memory
        widths = LOOPED_WIDTHS if self.network.path(self.device) == "loop" else STACKED_WIDTHS
        return fastest_width(self.step_seconds, replica_bytes=self.replica_bytes, limit=limit, widths=widths)

    @cached_property
    def replica_bytes(self) -> int:
        """About how much memory one replica takes in training: parameters, moments, gradients, activations."""
        run_step = self._rehearsal(1)
        with saved_bytes() as sizes:
            run_step()
        one = _stacked([self.initial_parameters(0)])
        state = self.initial_state(one)
        n_moments = max(_FEWEST_MOMENTS, len(state.moments) + bool(state.average))
        parameters = sum(p.numel() * p.element_size() for p in one.values())
        return 2 * sum(sizes) + (_COPIES_OF_PARAMETERS + n_moments) * parameters

    def step_seconds(self, width: int) -> float:
        """Seconds that one optimizer step of `width` replicas takes on shared batches."""
        run_step = self._rehearsal(width)
        run_step()
        seconds = []
        for _ in range(_TIMED_STEPS):
            start = perf_counter()
            run_step()
            seconds.append(perf_counter() - start)
        return min(seconds)

    def decided_by(self, seed: int) -> Iterator[object]:
        """Everything that decides a training of this seed, except the contents of its course, for content keys.

        The model appears only by its repr; `fingerprint.training_key` covers its behavior.
        """
        yield from (repr(self.model), self.recipe, str(self.dtype), seed)
        for split in (self.data.train, self.data.test):
            yield from (split.inputs, split.labels, split.ids)
        yield self.data.n_classes
        parameters = self.initial_parameters(seed)
        for name in sorted(parameters):
            yield from (name, parameters[name])

    def initial_parameters(self, seed: int) -> Parameters:
        """Parameters of one network before training, as the model draws them under this seed.

        The running statistics of batch norm are among them, under their names in the module.
        """
        return _state(self.built(seed), self.network.statistics)

    def module(self, parameters: Parameters, *, frozen_as_buffers: bool = False) -> torch.nn.Module:
        """A new module of the architecture that is trained, with copies of one network's parameters."""
        module = self.built(0).eval()
        take_parameters(module, parameters)
        if frozen_as_buffers:
            freeze_into_buffers(module, self.network.trainable)
        return module

    def initial_state(self, parameters: Parameters, *, frozen: Collection[str] = ()) -> OptimizerState:
        """The optimizer's state before the first step of a stack."""
        statistics = {name: values for name, values in parameters.items() if name in self.network.statistics}
        return self.rule.initial_state(self._trained(parameters, frozen), statistics)

    def _trained(self, parameters: Parameters, frozen: Collection[str]) -> dict[str, Tensor]:
        return {name: p for name, p in parameters.items() if name in self.network.trainable and name not in frozen}

    def course(
        self,
        weights: Tensor | None = None,
        *,
        seeds: Sequence[int],
        masks: Masks | None = None,
        checkpoints: Collection[int] = (),
        normalizer: Normalizer = "batch",
        frozen: Collection[str] = (),
    ) -> Course:
        """The training of one network per seed; see `api.Problem.train` for the rest."""
        ids = self.data.train.ids
        return Course(
            weights=self._weights(weights, len(seeds)),
            seeds=seeds,
            batches=batch_rows(self.recipe, ids, seeds),
            ids=ids,
            masks=masks,
            checkpoints=checkpoints,
            normalizer=normalizer,
            frozen=frozenset(frozen),
            paired=self._is_paired,
        )

    def draws(self, rows: Tensor, *, seeds: Sequence[int], step: int = 0) -> Draws:
        """The random bits of a batch outside of a course: rows (n,) with one seed for all, or (n_replicas, n).

        They are those of trainings on all examples.
        """
        ids = self.data.train.ids[rows].reshape(-1, rows.shape[-1])
        return Draws(seeds, ids, step, None if self._is_paired else self._weights(None, len(seeds)))

    @property
    def _is_paired(self) -> bool:
        return self.recipe.noise == "paired"

    def train(self, course: Course, *, spend: Spend | None = None) -> StackedRuns:
        """The trained networks of a course. `spend` is called with the example-gradients of every step."""
        kept_steps = course.kept_steps
        stacks: list[dict[int, Parameters]] = []
        start = 0
        while start < course.n_replicas:
            stack = slice(start, min(start + self.stack_width, course.n_replicas))
            trajectory = self._trajectory(course.part(stack), spend)
            try:
                stacks.append({step: _copied(parameters) for step, parameters in trajectory if step in kept_steps})
            except (RuntimeError, MemoryError) as error:
                if self.stack_width == 1 or not is_out_of_memory(error):
                    raise
                self.__dict__["stack_width"] = self.stack_width // 2
            else:
                start = stack.stop
        return self._runs(course, {step: _concatenated([stack[step] for stack in stacks]) for step in kept_steps})

    def _runs(self, course: Course, kept: dict[int, Parameters]) -> StackedRuns:
        return StackedRuns(
            self.network,
            self.model,
            self.measure,
            course=course,
            kept=kept,
            learning_rates=self.learning_rates,
            replicas_at_a_time=self.stack_width,
            examples_at_a_time=self.recipe.batch_size,
        )

    def untrained(self, n_replicas: int) -> StackedRuns:
        """Networks before training, with the same initial parameters in all replicas."""
        course = Course(self._weights(None, n_replicas), [0] * n_replicas, batches=(), ids=self.data.train.ids)
        return self._runs(course, {0: _stacked([self.initial_parameters(0)] * n_replicas)})

    def update(
        self,
        parameters: Parameters,
        state: OptimizerState,
        batch: Batch,
        *,
        train: Split | None = None,
        in_place: bool = False,
    ) -> tuple[Parameters, OptimizerState]:
        """One optimizer step on examples of the train points, or of `train` in their place.

        It computes in the dtype of the parameters, whatever the dtype of the data. With `in_place` it may write into
        parameters and state. Without, it is differentiable with respect to parameters, state and weights if gradients
        are enabled and these require them.
        """
        trained = self._trained(parameters, batch.frozen)
        dtype = next(iter(trained.values())).dtype
        weights = batch.weights.to(dtype)
        tracked = torch.is_grad_enabled() and any(t.requires_grad for t in (*trained.values(), weights))
        with torch.enable_grad():
            leaves = {name: p if p.requires_grad else p.detach().requires_grad_() for name, p in trained.items()}
            rows = batch.rows if batch.rows.ndim == 2 else batch.rows[None]
            examples = (train or self.data.train).rows(rows).to(dtype)
            outputs, statistics = self.network.training_outputs(
                {**parameters, **leaves},
                examples.inputs,
                batch.factors,
                self._step(batch, weights, state.step),
                differentiable_twice=tracked,
            )
            losses = example_losses(self.model, outputs, examples.labels, self.recipe.label_smoothing)
            loss = ((losses * weights).sum(1) / _denominator(weights, batch.normalizer)).sum()
            gradients = torch.autograd.grad(loss, list(leaves.values()), create_graph=tracked)
        if not tracked:
            statistics = {name: values.detach() for name, values in statistics.items()}
        stepped, state = self.rule.step(
            trained,
            dict(zip(trained, gradients, strict=True)),
            state,
            learning_rate=self.learning_rates[state.step],
            others=statistics,
            in_place=in_place,
        )
        return {**parameters, **stepped, **statistics}, state

    def _step(self, batch: Batch, weights: Tensor, number: int) -> StackedStep | None:
        """The step as the network's layers see it; None if no layer does."""
        if not self.network.differs_in_training:
            return None
        assert batch.draws is not None
        in_batch_norm = torch.ones_like(weights) if self.recipe.batch_norm == "kept" else weights
        return StackedStep(batch.draws.of_step(), in_batch_norm, number)

    def _trajectory(self, course: Course, spend: Spend | None) -> Iterator[tuple[int, Parameters]]:
        """Parameters of one stack after 0, 1, 2, ... steps, averaged if the recipe says so.

        The next step overwrites them in memory.
        """
        initial = {seed: self.initial_parameters(seed) for seed in set(course.seeds)}
        parameters: Parameters = _stacked([initial[seed] for seed in course.seeds])
        state = self.initial_state(parameters, frozen=course.frozen)
        train = self.data.train
        if self.recipe.batch_norm != "kept":
            train = _without_the_left_out(train, course.weights)
        example_gradients = course.example_gradients if spend else ()
        yield 0, parameters
        for step in range(len(course.batches)):
            batch = course.at(step)
            with torch.no_grad():
                parameters, state = self.update(parameters, state, batch, train=train, in_place=True)
            if spend:
                spend(example_gradients[step])
            yield step + 1, {**parameters, **state.average}

    def _rehearsal(self, width: int) -> Callable[[], object]:
        """A function that takes one optimizer step with `width` replicas and keeps nothing."""
        parameters = _stacked([self.initial_parameters(0)] * width)
        state = self.initial_state(parameters)
        rows = torch.arange(min(self.recipe.batch_size, len(self.data.train)), device=self.device)
        weights = torch.ones(width, len(rows), dtype=self.dtype, device=self.device)
        batch = Batch(rows, weights, draws=self.draws(rows, seeds=[0]))

        def run_step() -> None:
            with torch.no_grad():
                self.update(parameters, state, batch, in_place=True)
            if self.device.type == "cuda":
                torch.cuda.synchronize(self.device)

        return run_step

    def built(self, seed: int) -> torch.nn.Module:
        """A new module as the model draws it under this seed."""
        with redirect_stdout(sys.stderr), torch.random.fork_rng(devices=[]), settings_kept():
            torch.manual_seed(derive(seed, "init"))
            module = self.model.build(self.data)
            module = with_group_norm(module) if self.replace_batch_norm else module
            return module.to(self.device, self.dtype)

    def _weights(self, weights: Tensor | None, n_replicas: int) -> Tensor:
        n_train = len(self.data.train)
        if weights is None:
            weights = torch.ones(1, n_train)
        if weights.ndim != 2 or weights.shape[1] != n_train or len(weights) not in (1, n_replicas):
            raise ValueError(
                f"weights have shape {tuple(weights.shape)}, expected (n_replicas, n_train) = "
                f"({n_replicas}, {n_train}) or one row for all"
            )
        return weights.to(self.device, self.dtype).expand(n_replicas, -1)


def _state(module: torch.nn.Module, statistics: Collection[str]) -> Parameters:
    """The parameters of a module, and the buffers of these names."""
    parameters = {name: p.detach() for name, p in module.named_parameters()}
    return parameters | {name: values for name, values in module.named_buffers() if name in statistics}


def _denominator(weights: Tensor, normalizer: Normalizer) -> Tensor | float:
    """The divisor of a batch's summed loss. A batch of which nothing is kept has gradient 0."""
    if normalizer == "batch":
        return float(weights.shape[1])
    kept = weights.sum(1)
    return torch.where(kept > 0, kept, torch.ones_like(kept))


def _without_the_left_out(train: Split, weights: Tensor) -> Split:
    """The split in which examples that no replica uses have the inputs of one that some replica uses.

    Their own inputs cannot reach any network then, and networks are given nothing that they could not be given anyway:
    a picture of zeros, for instance, has no contrast to divide by.
    """
    unused = (weights == 0).all(0)
    if not unused.any() or unused.all():
        return train
    rows = torch.arange(len(train), device=unused.device)
    stand_in = rows[~unused][0]
    return replace(train, inputs=train.inputs[torch.where(unused, stand_in, rows)])


def _stacked(parameters: Sequence[Parameters]) -> Parameters:
    return {name: torch.stack([p[name] for p in parameters]) for name in parameters[0]}


def _copied(parameters: Parameters) -> Parameters:
    return {name: p.clone() for name, p in parameters.items()}


def _concatenated(stacks: Sequence[Parameters]) -> Parameters:
    return {name: torch.cat([stack[name] for stack in stacks]) for name in stacks[0]}
