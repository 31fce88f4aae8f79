"""Reasons why kronfluence cannot run on a problem, each in one sentence. Does not import kronfluence."""

import os
import re
from importlib.metadata import PackageNotFoundError, version

from influbench import Model, Problem

from influbench_kronfluence.layers import untracked

_TRIED = r"1\.0\.[1-9]"
_INSTALL = "install it with: pip install 'kronfluence>=1.0.1,<1.1'"


def why_not(problem: Problem, *, draws: bool) -> str | None:
    """The reason why it cannot run, or None. `draws` is True if labels are drawn from the network's predictions."""
    return _not_installed() or _not_here(problem) or (_no_draws(problem) if draws else None) or untracked(problem)


def _not_installed() -> str | None:
    try:
        found = version("kronfluence")
    except PackageNotFoundError:
        return f"kronfluence is not installed; {_INSTALL}"
    return None if re.match(_TRIED, found) else f"kronfluence {found} is untested; {_INSTALL}"


def _not_here(problem: Problem) -> str | None:
    if problem.device.type not in ("cpu", "cuda"):
        return f"kronfluence computes on the CPU or with CUDA, not on {problem.device.type}"
    if problem.device.type == "cuda" and "LOCAL_RANK" in os.environ:
        return "kronfluence would join a process group, because LOCAL_RANK is set; unset it"
    return None


def _no_draws(problem: Problem) -> str | None:
    """The reason if the loss is not the negative log-likelihood of a known distribution to draw labels from."""
    if type(problem.model).loss is not Model.loss:
        return "labels cannot be drawn for a model's own loss; use labels=given"
    if problem.data.n_classes is None:
        outputs = problem.forward(problem.initial_parameters(0), problem.data.train.inputs[:1])
        if outputs.numel() != 1:
            return f"labels cannot be drawn for {outputs.numel()} outputs on one float label; use labels=given"
    return None
