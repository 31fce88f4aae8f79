"""The plugin contract: everything that the author of a plugin needs to read, whatever its kind.

Conventions, the same everywhere: rows are train points and columns are test points; positive influence means that the
train point *helps* (its presence raises the measure); measures are higher-is-better; an example is known by its id.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, Protocol, TypeVar

import pluggy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import torch
    from rich.console import RenderableType
    from torch import Tensor, nn

    from influbench.engine.preparation import Prepared
    from influbench.plan import Plan
    from influbench.resources import Resources
    from influbench.statistics.yardsticks import Yardstick

API_VERSION = 2

Quantity = Literal["influence", "memorization"]
MeasureName = Literal["neg_loss", "margin", "p_correct"]
Normalizer = Literal["batch", "kept"]

S = TypeVar("S")
T = TypeVar("T")
R = TypeVar("R")

hookspec = pluggy.HookspecMarker("influbench")
hookimpl = pluggy.HookimplMarker("influbench")


@dataclass(frozen=True)
class Spec:
    """One thing that a plugin offers. `target` ("package.module:Class") is imported when it is first used."""

    name: str
    target: str
    summary: str
    reference: str = ""
    api_version: int = API_VERSION


class Hooks:
    """The hooks of the entry-point group `influbench`. They only register; nothing heavy may be imported in them."""

    @hookspec
    def influbench_estimators(self) -> Sequence[Spec]:
        """Estimators: `return [Spec("mine", "my_package.mine:Mine", "what it predicts, in a line")]`."""
        raise NotImplementedError

    @hookspec
    def influbench_datasets(self) -> Sequence[Spec]:
        """Data sets: `return [Spec("cats", "my_package.cats:Cats", "what it holds, in a line")]`."""
        raise NotImplementedError

    @hookspec
    def influbench_models(self) -> Sequence[Spec]:
        """Models: `return [Spec("my_net", "my_package.net:MyNet", "what it is, in a line")]`."""
        raise NotImplementedError

    @hookspec
    def influbench_judges(self) -> Sequence[Spec]:
        """Judges: `return [Spec("my_judge", "my_package.judge:MyJudge", "what it asks, in a line")]`."""
        raise NotImplementedError

    @hookspec
    def influbench_optimizers(self) -> Sequence[Spec]:
        """Optimizers: `return [Spec("lion", "my_package.lion:Lion", "how it steps, in a line")]`."""
        raise NotImplementedError

    @hookspec
    def influbench_schedules(self) -> Sequence[Spec]:
        """Schedules: `return [Spec("warm_up", "my_package.warm_up:WarmUp", "which rates it gives, in a line")]`."""
        raise NotImplementedError

    @hookspec
    def influbench_studies(self) -> Sequence[Spec]:
        """Studies: `return [Spec("counting", "my_package.counting:Counting", "what it asks, in a line")]`."""
        raise NotImplementedError

    @hookspec
    def influbench_executors(self) -> Sequence[Spec]:
        """Executors: `return [Spec("ray", "my_package.ray:Ray", "where it runs, in a line")]`."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class Split:
    """Examples as tensors in memory; an example is its row."""

    inputs: Tensor  # (n, ...) floating point
    labels: Tensor  # (n,) int64 classes, or floating point for regression
    ids: Tensor  # (n,) int64, unique, not negative

    def __len__(self) -> int:
        return len(self.labels)

    def rows(self, rows: Tensor | slice) -> Split:
        """The examples at these rows, in this order."""
        return Split(self.inputs[rows], self.labels[rows], self.ids[rows])

    def to(self, dtype: torch.dtype | None = None, device: torch.device | None = None) -> Split:
        """The same examples in this dtype and on this device. Floats are cast; integers stay the integers they are."""

        def moved(values: Tensor) -> Tensor:
            return values.to(device=device, dtype=dtype if values.is_floating_point() else None)

        return Split(moved(self.inputs), moved(self.labels), moved(self.ids))


