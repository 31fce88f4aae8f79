"""The plugin contract: everything that the author of any kind of plugin needs to read.

The same conventions hold everywhere: rows are train points and columns are test points; positive influence means that
the train point *helps* (its presence raises the measure); a higher measure is better; an id identifies an example.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
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
    """The hooks of the entry-point group `influbench`. They only register: do not import anything heavy in them."""

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
        """Optimizers: `return [Spec("sophia", "my_package.sophia:Sophia", "how it steps, in a line")]`."""
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
    """Examples as tensors in memory, one example in each row."""

    inputs: Tensor  # (n, ...) floating point
    labels: Tensor  # (n,) int64 classes, or floating point for regression
    ids: Tensor  # (n,) int64, unique, not negative

    def __len__(self) -> int:
        return len(self.labels)

    def rows(self, rows: Tensor | slice) -> Split:
        """The examples at these rows, in this order."""
        return Split(self.inputs[rows], self.labels[rows], self.ids[rows])

    def to(self, dtype: torch.dtype | None = None, device: torch.device | None = None) -> Split:
        """The same examples in this dtype and on this device. Floats are cast; integers keep their type."""

        def moved(values: Tensor) -> Tensor:
            return values.to(device=device, dtype=dtype if values.is_floating_point() else None)

        return Split(moved(self.inputs), moved(self.labels), moved(self.ids))


@dataclass(frozen=True, eq=False)
class Data:
    """The train and test points of a data set. `n_classes` None means regression: float labels and squared error.

    `class_names` are what reports show in place of the labels 0, 1, 2, ...; `notes` are sentences that they show, for
    instance about inputs that were scaled. Neither changes a training or the key that its results are stored under.
    """

    train: Split
    test: Split
    n_classes: int | None
    class_names: Sequence[str] | None = None
    notes: Sequence[str] = ()

    def to(self, dtype: torch.dtype | None = None, device: torch.device | None = None) -> Data:
        """The same data with both splits in this dtype and on this device; see `Split.to`."""
        return replace(self, train=self.train.to(dtype, device), test=self.test.to(dtype, device))


@dataclass(frozen=True)
class Recipe:
    """The settings of a training. `optimizer` and `schedule` are names, with their own settings in brackets if any.

    `influbench list` shows the names: "sgd", "adam", "cosine", and those of installed plugins. `momentum`, `betas` and
    `epsilon` matter only to the optimizers that read them.

    `clip_norm` shrinks the gradients of each network, all parameters together, to at most this norm, before weight
    decay. `label_smoothing` mixes this share of all classes into the label of the training loss; measures are never
    smoothed. It needs the cross-entropy of `Model.loss`. With `ema`, what is kept and measured is a moving average of
    the parameters that training goes through: `average <- ema average + (1 - ema) parameters` after each step, from the
    parameters after the first step on. Without `decay_norms_and_biases`, weight decay leaves out every parameter with
    fewer than two axes.

    `noise` is about dropout. "paired": two trainings of one seed draw the same for an example, one
    with and one without another example. "independent": each training draws for itself, as with a generator. The
    expected effects are the same; those of single seeds are far noisier.
    `batch_norm` is about an example of weight 0. "removed": it is not in the statistics of its batch. "kept": it is.
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
    clip_norm: float | None = None
    label_smoothing: float = 0.0
    ema: float = 0.0
    decay_norms_and_biases: bool = True
    noise: Literal["paired", "independent"] = "paired"
    batch_norm: Literal["removed", "kept"] = "removed"

    def __post_init__(self) -> None:
        for name, allowed in (("noise", ("paired", "independent")), ("batch_norm", ("removed", "kept"))):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} must be {allowed[0]!r} or {allowed[1]!r}, got {getattr(self, name)!r}")
        for name in ("optimizer", "schedule"):
            if not isinstance(getattr(self, name), str):
                raise ValueError(f"{name} must be a name (str), got {getattr(self, name)!r}")
        for name in ("batch_size", "epochs"):
            value: object = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool):
                raise ValueError(f"{name} must be a whole number (int), got {value!r}")
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        for name in ("learning_rate", "momentum", "epsilon", "weight_decay", "label_smoothing", "ema"):
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
        if self.clip_norm is not None and not (_is_number(self.clip_norm) and 0 < self.clip_norm < inf):
            raise ValueError(f"clip_norm must be a number above 0 and finite, got {self.clip_norm!r}")
        if not isinstance(self.decay_norms_and_biases, bool):
            raise ValueError(
                f"decay_norms_and_biases must be true or false (bool), got {self.decay_norms_and_biases!r}"
            )
        for name in ("label_smoothing", "ema"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1), got {getattr(self, name)}")

    def settings(self) -> dict[str, Any]:
        """The fields by name; those in `LATER_SETTINGS` only if they are set."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        unset = [name for name in LATER_SETTINGS if values[name] == getattr(Recipe, name)]
        return {name: value for name, value in values.items() if name not in unset}

    def __repr__(self) -> str:
        return f"Recipe({', '.join(f'{name}={value!r}' for name, value in self.settings().items())})"


OPTIMIZER_SETTINGS = ("momentum", "betas", "epsilon")
"""Fields of a recipe that only some optimizers read; `Optimizer.reads` can name these."""

LATER_SETTINGS = ("clip_norm", "label_smoothing", "ema", "decay_norms_and_biases", "noise", "batch_norm")
"""Fields that recipes did not always have. A repr and a record hold them only if they are set, because stored trainings
are found by the repr of their recipe."""


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


class Dataset(ABC):
    """A data set. Subclasses are frozen dataclasses; their fields are the parameters that a user can set."""

    exempt: ClassVar[Mapping[str, str]] = {}
    """Checks of `influbench check` that this data set cannot pass by its nature: name of the check -> reason."""

    @abstractmethod
    def load(self, seed: int) -> Data:
        """Return the same data for the same seed. Raise `influbench.errors.DataError` if that is not possible."""


class Model(ABC):
    """An architecture with its training recipe. Subclasses are frozen dataclasses."""

    exempt: ClassVar[Mapping[str, str]] = {}
    """Checks of `influbench check` that this model cannot pass by its nature: name of the check -> reason."""

    @property
    @abstractmethod
    def recipe(self) -> Recipe:
        """The recipe that trains this model unless the plan sets another."""

    @abstractmethod
    def build(self, data: Data) -> nn.Module:
        """A freshly initialized module. The random state is set before the call; draw from torch's global generator."""

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
    """The predictions of an estimator; None for a quantity that it does not predict.

    `influence[i, j]` predicts `measure_j(trained with i) - measure_j(trained without i)`, in expectation over seeds.
    `memorization[i]` predicts the same difference for `p_correct` of i on itself. Signs matter; units do not.
    `notes` are sentences that the report shows, for instance about a solver that did not converge; a single str is one
    sentence.
    """

    influence: Tensor | None = None  # (n_train, n_test)
    memorization: Tensor | None = None  # (n_train,)
    notes: Sequence[str] = ()


