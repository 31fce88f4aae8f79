"""Dattri's inputs, the conversion of its scores, and the removal of its side effects.

All functions passed to dattri are lower-is-better: losses of train points, and minus the measure of test points. Its
scores are inner products of the two gradients, (n_train, n_test), so a positive score means that the train point helps.
No other module changes a sign or an orientation.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch
from influbench import Problem, Split
from influbench.api import MeasureName
from influbench.errors import EstimateError
from influbench.seeds import derive
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.data import DataLoader, TensorDataset

INSTALL = "pip install 'dattri>=0.3,<0.4'"
_NUMBERS = 2**24  # entries of per-example gradients held at a time
_WITH_PROGRESS_BARS = ("dattri.algorithm.base", "dattri.algorithm.tracin", "dattri.algorithm.trak")

Parameters = Mapping[str, Tensor]
Batch = tuple[Tensor, Tensor]  # inputs (n, ...), labels (n,)
OfBatch = Callable[[Parameters, Batch], Tensor]


def out_of_reach(problem: Problem) -> str | None:
    """The reason why dattri cannot be called for this problem, in a sentence, or None."""
    try:
        installed = version("dattri")
    except PackageNotFoundError:
        return f"dattri is not installed: {INSTALL}"
    if installed.split(".")[:2] != ["0", "3"]:
        return f"dattri {installed} is installed, but version 0.3 is needed: {INSTALL}"
    if problem.device.type != "cpu":
        return f"dattri is tested on the CPU only, but the problem is on {problem.device}"
    return None


def n_trained(problem: Problem) -> int:
    """The number of trained parameters."""
    return sum(p.numel() for name, p in problem.initial_parameters(0).items() if name in problem.trainable)


def examples_at_a_time(n_parameters: int) -> int:
    """The number of examples whose gradients can be held in memory."""
    return max(1, _NUMBERS // max(1, n_parameters))


def projection(problem: Problem, n_projected: int) -> dict[str, Any]:
    """All settings of dattri's projections: normal numbers, or no projection if `n_projected` is 0.

    Assign them to the attribute of an attributor. Its constructor would write them into dattri's own defaults, which
    affect every later attributor of the process.
    """
    seed = derive(problem.seed, "dattri", "projection") % 2**32
    kind = "normal" if n_projected else "identity"
    return {
        "proj_dim": n_projected or 1,
        "proj_max_batch_size": 32,
        "proj_seed": seed,
        "proj_type": kind,
        "device": "cpu",
    }


@dataclass(frozen=True, eq=False)
class Handover:
    """Private copies of networks and data of one problem, in the dtype in which dattri computes.

    Train points are in the order of their ids, so that dattri's random numbers and sums by row do not depend on the
    order of the problem's train points.
    """

    problem: Problem
    module: nn.Module
    checkpoints: Sequence[Parameters]  # arguments of `module.load_state_dict`, one for each network
    train: Split
    test: Split
    rows: Tensor  # (n_train,) the row in `train` of each train point of the problem

    def loss(self, parameters: Parameters, batch: Batch) -> Tensor:
        """Mean loss of a batch."""
        outputs, labels = self._answers(parameters, batch)
        return self.problem.loss(outputs, labels).mean()

    def negative(self, measure: MeasureName) -> OfBatch:
        """Minus the mean measure of a batch, as a function of parameters and batch."""

        def value(parameters: Parameters, batch: Batch) -> Tensor:
            return -self.problem.measured(*self._answers(parameters, batch), measure=measure).mean()

        return value

    def loader(self, split: Split, *, batch_size: int | None = None) -> DataLoader[Any]:
        """A loader of the examples in the given order; all in one batch by default."""
        return DataLoader(TensorDataset(split.inputs, split.labels), batch_size=batch_size or len(split))

    def task(self, loss: OfBatch, target: OfBatch) -> Any:
        """A task of dattri: functions of train and of test points, and the networks on which they are evaluated."""
        from dattri.task import AttributionTask

        return AttributionTask(
            loss_func=loss, target_func=target, model=self.module, checkpoints=list(self.checkpoints)
        )

    def returned(self, scores: Tensor, *, otherwise: str) -> Tensor:
        """Scores in the order of the problem's train points, in float64. EstimateError if some are not finite.

        dattri itself does not report this; `otherwise` is the possible cause and a remedy.
        """
        if wrong := int((~scores.isfinite()).sum()):
            raise EstimateError(f"dattri returned {wrong} of {scores.numel()} scores that are not finite: {otherwise}")
        return scores[self.rows].detach().double()

    def _answers(self, parameters: Parameters, batch: Batch) -> Batch:
        """Outputs and labels. LiSSA converts all of its inputs to float32, which is reverted here."""
        inputs, labels = batch
        outputs: Tensor = functional_call(self.module, dict(parameters), (inputs.to(self.train.inputs.dtype),))
        return outputs, labels.to(self.train.labels.dtype)


def handover(problem: Problem, networks: Sequence[Parameters], dtype: torch.dtype) -> Handover:
    """Copies of these networks, and of the data."""

    def cast(split: Split) -> Split:
        split = split.to(dtype)
        return replace(split, inputs=split.inputs.clone(), labels=split.labels.clone())

    modules = [problem.module(parameters).to(dtype) for parameters in networks]
    for name, parameter in modules[0].named_parameters():
        parameter.requires_grad_(name in problem.trainable)  # dattri differentiates by parameters that require it
    order = problem.data.train.ids.argsort()
    train, test = cast(problem.data.train.rows(order)), cast(problem.data.test)
    checkpoints = [{name: values.clone() for name, values in module.state_dict().items()} for module in modules]
    return Handover(problem, modules[0], checkpoints, train, test, rows=order.argsort())


def of_one(function: OfBatch) -> OfBatch:
    """The function for one example without a batch axis, as TracIn and TRAK pass it."""
    return lambda parameters, example: function(parameters, (example[0][None], example[1][None]))


@contextmanager
def dattri_runs(problem: Problem, dtype: torch.dtype, *, autograd: bool = False) -> Iterator[None]:
    """A context in which dattri may be called: it restores all that dattri changes, and silences what it prints.

    dattri allocates its results in the default dtype, draws from torch's global generator and seeds it. Only
    representer points use autograd; for the others, dattri would keep unused graphs.
    """
    default = torch.get_default_dtype()
    bars: list[Any] = [import_module(name) for name in _WITH_PROGRESS_BARS]
    bar = bars[0].tqdm
    with torch.random.fork_rng(), torch.set_grad_enabled(autograd), warnings.catch_warnings():
        torch.manual_seed(derive(problem.seed, "dattri"))
        warnings.filterwarnings(
            "ignore", module=r"dattri\."
        )  # about problems that are checked in its results or handled here
        warnings.filterwarnings("ignore", message=".*torch.jit.script")  # torch's forward mode, on its first use
        try:
            torch.set_default_dtype(dtype)
            for module in bars:
                module.tqdm = _without_bar
            yield
        finally:
            torch.set_default_dtype(default)
            for module in bars:
                module.tqdm = bar


def _without_bar(batches: Any, **_: Any) -> Any:
    return batches
