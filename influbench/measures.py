"""What a network's answer to one example is worth. Higher is better, for each of them.

`neg_loss`   minus the model's own loss.
`margin`     logit of the true class minus the logsumexp of the others.
`p_correct`  softmax probability of the true class; memorization is always measured on it (Feldman & Zhang 2020).

All take outputs (..., n_outputs) and labels that broadcast to (...), with as many axes, and return (...) in float64:
effects of one example are small differences of large numbers.
"""

from collections.abc import Callable
from typing import get_args

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from influbench.api import MeasureName, Model

_DEFAULT_LOSS = Model.loss
Measure = Callable[[Tensor, Tensor], Tensor]


def available(n_classes: int | None) -> tuple[str, ...]:
    """The measures that are defined for this kind of label; regression (None) has a loss and nothing else."""
    return ("neg_loss",) if n_classes is None else ("neg_loss", "margin", "p_correct")


def measure_of(name: str, model: Model) -> Measure:
    """The measure called `name`, with `neg_loss` taken from `model.loss`; ValueError if there is none."""
    if name not in (known := get_args(MeasureName)):
        raise ValueError(f"measure must be one of {', '.join(known)}, got {name!r}")
    if name == "neg_loss":
        return lambda outputs, labels: -_loss_by_rows(model, outputs.double(), labels)
    return {"margin": _margin, "p_correct": _p_correct}[name]


def example_losses(model: Model, outputs: Tensor, labels: Tensor) -> Tensor:
    """`model.loss` on any leading shape: outputs (..., n_outputs), labels of as many leading axes, losses (...)."""
    if type(model).loss is _DEFAULT_LOSS and not labels.is_floating_point():
        # Stacked networks have the classes in front: the same loss along that axis spares bringing them to the back.
        labels = labels.expand(outputs.shape[: labels.ndim])
        return cross_entropy(outputs.movedim(-1, 1), labels, reduction="none")
    return _loss_by_rows(model, outputs, labels)


def _loss_by_rows(model: Model, outputs: Tensor, labels: Tensor) -> Tensor:
    """The same, row by row: its rounding does not depend on how many rows there are."""
    labels = labels.expand(outputs.shape[: labels.ndim])
    per_example = outputs.shape[labels.ndim :]
    return model.loss(outputs.reshape(-1, *per_example), labels.reshape(-1)).reshape(labels.shape)


def _margin(outputs: Tensor, labels: Tensor) -> Tensor:
    outputs = outputs.double()
    labels = labels.expand(outputs.shape[:-1])[..., None]
    of_others = outputs.scatter(-1, labels, -torch.inf)
    # logsumexp by log_softmax at the largest, whose rounding does not depend on how many rows there are
    largest = of_others.argmax(-1, keepdim=True)
    logsumexp = (of_others - of_others.log_softmax(-1)).gather(-1, largest)
    return (outputs.gather(-1, labels) - logsumexp)[..., 0]


def _p_correct(outputs: Tensor, labels: Tensor) -> Tensor:
    labels = labels.expand(outputs.shape[:-1])[..., None]
    return outputs.double().softmax(-1).gather(-1, labels)[..., 0]