@dataclass(frozen=True, eq=False)
class Bank:
    """Random subsets, and the answers of the networks that were trained on them. All are on the CPU, in float64."""

    weights: Tensor  # (n_models, n_train) 1 where a network was trained on the point, else 0
    on_test: Tensor  # (n_models, n_test) the problem's measure
    on_train: Tensor  # (n_models, n_train) the problem's measure
    p_correct: Tensor | None  # (n_models, n_train) probability of the label; None for regression
    earlier: Mapping[int, Bank] = field(default_factory=dict)  # after earlier steps, if they were requested

    def after(self, step: int) -> Bank:
        """The answers after this step: earlier ones if they are known, else these."""
        return self.earlier.get(step, self)


class Estimator(ABC):
    """An influence estimator. Subclasses are frozen dataclasses; their fields are their hyperparameters."""

    scores_duplicates_alike: ClassVar[bool] = False
    """True if two train points with the same input and label always have the same scores, whatever their ids."""

    draws: ClassVar[bool] = True
    """True if the scores depend on `problem.seed`, on the networks it trains or otherwise: another draw gives other
    scores. A run makes several draws of such an estimator, and only one of any other."""

    predicts: ClassVar[Collection[str]] = ("influence", "memorization")
    """The quantities that `estimate` may return. A run rejects an estimator if none of the plan's judges uses one."""

    cost_is_counted: ClassVar[bool] = True
    """True if the whole cost of the scores is spent here. False if they come from elsewhere: no cost is shown then."""

    exempt: ClassVar[Mapping[str, str]] = {}
    """Checks of `influbench check` that this estimator cannot pass by its nature: name of the check -> reason."""

    def unsupported(self, problem: Problem) -> str | None:
        """The reason this estimator cannot run on this problem, in one sentence, or None if it can. Must be cheap."""
        return None

    def stored_draws(self) -> int | None:
        """The number of draws that exist, if the scores come from elsewhere; None if every run is a new draw.

        All of them are used, and `problem.draw` says which one to return.
        """
        return None

    @abstractmethod
    def estimate(self, problem: Problem) -> Estimate:
        """The predictions for every train point on every test point, in new tensors, which belong to the caller."""

    def trace(self, problem: Problem, steps: Sequence[int]) -> Iterable[Estimate] | None:
        """The predictions after each of these steps of the same trainings, or None if the estimator has no trace.

        `steps` ascend and end with the last step, whose predictions equal those of `estimate`. It is called instead of
        `estimate` if a plan stores the truth at several steps. Return a list, or yield one estimate after the other;
        each has new tensors.
        """
        return None


