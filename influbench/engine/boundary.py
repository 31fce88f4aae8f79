"""Checks of everything that plugins hand over, made once, and repair of whatever they did to what they were given."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from hashlib import blake2b
from numbers import Integral

import torch
from torch import Tensor

from influbench.api import Data, Estimate, Problem, Split
from influbench.errors import DataError, EstimateError, printable
from influbench.training.loop import Trainer


def checked_data(data: object, *, name: str, dtype: torch.dtype) -> Data:
    """The data in the problem's dtype, on the CPU; DataError where it cannot be trained on."""
    if not isinstance(data, Data):
        raise DataError(f"{name} loaded a {type(data).__name__}, expected influbench.Data")
    n_classes = _checked_n_classes(data.n_classes, name)
    train = _checked_split(data.train, f"{name} train", n_classes, dtype, fewest=2)
    test = _checked_split(data.test, f"{name} test", n_classes, dtype, fewest=1)
    if train.inputs.shape[1:] != test.inputs.shape[1:]:
        raise DataError(
            f"{name} has train inputs of shape {tuple(train.inputs.shape[1:])} and test inputs of shape "
            f"{tuple(test.inputs.shape[1:])}"
        )
    if torch.equal(train.inputs, test.inputs) and torch.equal(train.labels, test.labels):
        raise DataError(f"{name} has its train points as test points, too; test on points that are not trained on")
    if (example := _first_in_both(train, test)) is not None:
        raise DataError(
            f"{name} has an example that is a train and a test point, id {example}; "
            "test on points that are not trained on"
        )
    class_names = _checked_class_names(data.class_names, name, n_classes)
    return Data(train, test, n_classes, class_names, _checked_sentences(data.notes, name))


def n_duplicates(split: Split) -> int:
    """The number of examples that equal an earlier one, in inputs and label."""
    inputs, labels = split.inputs.cpu().flatten(1).numpy(), split.labels.cpu().numpy()
    different = {blake2b(row.tobytes() + label.tobytes()).digest() for row, label in zip(inputs, labels, strict=True)}
    return len(split) - len(different)


def _checked_n_classes(n_classes: object, name: str) -> int | None:
    if n_classes is None:
        return None
    if not isinstance(n_classes, Integral) or isinstance(n_classes, bool):
        raise DataError(f"{name} has n_classes = {n_classes!r}, expected a whole number (int), or None for regression")
    if n_classes < 2:
        raise DataError(f"{name} has n_classes = {n_classes}, expected at least 2, or None for regression")
    return int(n_classes)


def _checked_class_names(class_names: object, name: str, n_classes: int | None) -> tuple[str, ...] | None:
    if class_names is None:
        return None
    if n_classes is None:
        raise DataError(f"{name} has class names and is for regression; give n_classes where labels are classes")
    if isinstance(class_names, str) or not isinstance(class_names, Sequence):
        raise DataError(f"{name} has class names as a {type(class_names).__name__}, expected a tuple of str")
    if wrong := [one for one in class_names if not isinstance(one, str) or not one.strip()]:
        raise DataError(f"{name} has {wrong[0]!r} among its class names, expected words; write it out as a str")
    if len(class_names) != n_classes:
        raise DataError(f"{name} has {len(class_names)} class names, expected {n_classes}, one for each class")
    return tuple(printable(" ".join(name.split())) for name in class_names)


def _checked_sentences(notes: object, name: str) -> tuple[str, ...]:
    """The sentences of a data set; a str is one sentence."""
    found = (notes,) if isinstance(notes, str) else notes
    if not isinstance(found, list | tuple) or not all(isinstance(note, str) for note in found):
        raise DataError(f"{name} has notes {notes!r}, expected a tuple of sentences")
    return tuple(map(printable, found))


def _first_in_both(train: Split, test: Split) -> int | None:
    """The id of an example, the same in inputs and label, that is trained on and tested on."""
    rows = {example: row for row, example in enumerate(train.ids.tolist())}
    for y, example in enumerate(test.ids.tolist()):
        x = rows.get(example)
        if x is not None and train.labels[x] == test.labels[y] and torch.equal(train.inputs[x], test.inputs[y]):
            return int(example)
    return None