@dataclass(frozen=True, eq=False)
class Data:
    """What a data set loads. `n_classes` None means regression: float labels and squared error."""

    train: Split
    test: Split
    n_classes: int | None

    def to(self, dtype: torch.dtype | None = None, device: torch.device | None = None) -> Data:
        """The same data with both splits in this dtype and on this device; see `Split.to`."""
        return Data(self.train.to(dtype, device), self.test.to(dtype, device), self.n_classes)


@dataclass(frozen=True)
class Recipe:
    """How a network is trained. `optimizer` and `schedule` are names, with settings of their own in brackets if any.

    `influbench list` has them: "sgd", "adam", "cosine", and what is installed. `momentum`, `betas` and `epsilon` are
    for the optimizers that read them.
    """

    optimizer: str = "sgd"
    learning_rate: float = 0.1
    momentum: float = 0.0
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8
    weight_decay: float = 0.0
    schedule: str = "constant"
    batch_size: int = 50
    epochs: int = 20

    def __post_init__(self) -> None:
        for name in ("optimizer", "schedule"):
            if not isinstance(getattr(self, name), str):
                raise ValueError(f"{name} must be a name (str), got {getattr(self, name)!r}")
        for name in ("batch_size", "epochs"):
            value: object = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool):
                raise ValueError(f"{name} must be a whole number (int), got {value!r}")
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        for name in ("learning_rate", "momentum", "epsilon", "weight_decay"):
            if not _is_number(getattr(self, name)):
                raise ValueError(f"{name} must be a number (int or float), got {getattr(self, name)!r}")
        if not 0 < self.learning_rate < inf:
            raise ValueError(f"learning_rate must be above 0 and finite, got {self.learning_rate}")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum must be in [0, 1), got {self.momentum}")
        if not (
            isinstance(self.betas, tuple)
            and len(self.betas) == 2
            and all(_is_number(b) and 0 <= b < 1 for b in self.betas)
        ):
            raise ValueError(f"betas must be a tuple of two numbers in [0, 1), got {self.betas!r}")
        if not 0 < self.epsilon < inf:
            raise ValueError(f"epsilon must be above 0 and finite, got {self.epsilon}")
        if not 0 <= self.weight_decay < inf:
            raise ValueError(f"weight_decay must be at least 0 and finite, got {self.weight_decay}")


OPTIMIZER_SETTINGS = ("momentum", "betas", "epsilon")
"""Fields of a recipe that only some optimizers read: those that `Optimizer.reads` can name."""


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


class Dataset(ABC):
    """A data set. Subclasses are frozen dataclasses; their fields are the parameters a user can set."""

    exempt: ClassVar[Mapping[str, str]] = {}
    """Checks of `influbench check` that this data set does not pass by its nature: name of the check -> why."""

    @abstractmethod
    def load(self, seed: int) -> Data:
        """The same data for the same seed. Raise `influbench.errors.DataError` where that cannot be."""