@dataclass(frozen=True, eq=False)
class Shard:
    """One finished piece of stored work. `seconds` is the time that it took to compute, now or in an earlier run."""

    name: str
    tensors: Mapping[str, Tensor]
    seconds: float
    reused: bool
    warning: str | None = None


class Work(ABC, Generic[T]):
    """Trainings that are stored piece by piece, whichever executor computes them, and never computed twice.

    Subclasses are frozen dataclasses that can be pickled, because pieces are computed in other processes.
    """

    holds: ClassVar[str] = "results"
    """A plural noun for the contents of the pieces, for the sentence about a training that diverged."""

    @property
    def remedy(self) -> str:
        """The advice on a training that diverged, for the same sentence."""
        return "lower the learning rate in the plan's [training]"

    @property
    @abstractmethod
    def folder(self) -> str:
        """The folder of the pieces in a cache. It ends in a digest of all that decides them, except their number."""

    @property
    @abstractmethod
    def names(self) -> Sequence[str]:
        """Names of the pieces. Their alphabetical order is the order that `assemble` expects."""

    def trainings_in(self, name: str) -> int:
        """The number of trainings that this piece takes, for reports and forecasts."""
        return 1

    def values_in(self, name: str) -> int:
        """About how many numbers this piece stores, for the forecast."""
        return 0

    @abstractmethod
    def compute(self, name: str) -> Mapping[str, Tensor]:
        """The tensors of one piece, computed now. They must be finite; otherwise nothing is stored."""

    @abstractmethod
    def assemble(self, shards: Sequence[Shard]) -> T:
        """The result, from all pieces in the order of their names."""

    def further(self, so_far: T) -> Work[T] | None:
        """The larger work that this result calls for, which contains this one, or None if this result is enough."""
        return None

    def standing(self, so_far: T) -> str:
        """A few words for the progress display about a result that calls for more work."""
        return ""


