"""Captum's inputs, and the conversion of its scores. Every estimator of this package uses this module."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from re import findall
from typing import Any
from warnings import catch_warnings, filterwarnings

import torch
from influbench.api import MeasureName, Problem, Split
from torch import Tensor, nn

SUPPORTED = "captum>=0.8,<0.10"

_NUMBERS = 2**26  # entries of per-example gradients held at a time


def obstacle() -> str | None:
    """The reason why captum cannot be used here, in one sentence, or None."""
    try:
        found = version("captum")
    except PackageNotFoundError:
        return f"captum is not installed; pip install '{SUPPORTED}'"
    if not [0, 8] <= [int(number) for number in findall(r"\d+", found)[:2]] <= [0, 9]:
        return f"captum {found} is installed, which is untested; pip install '{SUPPORTED}'"
    return None


class Loss:
    """A loss of each example, or the sum, with the attribute by which captum distinguishes them."""

    def __init__(self, of_examples: Callable[[Tensor, Tensor], Tensor], *, summed: bool) -> None:
        self._of_examples = of_examples
        self.reduction = "sum" if summed else "none"

    def __call__(self, outputs: Tensor, labels: Tensor) -> Tensor:
        losses = self._of_examples(outputs, labels)
        return losses.sum() if self.reduction == "sum" else losses


def train_loss(problem: Problem, *, summed: bool = False) -> Loss:
    """The training loss."""
    return Loss(problem.loss, summed=summed)


def minus_measure(problem: Problem, measure: MeasureName | None = None, *, summed: bool = False) -> Loss:
    """Minus the problem's measure, or another: captum's scores are positive if they lower the loss of a test point."""
    return Loss(lambda outputs, labels: -problem.measured(outputs, labels, measure=measure), summed=summed)


def as_influence(scores: Tensor) -> Tensor:
    """Captum's scores (n_test, n_train) as influence (n_train, n_test) float64."""
    return scores.detach().T.double().cpu()


def n_parameters(module: nn.Module) -> int:
    """The number of parameters by which captum differentiates."""
    return sum(p.numel() for p in module.parameters())


def batches(split: Split, *, size: int) -> Any:
    """A loader of the examples in the given order."""
    from torch.utils.data import DataLoader, TensorDataset

    return DataLoader(TensorDataset(split.inputs, split.labels), batch_size=size, shuffle=False)


def parts(split: Split, *, numbers: int) -> Iterator[Split]:
    """Parts of the split, small enough that captum can hold `numbers` entries for each example."""
    size = max(1, _NUMBERS // numbers)
    for start in range(0, len(split), size):
        yield split.rows(slice(start, start + size))


@contextmanager
def undisturbed() -> Iterator[None]:
    """A context in which captum may seed torch and warn about its own calls; the generator and filters are restored."""
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
    with torch.random.fork_rng(devices), catch_warnings():
        filterwarnings("ignore", message="To copy construct from a tensor", category=UserWarning)
        filterwarnings("ignore", message="Input Tensor 0 did not already require grad", category=UserWarning)
        yield