class Model(ABC):
    """An architecture with its training recipe. Subclasses are frozen dataclasses."""

    exempt: ClassVar[Mapping[str, str]] = {}
    """Checks of `influbench check` that this model does not pass by its nature: name of the check -> why."""

    @property
    @abstractmethod
    def recipe(self) -> Recipe:
        """How this model is trained unless the plan says otherwise."""

    @abstractmethod
    def build(self, data: Data) -> nn.Module:
        """A freshly initialised module. The random state is set before the call; draw from torch's global generator."""

    def loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Loss of each example, (n,): cross-entropy for class labels, squared error for float labels."""
        from torch.nn.functional import cross_entropy

        if labels.is_floating_point():
            return (outputs.reshape(len(labels), -1) - labels[:, None]).square().sum(1)
        return cross_entropy(outputs, labels, reduction="none")

    def mask_sites(self, module: nn.Module) -> Sequence[str]:
        """Names of the submodules whose outputs turn-over dropout masks. Default: every activation function."""
        from torch import nn

        activations = (nn.ReLU, nn.GELU, nn.SiLU, nn.ELU, nn.LeakyReLU, nn.Tanh, nn.Sigmoid)
        return [name for name, part in module.named_modules() if isinstance(part, activations)]


@dataclass(frozen=True, eq=False)
class Estimate:
    """What an estimator predicts; None for what it does not speak of.

    `influence[i, j]` predicts `measure_j(trained with i) - measure_j(trained without i)`, in expectation over seeds.
    `memorization[i]` predicts the same difference of `p_correct` of i on itself. Units do not matter, signs do.
    `notes` are sentences that the report shows, for instance on a solver that did not converge; a str alone is one.
    """

    influence: Tensor | None = None  # (n_train, n_test)
    memorization: Tensor | None = None  # (n_train,)
    notes: Sequence[str] = ()


@dataclass(frozen=True, eq=False)
class Bank:
    """What networks answer that were trained on random subsets, and on which. All are on the CPU, in float64."""

    weights: Tensor  # (n_models, n_train) 1 where a network was trained on the point, else 0
    on_test: Tensor  # (n_models, n_test) the problem's measure
    on_train: Tensor  # (n_models, n_train) the problem's measure
    p_correct: Tensor | None  # (n_models, n_train) probability of the label; None for regression
    earlier: Mapping[int, Bank] = field(default_factory=dict)  # after earlier steps, where they were asked for

    def after(self, step: int) -> Bank:
        """The answers after this step: earlier ones where they are known, else these."""
        return self.earlier.get(step, self)


class Estimator(ABC):
    """An influence estimator. Subclasses are frozen dataclasses; their fields are their hyperparameters."""

    scores_duplicates_alike: ClassVar[bool] = False
    """Whether two train points of the same input and label always have the same scores, whatever their ids."""

    predicts: ClassVar[Collection[str]] = ("influence", "memorization")
    """What `estimate` may return. A run refuses an estimator whose quantities no judge of the plan asks for."""

    cost_is_counted: ClassVar[bool] = True
    """Whether all that the scores cost is spent here. False, where they come from elsewhere: no cost is told then."""

    exempt: ClassVar[Mapping[str, str]] = {}
    """Checks of `influbench check` that this estimator does not pass by its nature: name of the check -> why."""

    def unsupported(self, problem: Problem) -> str | None:
        """Why this estimator cannot run on this problem, in one sentence, or None if it can. Must be cheap."""
        return None

    @abstractmethod
    def estimate(self, problem: Problem) -> Estimate:
        """The predictions for every train point on every test point."""

    def trace(self, problem: Problem, steps: Sequence[int]) -> Sequence[Estimate] | None:
        """The predictions after each of these steps of the same trainings, or None where there is no such thing.

        `steps` ascend and end with the last step, whose predictions are those of `estimate`. Asked for in place of
        `estimate` where a plan stores the truth at several steps.
        """
        return None


@dataclass(frozen=True, eq=False)
class Shard:
    """One finished piece of stored work. `seconds` is what it took to compute, whenever that was."""

    name: str
    tensors: Mapping[str, Tensor]
    seconds: float
    reused: bool
    warning: str | None = None


class Work(ABC, Generic[T]):
    """Trainings that are stored piece by piece, whichever executor computes them, and never computed twice.

    Subclasses are frozen dataclasses that can be pickled: pieces are computed in other processes.
    """

    holds: ClassVar[str] = "results"
    """What the pieces hold, in the plural, for the sentence on a training that diverged."""

    @property
    def remedy(self) -> str:
        """What to do about a training that diverged, for the same sentence."""
        return "lower the learning rate in the plan's [training]"

    @property
    @abstractmethod
    def folder(self) -> str:
        """Where a cache stores the pieces: it ends in a digest of all that decides them, but for their number."""

    @property
    @abstractmethod
    def names(self) -> Sequence[str]:
        """Names of the pieces. Names in alphabetical order are in the order that `assemble` expects."""

    def trainings_in(self, name: str) -> int:
        """Trainings that this piece takes, for what is reported and forecast."""
        return 1

    def values_in(self, name: str) -> int:
        """Numbers that this piece stores, about, for the forecast."""
        return 0

    @abstractmethod
    def compute(self, name: str) -> Mapping[str, Tensor]:
        """The tensors of one piece, computed now. They must be finite; otherwise nothing is stored."""

    @abstractmethod
    def assemble(self, shards: Sequence[Shard]) -> T:
        """The result, from all pieces in the order of their names."""

    def further(self, so_far: T) -> Work[T] | None:
        """The larger work that this result calls for, of which this one is a part, or None if it is enough."""
        return None

    def standing(self, so_far: T) -> str:
        """What is known of a result that calls for more, in a few words that progress shows."""
        return ""


@dataclass(frozen=True, eq=False)
class Truth:
    """Leave-one-out effects of every train point, as they were measured, seed by seed.

    `influence[r, i, j] = measure_j(trained with i) - measure_j(trained without i)`; `memorization[r, i]` is the same
    difference of `p_correct` of i on itself. `earlier` holds the truths after earlier steps of the same trainings.
    """

    influence: Tensor  # (n_seeds, n_train, n_test) float64
    memorization: Tensor | None  # (n_seeds, n_train) float64; None for regression
    earlier: Mapping[int, Truth] = field(default_factory=dict)

    @property
    def n_seeds(self) -> int:
        """Seeds that every point was left out with."""
        return len(self.influence)

    def after(self, step: int) -> Truth:
        """The truth after this step: an earlier one where it is known, else this one."""
        return self.earlier.get(step, self)


@dataclass(frozen=True)
class Column:
    """One column of every table: what estimates are compared in. The key must be unique in a run.

    `rows` names what a statistic is taken over ("train points", "subsets"). With `details`, the report's details show
    further statistics of this column; without `chart`, there is no chart of it against cost.
    """

    key: str
    title: str  # a line break may divide it in two
    quantity: Quantity  # what of an estimate is held against it
    rows: str = "train points"
    details: bool = False
    chart: bool = True


class JudgedProblem(ABC):
    """A problem as a judge sees it: data, model, recipe, and stored trainings. It can be pickled."""

    data: Data
    model: Model
    recipe: Recipe
    measure: MeasureName
    seed: int  # the plan's root seed; derive your own streams from it with influbench.seeds.derive
    dtype: torch.dtype
    device: torch.device
    n_seeds: int  # of the plan's [truth]; what a judge trains, it should train this many times
    wrong: Tensor  # (n_train,) bool: train labels that were drawn at random and are not the true ones

    @property
    @abstractmethod
    def n_steps(self) -> int:
        """Optimizer steps of one training."""

    @property
    @abstractmethod
    def leave_one_out(self) -> Work[Truth]:
        """The ground truth, with the seeds and steps of the plan's [truth]. All judges share its trainings."""

    @abstractmethod
    def subsets(self, *, n_models: int, ratio: float, repeat: int = 0) -> Work[Bank]:
        """Networks trained on random subsets, each on its own `ratio` of the train points (normalizer "kept").

        The subsets are those of no estimator. With another `repeat`, the same subsets are trained with other seeds.
        """

    @abstractmethod
    def train(
        self,
        weights: Tensor | None = None,
        *,
        seeds: Sequence[int],
        checkpoints: Sequence[int] = (),
        normalizer: Normalizer = "batch",
    ) -> Runs:
        """Train one network for each seed, as `Problem.train` does. Nothing is stored: call it in `Work.compute`."""

    @abstractmethod
    def key(self, *parts: object) -> str:
        """A digest of these parts and of everything that decides a training, for `Work.folder`."""