@dataclass(frozen=True, eq=False)
class Truth:
    """The measured leave-one-out effects of every train point, seed by seed.

    `influence[r, i, j] = measure_j(trained with i) - measure_j(trained without i)`; `memorization[r, i]` is the same
    difference for `p_correct` of i on itself. `earlier` holds the truths after earlier steps of the same trainings.
    """

    influence: Tensor  # (n_seeds, n_train, n_test) float64
    memorization: Tensor | None  # (n_seeds, n_train) float64; None for regression
    earlier: Mapping[int, Truth] = field(default_factory=dict)

    @property
    def n_seeds(self) -> int:
        """The number of seeds with which every point was left out."""
        return len(self.influence)

    def after(self, step: int) -> Truth:
        """The truth after this step: an earlier one if it is known, else this one."""
        return self.earlier.get(step, self)


@dataclass(frozen=True)
class Column:
    """One column of every table, in which estimates are compared. The key must be unique in a run.

    `rows` names the units that a statistic is taken over ("train points", "subsets"). With `details`, the report's
    details show further statistics of this column, unless its yardstick is `paired`; without `chart`, the report does
    not plot it against cost. A column that is not in the `headline` is shown only with the details.
    """

    key: str
    title: str  # a line break may divide it in two
    quantity: Quantity  # the part of an estimate that is compared with it
    rows: str = "train points"
    details: bool = False
    chart: bool = True
    headline: bool = True


class JudgedProblem(ABC):
    """A problem as a judge sees it: data, model, recipe, and stored trainings. It can be pickled."""

    data: Data
    model: Model
    recipe: Recipe
    measure: MeasureName
    seed: int  # the plan's root seed; derive your own streams from it with influbench.seeds.derive
    dtype: torch.dtype
    device: torch.device
    n_seeds: int  # of the plan's [truth]; a judge should repeat its own trainings this many times
    wrong: Tensor  # (n_train,) bool: true where the train label was drawn at random and is not the true one

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

        No estimator uses these subsets. With another `repeat`, the same subsets are trained with other seeds.
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
        """Train one network for each seed, like `Problem.train`. Nothing is stored, so call it in `Work.compute`."""

    @abstractmethod
    def key(self, *parts: object) -> str:
        """A digest of these parts and of everything that decides a training, for `Work.folder`."""


class Judge(ABC):
    """A standard that estimates are compared with. Subclasses are frozen dataclasses; their fields are settings."""

    exempt: ClassVar[Mapping[str, str]] = {}
    """Checks of `influbench check` that this judge cannot pass by its nature: name of the check -> reason."""

    def runs_handed_over(self, problem: JudgedProblem) -> Sequence[int]:
        """The truth's seeds whose runs are handed to the estimators, one for each repeat of an estimator; default none.

        For these seeds, every estimator runs once more: its replicate 0 then is the training of that seed with all
        train points. All columns of the judge hold these estimates, and no other column does. The yardsticks must be
        `paired`: repeat r is compared with the r-th of these runs.
        """
        return ()

    def unsupported(self, problem: JudgedProblem) -> str | None:
        """The reason this judge cannot run on this problem, in one sentence, or None if it can. Must be cheap."""
        return None

    @abstractmethod
    def columns(self, problem: JudgedProblem) -> Sequence[Column]:
        """The columns that it makes on this problem, known before anything is trained."""

    def trainings(self, problem: JudgedProblem) -> Sequence[Work[Any]]:
        """The stored trainings that it needs, done before the estimators run. Judges share equal trainings."""
        return ()

    @abstractmethod
    def yardsticks(self, problem: JudgedProblem, trained: Sequence[Any], *, step: int) -> Mapping[str, Yardstick]:
        """The yardsticks that scores are compared with after this step of training, by the column's key.

        `trained` holds the results of `trainings`, in their order. `step` is the last step, `problem.n_steps`; if the
        plan stores the truth at several steps, it is each of these in turn. Return no columns for a step at which
        nothing is known. Use `influbench.statistics.yardsticks.Yardstick`.
        """

    def scores(self, estimate: Estimate, column: Column) -> Tensor | None:
        """The scores of an estimate that belong to this column, (n_train, n_test) or (n_train,); None if it has none.

        Default: the column's quantity.
        """
        return estimate.influence if column.quantity == "influence" else estimate.memorization

    def estimand(self, problem: JudgedProblem, trained: Sequence[Any]) -> str:
        """A few words for the report about the quantity that scores are compared with."""
        return ", ".join(" ".join(column.title.split()) for column in self.columns(problem))


