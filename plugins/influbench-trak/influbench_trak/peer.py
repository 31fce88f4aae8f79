"""Traker's inputs, and the removal of its side effects."""

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from importlib.metadata import PackageNotFoundError, version
from re import findall
from tempfile import TemporaryDirectory
from typing import Any

import torch
from influbench.api import Problem, Split
from torch import Tensor, nn

SUPPORTED = "traker>=0.3.2,<0.4"

_NUMBERS = 2**26  # entries of per-example gradients, or of a projection, held at a time
_SILENT = 100  # a level of logging above all levels in use
_LOGGERS = ("TRAK", "STORE", "ScoreComputer")


def obstacle() -> str | None:
    """The reason why traker cannot be used here, in one sentence, or None."""
    try:
        found = version("traker")
    except PackageNotFoundError:
        return f"traker is not installed; pip install '{SUPPORTED}'"
    numbers = [int(number) for number in findall(r"\d+", found)[:3]]
    if not [0, 3, 2] <= numbers < [0, 4]:
        return f"traker {found} is installed, which is untested; pip install '{SUPPORTED}'"
    return None


def n_parameters(problem: Problem) -> int:
    """The number of trained parameters, by which traker differentiates."""
    return sum(p.numel() for name, p in problem.initial_parameters(0).items() if name in problem.trainable)


def projector(problem: Problem, *, n_projected: int, seed: int) -> Any:
    """A projector with random signs, drawn in blocks that fit into memory."""
    from trak.projectors import BasicProjector, ProjectionType

    return BasicProjector(
        grad_dim=n_parameters(problem),
        proj_dim=n_projected,
        seed=seed,
        proj_type=ProjectionType.rademacher,
        device=str(problem.device),
        block_size=max(1, _NUMBERS // n_parameters(problem)),
        dtype=problem.dtype,
    )


def traker(module: nn.Module, projector: Any, *, n_train: int, folder: str, device: str) -> Any:
    """A TRAKer for classes, in float32 and on this device; its defaults are float16 and a GPU.

    It reuses any files in `folder`, which must therefore be empty.
    """
    from trak import TRAKer

    return TRAKer(
        module,
        "image_classification",  # inputs of any shape, labels that are classes
        n_train,
        save_dir=folder,
        device=device,
        projector=projector,
        use_half_precision=False,
        logging_level=_SILENT,
    )


def batches(split: Split, *, n_numbers: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Inputs and labels in parts, small enough to hold a gradient of `n_numbers` for each example."""
    size = max(1, _NUMBERS // n_numbers)
    for start in range(0, len(split), size):
        rows = slice(start, start + size)
        yield split.inputs[rows], split.labels[rows]


@contextmanager
def workplace() -> Iterator[str]:
    """An empty folder for traker. Its progress bars are hidden in the context, and its loggers restored afterwards."""
    root, loggers = logging.getLogger(), [logging.getLogger(name) for name in _LOGGERS]
    handlers, levels = list(root.handlers), [logger.level for logger in loggers]
    # files that are still mapped into memory cannot be deleted on Windows
    temporary = TemporaryDirectory(prefix="influbench-trak-", ignore_cleanup_errors=True)
    try:
        with temporary as folder, redirect_stderr(io.StringIO()), torch.enable_grad():
            yield folder
    finally:
        root.handlers[:] = handlers
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