class Judge(ABC):
    """Something that estimates are held against. Subclasses are frozen dataclasses; their fields are their settings."""

    exempt: ClassVar[Mapping[str, str]] = {}
    """Checks of `influbench check` that this judge does not pass by its nature: name of the check -> why."""

    def unsupported(self, problem: JudgedProblem) -> str | None:
        """Why this judge cannot judge on this problem, in one sentence, or None if it can. Must be cheap."""
        return None

    @abstractmethod
    def columns(self, problem: JudgedProblem) -> Sequence[Column]:
        """The columns that it makes on this problem, known before anything is trained."""

    def trainings(self, problem: JudgedProblem) -> Sequence[Work[Any]]:
        """The stored trainings that it needs, done before the estimators run. Those of several judges are shared."""
        return ()

    @abstractmethod
    def yardsticks(self, problem: JudgedProblem, trained: Sequence[Any], *, step: int) -> Mapping[str, Yardstick]:
        """What scores are held against, by the column's key, after this step of training.

        `trained` holds the results of `trainings`, in their order. `step` is the last step, `problem.n_steps`, and, for
        a plan that stores the truth at several steps, each of these too. Return no columns for a step at which nothing
        is known. Use `influbench.statistics.yardsticks.Yardstick`.
        """

    def scores(self, estimate: Estimate, column: Column) -> Tensor | None:
        """What of an estimate is held against this column, (n_train, n_test) or (n_train,); None if it has nothing.

        Default: the column's quantity.
        """
        return estimate.influence if column.quantity == "influence" else estimate.memorization

    def estimand(self, problem: JudgedProblem, trained: Sequence[Any]) -> str:
        """What scores are held against, in a few words that the report shows."""
        return ", ".join(" ".join(column.title.split()) for column in self.columns(problem))