class Executor(ABC):
    """The place where pieces of stored work are computed. Subclasses are frozen dataclasses; fields are settings.

    The choice of executor never changes a byte of what is stored. For this, and so that no work is lost, an executor
    follows these rules:

    * Two pieces never run in one process at the same time, because each sets the random state that torch keeps for the
      whole process: give each piece a process, not a thread.
    * Each piece runs with one torch thread, unless `one_thread` is False.
    * Function, shared object and results are pickled by cloudpickle wherever they are sent, because models may come
      from files and notebooks that no other process can import.
    * An `influbench.errors.InflubenchError` that a piece raises ends `run` unchanged. Any other error may be the fault
      of a machine: the piece is tried again, like a piece that is lost with its process, and the third error ends
      `run`. If that error cannot be sent, `influbench.errors.EscapedError` is raised instead, with its words.
    * Nothing is started before it is needed, and nothing is printed to standard output, which belongs to the report.

    `influbench check executor NAME` tests all of this, and so does `influbench.testing.executor_checks`.
    """

    one_thread: ClassVar[bool] = True
    """True if each piece computes with one torch thread, which a forecast of a run's time takes into account."""

    exempt: ClassVar[Mapping[str, str]] = {}
    """Checks of `influbench check` that this executor cannot pass by its nature: name of the check -> reason."""

    @abstractmethod
    def capacity(self) -> int:
        """The number of pieces that can now be computed at a time without slowing each other down, at least 1."""

    @abstractmethod
    def run(self, function: Callable[[S, str], T], shared: S, items: Sequence[str]) -> Iterator[tuple[str, T]]:
        """Yield `(item, function(shared, item))` once for every item, as soon as it is ready and in any order.

        `shared` can be large: send it to each worker once, not with every item. `items` may be empty.
        """

    def close(self) -> None:  # noqa: B027 - an executor that starts nothing has nothing to do here
        """Stop whatever was started to run pieces, if anything. A second call does nothing."""


class Masks(Protocol):
    """The units that each example uses: factors for the outputs of each of `sites`, scaled so that their mean is 1.

    The masks of turn-over dropout are the same at every step of a training; ordinary dropout draws new ones each step.
    """

    @property
    def sites(self) -> Sequence[str]:
        """The submodules that are masked, some of `Problem.sites`."""
        ...

    def __call__(self, site: str, ids: Tensor, replicas: slice, *, step: int) -> Tensor:
        """Factors (n_replicas, n, n_units) of these replicas, for ids (n,) or (n_replicas, n), of any dtype.

        `step` counts the optimizer steps that the parameters have taken: 0 for the first batch of a training, and in
        an evaluation the step whose parameters are evaluated. The same arguments always give the same factors.
        """


class SplitMasks(Masks, Protocol):
    """Masks that keep each unit with probability `p`, with factors 1 / p and 0. The units left out form a mask, too."""

    @property
    def p(self) -> float:
        """The probability that a unit is kept."""
        ...

    def flipped(self) -> Masks:
        """The masks over the units that these leave out, with factors 1 / (1 - p) and 0."""
        ...


@dataclass(frozen=True, eq=False)
class Crossed:
    """Outputs of one replica on n examples, for some of the ids: under the id's mask, and under its flipped mask."""

    replica: int
    rows: slice  # of the ids
    own: Tensor  # (n_rows, n, ...)
    flipped: Tensor  # (n_rows, n, ...)