def _checked_split(split: object, where: str, n_classes: int | None, dtype: torch.dtype, *, fewest: int) -> Split:
    if not isinstance(split, Split):
        raise DataError(f"{where} is a {type(split).__name__}, expected an influbench.Split of inputs, labels and ids")
    for field, values in vars(split).items():
        if not isinstance(values, Tensor):
            raise DataError(f"{where} {field} are a {type(values).__name__}, expected a torch.Tensor")
        if unreadable := _unreadable(values):
            raise DataError(f"{where} {field} are {unreadable}")
    if split.inputs.ndim < 2:
        raise DataError(
            f"{where} inputs have shape {tuple(split.inputs.shape)}, expected (n, ...), a row for each example; "
            "write inputs[:, None] where each is one number"
        )
    n = len(split.inputs)
    if n < fewest:
        raise DataError(f"{where} has {n} example{'s' * (n != 1)}, expected at least {fewest}")
    for field, values in (("labels", split.labels), ("ids", split.ids)):
        if values.shape != (n,):
            raise DataError(f"{where} {field} have shape {tuple(values.shape)}, expected ({n},)")
    if split.ids.dtype != torch.int64 or split.ids.min() < 0 or len(split.ids.unique()) < n:
        raise DataError(f"{where} ids must be int64, not negative and unique")
    if not split.inputs.is_floating_point():
        raise DataError(f"{where} inputs are {split.inputs.dtype}, expected floating point")
    inputs = split.inputs.detach().to("cpu", dtype, copy=True)  # what the data set keeps is its own
    if unusable := int((~inputs.isfinite()).flatten(1).any(1).sum()):
        raise DataError(f"{where} inputs are not finite in {unusable} of {n} examples")
    labels = _checked_labels(split.labels, where, n_classes, dtype).detach()
    return Split(inputs, labels.to("cpu", copy=True), split.ids.to("cpu", copy=True))


def _checked_labels(labels: Tensor, where: str, n_classes: int | None, dtype: torch.dtype) -> Tensor:
    if n_classes is None:
        if not labels.is_floating_point():
            raise DataError(
                f"{where} labels are {labels.dtype}, expected floating point for regression; write labels.float(), or "
                "give n_classes where they are classes"
            )
        if not labels.to(dtype).isfinite().all():
            raise DataError(f"{where} labels are not finite")
        return labels.to(dtype)
    if labels.is_floating_point() or labels.is_complex():
        raise DataError(
            f"{where} labels are {labels.dtype}, expected integers from 0 to {n_classes - 1}; write labels.long(), or "
            "n_classes=None for regression"
        )
    if labels.min() < 0 or labels.max() >= n_classes:
        raise DataError(
            f"{where} labels must be integers from 0 to {n_classes - 1}, and go from {int(labels.min())} to "
            f"{int(labels.max())}"
        )
    return labels.to(torch.int64)


def _unreadable(tensor: Tensor) -> str | None:
    """The reason why a tensor's values cannot be read, and what to do about it."""
    if tensor.layout is not torch.strided:
        return f"{tensor.layout}, expected a dense tensor; write .to_dense()"
    if tensor.is_meta:
        return "on the meta device, where tensors have no values; make them on the CPU"
    return None


class Pristine:
    """Copies of data, model, recipe and optimizer, to notice that a plugin wrote into them and to undo it."""

    def __init__(self, problem: Problem | Trainer) -> None:
        data = problem.data
        self._data, self._data_fields = data, dict(vars(data))
        self._splits = [(split, _copies(vars(split))) for split in (data.train, data.test)]
        self._records = {"model": problem.model, "recipe": problem.recipe, "optimizer": problem.optimizer}
        self._fields = {name: deepcopy(vars(record)) for name, record in self._records.items()}

    def restore(self) -> list[str]:
        """Put everything back as it was; names of what had been changed.

        What replaces a tensor that was written into is a new one: the old may not be fit to hold the values any more.
        """
        changed = []
        now, before = vars(self._data), self._data_fields
        if now.keys() != before.keys() or any(now[name] is not value for name, value in before.items()):
            _replace_fields(self._data, self._data_fields)
            changed = ["data"]
        for split, copies in self._splits:
            if not _hold(vars(split), copies):
                _replace_fields(split, _copies(copies))
                changed = ["data"]
        for name, record in self._records.items():
            if repr(vars(record)) != repr(self._fields[name]):
                _replace_fields(record, deepcopy(self._fields[name]))
                changed.append(name)
        return changed

    @contextmanager
    def guarded(self, what: str = "") -> Iterator[None]:
        """Within, a plugin may do what it likes to what it is given: it is put back, and EstimateError if it had to be.

        `what` wrote, for the sentence.
        """
        try:
            yield
        except KeyboardInterrupt:
            self.restore()
            raise
        finally:
            if changed := self.restore():
                raise EstimateError(
                    f"{what} wrote into the {' and the '.join(changed)} it was given; work on a copy".lstrip()
                )