class Executor(ABC):
    """Where pieces of stored work are computed. Subclasses are frozen dataclasses; their fields are their settings.

    Where they are computed does not change a byte of what is stored. Therefore, and so that nothing is lost:

    * Two pieces never run in one process at the same time, since each sets the random state that torch keeps for the
      whole process: give them processes of their own, not threads.
    * Each piece runs with one torch thread, unless `one_thread` is False.
    * Function, shared object and results are pickled by cloudpickle wherever they are sent: models may come from files
      and notebooks, which no other process can import.
    * An `influbench.errors.InflubenchError` that a piece raises ends `run` as it is. Any other error may be that of a
      machine: the piece is tried again, as is one that is lost with its process, and the third error ends `run`. Where
      it cannot be sent, `influbench.errors.EscapedError` stands for it, with its words.
    * Nothing is started before it is needed, and nothing is printed to standard output, which belongs to the report.

    `influbench check executor NAME` tries all of this, and so does `influbench.testing.executor_checks`.
    """

    one_thread: ClassVar[bool] = True
    """Whether each piece computes with one torch thread, which a forecast of a run's time takes into account."""

    exempt: ClassVar[Mapping[str, str]] = {}
    """Checks of `influbench check` that this executor does not pass by its nature: name of the check -> why."""

    @abstractmethod
    def capacity(self) -> int:
        """Pieces that can be computed at a time now without slowing each other down, at least 1."""

    @abstractmethod
    def run(self, function: Callable[[S, str], T], shared: S, items: Sequence[str]) -> Iterator[tuple[str, T]]:
        """`(item, function(shared, item))` for every item, once, as soon as it is there and in any order.

        `shared` can be large: send it to a worker once, not with every item. There may be no items at all.
        """

    def close(self) -> None:  # noqa: B027 - an executor that starts nothing has nothing to do here
        """Stop what was started to run pieces, which may be nothing. It may be called again, and does nothing then."""


class Masks(Protocol):
    """Which units each example uses: factors for the outputs of each of `sites`, scaled so that their mean is 1.

    Those of turn-over dropout are the same at every step of a training; ordinary dropout draws others at each.
    """

    @property
    def sites(self) -> Sequence[str]:
        """The submodules that are masked, some of `Problem.sites`."""
        ...

    def __call__(self, site: str, ids: Tensor, replicas: slice, *, step: int) -> Tensor:
        """Factors (n_replicas, n, n_units) of these replicas, for ids (n,) or (n_replicas, n), of any dtype.

        `step` counts the optimizer steps that the parameters have behind them: 0 for the first batch of a training,
        and in an evaluation the step whose parameters are evaluated. The same arguments always give the same factors.
        """


class SplitMasks(Masks, Protocol):
    """Masks that keep each unit with probability `p`, with factors 1 / p and 0: what they leave out is a mask, too."""

    @property
    def p(self) -> float:
        """The probability that a unit is kept."""
        ...

    def flipped(self) -> Masks:
        """The masks over the units that these leave out, with factors 1 / (1 - p) and 0."""
        ...