@dataclass(frozen=True, eq=False)
class OptimizerState:
    """The memory of a stack's optimizer: steps taken, and moments, by their names and then by parameter name.

    An optimizer keeps the moments that it needs: Adam "first" and "second", SGD "first", or none without momentum.
    `average` is the moving average of the parameters if the recipe has one (`ema`), by name; no optimizer needs it.
    """

    step: int
    moments: Mapping[str, Mapping[str, Tensor]]  # (n_replicas, ...) each
    average: Mapping[str, Tensor] = field(default_factory=dict)  # (n_replicas, ...) each; empty without ema


class Optimizer(ABC):
    """The rule by which gradients move parameters. Subclasses are frozen dataclasses; their fields are their settings.

    The learning rate of a step comes from the schedule, and the recipe's weight decay is applied outside of `step`.
    Parameters and gradients belong to a stack of networks, (n_replicas, ...) for each name of a parameter that training
    moves; no replica may affect another.
    """

    decay_is_in_objective: ClassVar[bool] = True
    """True if the recipe's weight decay d adds `d |parameters|^2 / 2` to the objective: `step` then receives gradients
    that include `d * parameters`. False if the decay is decoupled: `step` then receives parameters that were multiplied
    by `1 - learning_rate * d`, and estimators leave the decay out of the objective's curvature."""

    differentiable: ClassVar[bool] = True
    """False if a step does not follow small changes of the gradients, such as a step by their signs: its derivative is
    0 although examples have effects. Estimators that differentiate the training then do not run."""

    reads: ClassVar[Collection[str]] = ()
    """The fields among `momentum`, `betas` and `epsilon` that it reads; reports and records leave out the others."""

    exempt: ClassVar[Mapping[str, str]] = {}
    """Checks of `influbench check` that this optimizer cannot pass by its nature: name of the check -> reason."""

    def initial_moments(self, recipe: Recipe, parameters: Mapping[str, Tensor]) -> Mapping[str, Mapping[str, Tensor]]:
        """The moments before the first step of these parameters: none, unless a subclass keeps some.

        Each moment maps the names of its parameters to tensors (n_replicas, ...) of the parameters' dtype.
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
        """Parameters and moments after one more step; `state.step` steps were taken before.

        A pure function of its arguments that autograd can differentiate with respect to parameters, gradients and
        moments. With `in_place` it may write into parameters and moments to save memory traffic, but must give the same
        numbers.
        """


class Schedule(ABC):
    """The learning rate of each step. Subclasses are frozen dataclasses; their fields are their settings."""

    exempt: ClassVar[Mapping[str, str]] = {}
    """Checks of `influbench check` that this schedule cannot pass by its nature: name of the check -> reason."""

    @abstractmethod
    def learning_rate(self, recipe: Recipe, step: int, n_steps: int) -> float:
        """The learning rate of a step, 0 to n_steps - 1, finite and not negative; the recipe holds the full rate."""


class Problem(ABC):
    """The problem that an estimator receives: data, a model, and metered training. The ground truth is out of reach."""

    data: Data
    model: Model
    recipe: Recipe
    optimizer: Optimizer  # the one that the recipe names
    measure: MeasureName
    seed: int  # this estimator's own stream; derive from it with influbench.seeds.derive
    draw: int  # 0 in the estimator's first run on this problem, 1 in the next; each run has its own seed
    has_run: bool  # True if replicate 0 is the very training whose effects are asked for; see Judge.runs_handed_over
    dtype: torch.dtype
    device: torch.device

    @property
    def decay_in_objective(self) -> float:
        """The weight decay d whose `d |parameters|^2 / 2` is part of the objective; 0 if the objective has no decay.

        Without the recipe's `decay_norms_and_biases`, these are only the parameters with two axes or more.
        """
        return self.recipe.weight_decay if self.optimizer.decay_is_in_objective else 0.0

    @property
    @abstractmethod
    def sites(self) -> Mapping[str, int]:
        """The submodules that can be masked: name -> number of units. Empty if there isn't anything to mask."""

    @abstractmethod
    def units(self, sites: Sequence[str]) -> Mapping[str, int]:
        """The number of units of each submodule in `sites`; ModelError, with its name, if one does not exist."""

    @property
    @abstractmethod
    def trainable(self) -> Collection[str]:
        """Names of the parameters that training moves; the others keep their initial values."""

    @property
    @abstractmethod
    def statistics(self) -> Collection[str]:
        """Names of the running statistics of batch norm, which are among the parameters that trainings return.

        Training changes them without gradients. `forward` and the outputs of trained networks use them; within a
        training's own steps, batch norm uses the statistics of the batch.
        """

    @abstractmethod
    def initial_parameters(self, replicate: int) -> Mapping[str, Tensor]:
        """Parameters of the network with this replicate number before training, by name. Costs no training."""

    @abstractmethod
    def forward(
        self, parameters: Mapping[str, Tensor], inputs: Tensor, *, factors: Mapping[str, Tensor] | None = None
    ) -> Tensor:
        """Outputs (n, ...) of one network on inputs (n, ...): differentiable, and usable under `torch.func`.

        The outputs of each submodule that `factors` names are multiplied by its factors (n, n_units).
        """

    @abstractmethod
    def module(self, parameters: Mapping[str, Tensor], *, frozen_as_buffers: bool = False) -> nn.Module:
        """A new torch module with copies of one network's parameters, for libraries that need a module.

        It is in evaluation mode, on the problem's device and in its dtype, and changing it changes nothing else. With
        `frozen_as_buffers`, only the `trainable` parameters are parameters of the module; the others are buffers.
        """

    @abstractmethod
    def loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """The loss of each example in training, (n,): `model.loss`, with the labels smoothed if the recipe says so."""

    @abstractmethod
    def measured(self, outputs: Tensor, labels: Tensor, *, measure: MeasureName | None = None) -> Tensor:
        """The problem's measure, or another one, of outputs (..., n_outputs) and labels (...): (...) float64."""

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
        """Train one network for each entry of `replicates` by the problem's recipe, as one stack.

        A replicate number decides initial parameters and batch order within the estimator's own stream: equal numbers
        give the same training, up to weights and masks. `weights` (one row for each replicate, or a single row for
        all; n_train columns) multiplies each example's loss; weight 0 leaves the example out, at no cost, and every
        other example keeps its place. The summed loss of a batch is divided by its size (`normalizer="batch"`) or by
        the sum of its weights (`"kept"`). Parameters are stored after the steps in `checkpoints` and after the last
        step, averaged if the recipe has `ema`; parameters named in `frozen` keep their initial values.
        """

    @abstractmethod
    def bank(self, *, n_models: int, ratio: float) -> Bank:
        """`n_models` networks, each trained on its own random `ratio` of the train points (normalizer "kept").

        In each draw, every estimator of the problem receives the same networks. Each is charged for them, stored or
        not: for the points that they were trained on, `ratio` of a training for each network.
        """

    @abstractmethod
    def update(
        self,
        parameters: Mapping[str, Tensor],
        state: OptimizerState | None,
        batch: Tensor,
        weights: Tensor | None = None,
        *,
        replicate: int = 0,
    ) -> tuple[Mapping[str, Tensor], OptimizerState]:
        """One optimizer step of a stack, exactly as in the training loop; differentiable if its inputs are.

        Dropout draws what it draws in the training of this `replicate`, at the step of `state`.

        `parameters` have a leading replica axis; `batch` holds rows of `data.train`, (n,) or (n_replicas, n);
        `weights` (n_replicas, n) are the weights of the batch. The first step takes `state` None; each step returns the
        state for the next, in which `average` holds the averaged parameters if the recipe has `ema`; the parameters
        returned are never averages. The dtype of the parameters is used, which may differ from the problem's. Every
        example of the batch counts as cost, whatever its weight, since the step can be differentiated by it.
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
        """Parameters by name, each with a leading replica axis, after `step`. The default is the last step."""

    @abstractmethod
    def outputs(self, split: Split, *, step: int | None = None, masks: Masks | None = None) -> Tensor:
        """Outputs (n_replicas, n, ...) on every example, each under its own mask if `masks` is given."""

    @abstractmethod
    def crossed_outputs(
        self, split: Split, *, ids: Tensor, masks: SplitMasks, step: int | None = None
    ) -> Iterator[Crossed]:
        """Outputs on every example of `split` under the mask of every id and under its flipped mask.

        They come replica by replica and a few ids at a time, so that they need not be in memory together.
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
        """The problem's measure, or another one, of `outputs`: (n_replicas, n), float64."""

    @abstractmethod
    def p_correct(self, split: Split, *, step: int | None = None, masks: Masks | None = None) -> Tensor:
        """Probability of the example's label, (n_replicas, n), float64, on which memorization is measured."""


