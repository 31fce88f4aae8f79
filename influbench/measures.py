"""Measures of a network's output for one example. For every measure, higher is better.

`neg_loss`   minus the model's own loss.
`margin`     logit of the true class minus the logsumexp of the others.
`p_correct`  softmax probability of the true class; memorization is always measured on it (Feldman & Zhang 2020).

All take outputs (..., n_outputs) and labels with the axes of (...), which broadcast to it, and return (...) in float64,
because effects of one example are small differences of large numbers.
"""

from collections.abc import Callable
from typing import get_args

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from influbench.api import MeasureName, Model
from influbench.errors import ModelError

_DEFAULT_LOSS = Model.loss
Measure = Callable[[Tensor, Tensor], Tensor]


def available(n_classes: int | None) -> tuple[str, ...]:
    """The measures that are defined for this kind of label; for regression (None), only the loss is."""
    return ("neg_loss",) if n_classes is None else ("neg_loss", "margin", "p_correct")


def measure_of(name: str, model: Model) -> Measure:
    """The measure called `name`, with `neg_loss` taken from `model.loss`. ValueError if the name is unknown."""
    if name not in (known := get_args(MeasureName)):
        raise ValueError(f"measure must be one of {', '.join(known)}, got {name!r}")
    if name == "neg_loss":
        return lambda outputs, labels: -_loss_by_rows(model, outputs.double(), labels)
    return {"margin": _margin, "p_correct": _p_correct}[name]


def example_losses(model: Model, outputs: Tensor, labels: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """`model.loss` on any leading shape: outputs (..., n_outputs), labels of as many leading axes, losses (...).

    With `label_smoothing`, this share of every label is spread over all classes; ModelError if that is not possible.
    """
    if label_smoothing and (reason := not_smoothable(model, labels)):
        raise ModelError(reason)
    if _is_cross_entropy(model, labels):
        # In memory, stacked networks have the classes in front: the loss along that axis avoids moving them back.
        labels = labels.expand(outputs.shape[: labels.ndim])
        return cross_entropy(outputs.movedim(-1, 1), labels, reduction="none", label_smoothing=label_smoothing)
    return _loss_by_rows(model, outputs, labels)


def not_smoothable(model: Model, labels: Tensor) -> str | None:
    """The reason why labels cannot be smoothed, in one sentence, or None if they can."""
    if labels.is_floating_point():
        return "label_smoothing needs class labels, and these labels are for regression; set label_smoothing = 0"
    if not _is_cross_entropy(model, labels):
        return (
            "label_smoothing is for the cross-entropy of influbench.Model, and "
            f"{type(model).__name__} has its own loss; set label_smoothing = 0"
        )
    return None


def _is_cross_entropy(model: Model, labels: Tensor) -> bool:
    return type(model).loss is _DEFAULT_LOSS and not labels.is_floating_point()


def _loss_by_rows(model: Model, outputs: Tensor, labels: Tensor) -> Tensor:
    """The same, row by row, so that its rounding does not depend on the number of rows."""
    labels = labels.expand(outputs.shape[: labels.ndim])
    per_example = outputs.shape[labels.ndim :]
    return model.loss(outputs.reshape(-1, *per_example), labels.reshape(-1)).reshape(labels.shape)


def _margin(outputs: Tensor, labels: Tensor) -> Tensor:
    outputs = outputs.double()
    labels = labels.expand(outputs.shape[:-1])[..., None]
    of_others = outputs.scatter(-1, labels, -torch.inf)
    # logsumexp as a difference at the largest logit: its rounding does not depend on the number of rows
    largest = of_others.argmax(-1, keepdim=True)
    logsumexp = (of_others - of_others.log_softmax(-1)).gather(-1, largest)
    return (outputs.gather(-1, labels) - logsumexp)[..., 0]


def _p_correct(outputs: Tensor, labels: Tensor) -> Tensor:
    labels = labels.expand(outputs.shape[:-1])[..., None]
    return outputs.double().softmax(-1).gather(-1, labels)[..., 0]