@dataclass(frozen=True, eq=False)
class Crossed:
    """Outputs of one replica on n examples for some of the ids: under each one's mask, and under its flipped mask."""

    replica: int
    rows: slice  # of the ids
    own: Tensor  # (n_rows, n, ...)
    flipped: Tensor  # (n_rows, n, ...)


@dataclass(frozen=True, eq=False)
class OptimizerState:
    """What the optimizer of a stack remembers: steps taken, and moments, by their names and then by parameter name.

    An optimizer keeps those it needs: Adam "first" and "second", SGD "first", and without momentum none.
    """

    step: int
    moments: Mapping[str, Mapping[str, Tensor]]  # (n_replicas, ...) each


class Optimizer(ABC):
    """How gradients move parameters. Subclasses are frozen dataclasses; their fields are their settings.

    The learning rate of a step comes from the schedule, and the recipe's weight decay is applied outside of `step`.
    Parameters and gradients are those of a stack of networks by name, (n_replicas, ...) each, of the parameters that
    training moves; no replica may move another.
    """

    decay_is_in_objective: ClassVar[bool] = True
    """Whether the recipe's weight decay d adds `d |parameters|^2 / 2` to the objective: `step` is then given gradients
    with `d * parameters` in them. False, where it is decoupled: `step` is then given parameters that were multiplied by
    `1 - learning_rate * d`, and estimators leave the decay out of the objective's curvature."""

    reads: ClassVar[Collection[str]] = ()
    """Which of `momentum`, `betas` and `epsilon` it reads from the recipe; reports and records leave out the others."""

    exempt: ClassVar[Mapping[str, str]] = {}
    """Checks of `influbench check` that this optimizer does not pass by its nature: name of the check -> why."""

    def initial_moments(self, recipe: Recipe, parameters: Mapping[str, Tensor]) -> Mapping[str, Mapping[str, Tensor]]:
        """The moments before the first step of these parameters: none, unless a subclass keeps some.

        Each holds a tensor (n_replicas, ...) of the parameters' dtype for each parameter that it is kept of.
        """
        return {}

    @abstractmethod
    def step(
        self,
        recipe: Recipe,
        parameters: Mapping[str, Tensor],
        gradients: Mapping[str, Tensor],
        state: OptimizerState,
        *,
        learning_rate: float,
        in_place: bool = False,
    ) -> tuple[Mapping[str, Tensor], Mapping[str, Mapping[str, Tensor]]]:
        """Parameters and moments after one more step; `state.step` were taken before.

        A pure function of its arguments, which autograd can differentiate by parameters, gradients and moments. With
        `in_place` it may write into parameters and moments, to spare memory traffic, and has to give the same numbers.
        """


class Schedule(ABC):
    """Which learning rate each step has. Subclasses are frozen dataclasses; their fields are their settings."""

    exempt: ClassVar[Mapping[str, str]] = {}
    """Checks of `influbench check` that this schedule does not pass by its nature: name of the check -> why."""

    @abstractmethod
    def learning_rate(self, recipe: Recipe, step: int, n_steps: int) -> float:
        """The learning rate of a step, 0 to n_steps - 1, finite and not negative; the recipe has the full one."""