@dataclass(frozen=True)
class Option:
    """An option of the command line that one study has in addition to the options of all studies.

    Its value replaces a field of the study, or the plan's `estimators` if `replaces` is "estimators" and the study does
    not have such a field.
    """

    flags: tuple[str, ...]  # ("-e", "--estimator")
    replaces: str
    metavar: str
    help: str
    repeatable: bool = False


class Subject(ABC):
    """One problem of a plan, as a study receives it.

    influbench's own studies train with `prepared` and `resources`, which are not part of the contract.
    """

    name: str  # as reports show it, different for each problem of the plan
    data: Data  # with the labels that are used in training
    drawn: Tensor  # (n_train,) bool, true where the label was drawn at random
    wrong: Tensor  # (n_train,) bool, true where it was drawn and differs from the data set's label
    progress: Callable[[str, int, int], None]  # call it with a description, the amount done, and the total
    prepared: Prepared
    resources: Resources

    @abstractmethod
    def seed(self, *labels: str) -> int:
        """A seed derived from the plan's seed, one for each `labels`. Neither the truth nor any estimator uses it."""

    @abstractmethod
    def problem(self, *labels: str) -> Problem:
        """The problem to train with, with `seed(*labels)` as its stream."""

    @abstractmethod
    def truth(self) -> Truth:
        """The leave-one-out effects over the seeds of the plan's `[truth]`, trained now if they are not stored."""

    @abstractmethod
    def estimate(self, estimator: str, *, repeat: int = 0) -> Estimate:
        """The predictions of one of the plan's estimators, under its name in the plan, in one of the repeats."""

    @abstractmethod
    def trained(self, work: Work[T], *, what: str) -> T:
        """The result of stored work, computed now if it is not stored; `what` is shown with its progress."""