def _copies(fields: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in fields.items()}


def _replace_fields(record: object, fields: Mapping[str, object]) -> None:
    vars(record).clear()
    vars(record).update(fields)


def _hold(fields: Mapping[str, object], copies: Mapping[str, Tensor]) -> bool:
    """True if these fields are tensors like the copies, with the same values."""
    return fields.keys() == copies.keys() and all(_is_copied(fields[name], copy) for name, copy in copies.items())


def _is_copied(tensor: object, copy: Tensor) -> bool:
    kind = [(t.shape, t.dtype, t.device, t.layout, t.requires_grad) for t in (tensor, copy) if isinstance(t, Tensor)]
    return (
        isinstance(tensor, Tensor)
        and kind[0] == kind[1]
        and tensor.untyped_storage().nbytes() >= copy.numel() * copy.element_size()  # else there is nothing to read
        and torch.equal(tensor, copy)
    )


def checked_trace(trace: object, data: Data, *, n_steps: int) -> list[Estimate]:
    """The estimates of a trace, each checked and copied before the next is asked for; EstimateError as below."""
    if not isinstance(trace, Iterable):
        raise EstimateError(f"trace returned {type(trace).__name__}, expected an Estimate for each step")
    found: list[Estimate] = []
    for estimate in trace:
        if len(found) == n_steps:
            raise EstimateError(f"traced more than the {n_steps} steps that it was asked for")
        found.append(checked_estimate(estimate, data))
    if len(found) < n_steps:
        raise EstimateError(f"traced {len(found)} of {n_steps} steps")
    return found


def checked_estimate(estimate: object, data: Data) -> Estimate:
    """A copy of the estimate, in float64 on the CPU; EstimateError where it is not what an estimator owes."""
    if not isinstance(estimate, Estimate):
        raise EstimateError(f"returned a {type(estimate).__name__}, expected influbench.Estimate")
    if estimate.influence is None and estimate.memorization is None:
        raise EstimateError("returned neither influence nor memorization")
    if estimate.memorization is not None and data.n_classes is None:
        raise EstimateError("returned memorization, which regression does not have; return None for it")
    n_train, n_test = len(data.train), len(data.test)
    return Estimate(
        _checked_scores(estimate.influence, "influence", {"n_train": n_train, "n_test": n_test}),
        _checked_scores(estimate.memorization, "memorization", {"n_train": n_train}),
        notes=_checked_notes(estimate.notes),
    )


def _checked_notes(notes: object) -> tuple[str, ...]:
    """The sentences; a str is one sentence, since nothing else can be meant, and scores are not lost for it."""
    found = (notes,) if isinstance(notes, str) else notes
    if not isinstance(found, list | tuple):
        raise EstimateError(f"returned notes as a {type(notes).__name__}, expected a tuple of sentences")
    if wrong := [note for note in found if not isinstance(note, str)]:
        raise EstimateError(f"returned {wrong[0]!r} among the notes, expected sentences; write it out as a str")
    return tuple(map(printable, found))


def _checked_scores(scores: Tensor | None, quantity: str, expected: dict[str, int]) -> Tensor | None:
    if scores is None:
        return None
    if not isinstance(scores, Tensor):
        raise EstimateError(f"returned {quantity} as a {type(scores).__name__}, expected a torch.Tensor")
    if unreadable := _unreadable(scores):
        raise EstimateError(f"returned {quantity} that is {unreadable}")
    if scores.is_complex():
        raise EstimateError(
            f"returned {quantity} of {scores.dtype}, expected real numbers; write .real if that is meant"
        )
    shape = tuple(expected.values())
    if tuple(scores.shape) != shape:
        names = ", ".join(expected)
        transposed = "; it is transposed" if len(shape) == 2 and tuple(scores.shape) == shape[::-1] else ""
        raise EstimateError(
            f"returned {quantity} of shape {tuple(scores.shape)}, expected ({names}) = {shape}{transposed}"
        )
    copied = scores.detach().to("cpu", torch.float64, copy=True)  # the estimator may keep writing into its own
    if unusable := int((~copied.isfinite()).sum()):
        raise EstimateError(f"returned {quantity} with {unusable} of {copied.numel()} scores not finite")
    return copied