class Problem(ABC):
    """What an estimator is given: data, a model, and metered training. Nothing in it leads to the ground truth."""

    data: Data
    model: Model
    recipe: Recipe
    optimizer: Optimizer  # the one that the recipe names
    measure: MeasureName
    seed: int  # this estimator's own stream; derive from it with influbench.seeds.derive
    dtype: torch.dtype
    device: torch.device

    @property
    def decay_in_objective(self) -> float:
        """The weight decay d whose `d |parameters|^2 / 2` is part of the objective; 0 where there is none in it."""
        return self.recipe.weight_decay if self.optimizer.decay_is_in_objective else 0.0

    @property
    @abstractmethod
    def sites(self) -> Mapping[str, int]:
        """Where masks can apply: name of the submodule -> number of units. Empty where there is nothing to mask."""

    @abstractmethod
    def units(self, sites: Sequence[str]) -> Mapping[str, int]:
        """Number of units of any submodules that are to be masked; ModelError that names one that does not exist."""

    @property
    @abstractmethod
    def trainable(self) -> Collection[str]:
        """Names of the parameters that training moves; the others stay as they were initialised."""

    @abstractmethod
    def initial_parameters(self, replicate: int) -> Mapping[str, Tensor]:
        """Parameters of the network of this replicate number before training, by name. Costs no training."""

    @abstractmethod
    def forward(
        self, parameters: Mapping[str, Tensor], inputs: Tensor, *, factors: Mapping[str, Tensor] | None = None
    ) -> Tensor:
        """Outputs (n, ...) of one network on inputs (n, ...): differentiable, and usable under `torch.func`.

        The outputs of each submodule that `factors` names are multiplied by its factors (n, n_units).
        """

    @abstractmethod
    def module(self, parameters: Mapping[str, Tensor], *, frozen_as_buffers: bool = False) -> nn.Module:
        """A new torch module with copies of these parameters of one network, for libraries that want one.

        It is in evaluation mode, on the problem's device and in its dtype, and nothing else changes with it. With
        `frozen_as_buffers`, its parameters are the `trainable` ones alone, and the others are buffers.
        """

    @abstractmethod
    def measured(self, outputs: Tensor, labels: Tensor, *, measure: MeasureName | None = None) -> Tensor:
        """The problem's measure, or another, (...) float64: of outputs (..., n_outputs) and labels of as many axes."""

    @abstractmethod
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
        """Train one network for each entry of `replicates`, by the problem's recipe, as one stack.

        A replicate number decides initial parameters and batch order, in the estimator's own stream: equal numbers
        are the same training, up to weights and masks. `weights` (one row for each replicate, or a single row for
        all; n_train columns) multiplies each example's loss; with 0 the example is left out and every other keeps
        its place. The summed loss of a batch is divided by its size (`normalizer="batch"`) or by the sum of its
        weights (`"kept"`). Parameters are kept after the steps in `checkpoints` and after the last; those named in
        `frozen` stay as they were initialised.
        """

    @abstractmethod
    def bank(self, *, n_models: int, ratio: float) -> Bank:
        """`n_models` networks, each trained on its own random `ratio` of the train points (normalizer "kept").

        Every estimator of the problem is given the same networks, and each is charged for them, stored or not.
        """

    @abstractmethod
    def update(
        self,
        parameters: Mapping[str, Tensor],
        state: OptimizerState | None,
        batch: Tensor,
        weights: Tensor | None = None,
    ) -> tuple[Mapping[str, Tensor], OptimizerState]:
        """One optimizer step of a stack, as the training loop itself does it; differentiable if its inputs are.

        `parameters` have a leading replica axis; `batch` holds rows of `data.train`, (n,) or (n_replicas, n);
        `weights` is (n_replicas, n), those of the batch. The first step takes `state` None and returns the next. It
        computes in the dtype of the parameters, which need not be the problem's.
        """

    @property
    @abstractmethod
    def n_steps(self) -> int:
        """Optimizer steps of one training."""


class Runs(ABC):
    """A stack of trained networks."""

    n_replicas: int
    steps: Sequence[int]  # after which parameters are kept, the last one included; 0 is before training
    learning_rates: Sequence[float]  # one for each optimizer step
    batches: Sequence[Tensor]  # for each optimizer step, rows of data.train: (n_replicas, batch)
    weights: Tensor  # (n_replicas, n_train)

    @abstractmethod
    def parameters(self, *, step: int | None = None) -> Mapping[str, Tensor]:
        """Parameters by name, each with a leading replica axis; after the last step unless told otherwise."""

    @abstractmethod
    def outputs(self, split: Split, *, step: int | None = None, masks: Masks | None = None) -> Tensor:
        """Outputs (n_replicas, n, ...) on every example, each under its own mask if `masks` are given."""

    @abstractmethod
    def crossed_outputs(
        self, split: Split, *, ids: Tensor, masks: SplitMasks, step: int | None = None
    ) -> Iterator[Crossed]:
        """Outputs on every example of `split` under the mask of every id and under what that mask leaves out.

        Replica after replica, and some of the ids at a time, so that they need not be held together.
        """

    @abstractmethod
    def measured(
        self,
        split: Split,
        *,
        step: int | None = None,
        masks: Masks | None = None,
        measure: MeasureName | None = None,
    ) -> Tensor:
        """The problem's measure of `outputs`, or another, (n_replicas, n), float64."""

    @abstractmethod
    def p_correct(self, split: Split, *, step: int | None = None, masks: Masks | None = None) -> Tensor:
        """Probability of the true class, (n_replicas, n), float64: what memorization is measured on."""