class Study(ABC, Generic[R]):
    """A question about the problems of a plan that a table of agreements does not answer.

    Subclasses are frozen dataclasses. Their fields are the keys of the table [NAME] that a plan may have, each checked
    against its type; their docstring is the help of `influbench study NAME`. The findings are a record: a subclass of
    `influbench.results.Record` whose field `schema_name` (alias `schema`) is a Literal that no other record has.
    """

    record: ClassVar[type[Any]]
    """The class of the findings, so that `influbench report` can show them again."""

    options: ClassVar[Sequence[Option]] = ()
    """Options of the command line that this study has in addition to the options of all studies."""

    default_plan: ClassVar[str] = "digits"
    """The plan to use if the user does not name one: a name, or the path of a file in your package."""

    def planned(self, plan: Plan) -> Plan:
        """The plan as this study uses it, for instance with estimators that its fields name.

        Raise `influbench.errors.UsageError` if the fields do not fit each other.
        """
        return plan

    def check(self, plan: Plan, subjects: Sequence[Subject]) -> None:
        """Raise `influbench.errors.UsageError` if the study cannot run. Called before anything is trained."""

    @abstractmethod
    def ask(self, plan: Plan, subjects: Sequence[Subject]) -> R:
        """The findings on these problems, which are all problems of the plan."""

    @classmethod
    @abstractmethod
    def report(cls, record: R, *, width: int) -> Iterable[RenderableType]:
        """The parts of a printed record, as objects that `rich` prints, for a terminal with this many columns."""