@dataclass(frozen=True)
class Option:
    """An option of the command line that one study has besides the options of all studies.

    Its value takes the place of a field of the study, or of the plan's `estimators` where `replaces` is "estimators"
    and the study has no such field.
    """

    flags: tuple[str, ...]  # ("-e", "--estimator")
    replaces: str
    metavar: str
    help: str
    repeatable: bool = False


class Subject(ABC):
    """One problem of a plan, as a study is given it.

    `prepared` and `resources` are what influbench's own studies train with; they are not part of the contract.
    """

    name: str  # as reports show it, different for each problem of the plan
    data: Data  # with the labels that are trained on
    drawn: Tensor  # (n_train,) bool, whether the label was drawn at random
    wrong: Tensor  # (n_train,) bool, whether it was drawn and differs from the data set's label
    progress: Callable[[str, int, int], None]  # to be called with what is done, how much of it, and of how much
    prepared: Prepared
    resources: Resources

    @abstractmethod
    def seed(self, *labels: str) -> int:
        """A seed that derives from the plan's; neither the truth nor any estimator has it, nor other `labels`."""

    @abstractmethod
    def problem(self, *labels: str) -> Problem:
        """What to train with, with `seed(*labels)` as its stream."""

    @abstractmethod
    def truth(self) -> Truth:
        """The leave-one-out effects over the seeds of the plan's `[truth]`, trained now where they are not stored."""

    @abstractmethod
    def estimate(self, estimator: str, *, repeat: int = 0) -> Estimate:
        """The predictions of one of the plan's estimators, named as the plan names it, in one of its repeats."""

    @abstractmethod
    def trained(self, work: Work[T], *, what: str) -> T:
        """The result of stored work, computed now where it is not stored; `what` is shown with its progress."""


class Study(ABC, Generic[R]):
    """A question that a table of agreements does not answer, asked on the problems of a plan.

    Subclasses are frozen dataclasses. Their fields are the keys of the table [NAME] that a plan may have, each checked
    against its type; their docstring is the help of `influbench study NAME`. What is found is a record: a subclass of
    `influbench.results.Record` whose field `schema_name` (alias `schema`) is a Literal that no other record has.
    """

    record: ClassVar[type[Any]]
    """The class of what is found, so that `influbench report` can show it again."""

    options: ClassVar[Sequence[Option]] = ()
    """Options of the command line that this study has besides those of all studies."""

    default_plan: ClassVar[str] = "digits"
    """The plan whose problems are taken where a user names none: a name, or the path of a file of your package."""

    def planned(self, plan: Plan) -> Plan:
        """The plan as this study takes it, for instance with estimators that its fields name.

        Raise `influbench.errors.UsageError` where the fields do not fit each other.
        """
        return plan

    def check(self, plan: Plan, subjects: Sequence[Subject]) -> None:
        """Raise `influbench.errors.UsageError` where this cannot be asked. Called before anything is trained."""

    @abstractmethod
    def ask(self, plan: Plan, subjects: Sequence[Subject]) -> R:
        """What is found on these problems, which are all those of the plan."""

    @classmethod
    @abstractmethod
    def report(cls, record: R, *, width: int) -> Iterable[RenderableType]:
        """What is printed of a record, part by part, in a terminal of this many columns: what `rich` prints."""
