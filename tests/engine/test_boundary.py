"""What plugins hand over is checked once, and what they do to what they are given is undone."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from influbench.api import Data, Estimate, Split
from influbench.engine.boundary import Pristine, checked_data, checked_estimate, n_duplicates
from influbench.errors import DataError, EstimateError
from influbench.problem import TrainingProblem
from tests.problems import blobs, line, problem


def _in_place(of: TrainingProblem) -> object:
    return of.data.train.inputs.zero_()


def _under_gradients(of: TrainingProblem) -> object:
    return of.data.train.inputs.mul_(torch.ones(1, dtype=of.dtype, requires_grad=True))


def _another_tensor(of: TrainingProblem) -> object:
    return object.__setattr__(of.data.test, "labels", [1, 2])


def _another_split(of: TrainingProblem) -> object:
    return object.__setattr__(of.data, "train", of.data.test)


def _one_row_for_all(of: TrainingProblem) -> object:
    of.data.train.inputs.data = of.data.train.inputs[:1].expand(len(of.data.train), -1)
    return None


def _another_dtype(of: TrainingProblem) -> object:
    of.data.train.inputs.data = of.data.train.inputs.half()
    return None


@pytest.mark.parametrize(
    "change",
    [
        _in_place,
        _under_gradients,
        _another_tensor,
        _another_split,
        _one_row_for_all,
        _another_dtype,
        lambda of: of.data.train.ids.resize_(3),
        lambda of: of.data.train.inputs.requires_grad_(),
        lambda of: of.data.train.inputs.untyped_storage().resize_(0),
        lambda of: vars(of.data.test).clear(),
    ],
)
def test_whatever_is_done_to_the_data_is_undone(change: Callable[[TrainingProblem], object]) -> None:
    changed, untouched = problem(), problem()
    pristine = Pristine(changed)
    with pytest.raises(EstimateError, match=r"^wrote into the data it was given; work on a copy$"), pristine.guarded():
        change(changed)
    for split, expected in zip(
        (changed.data.train, changed.data.test), (untouched.data.train, untouched.data.test), strict=True
    ):
        for name, tensor in vars(expected).items():
            assert torch.equal(getattr(split, name), tensor)
            assert not getattr(split, name).requires_grad
    assert pristine.restore() == []


def test_an_interrupt_is_one_whatever_was_written() -> None:
    changed = problem()

    def interrupted() -> None:
        with Pristine(changed).guarded():
            _in_place(changed)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert changed.data.train.inputs.any()


@pytest.mark.parametrize(
    ("scores", "sentence"),
    [
        (torch.zeros(2, 3, dtype=torch.complex64), "of torch.complex64, expected real numbers; write .real if that is"),
        (torch.zeros(2, 3).to_sparse(), "that is torch.sparse_coo, expected a dense tensor; write .to_dense()"),
        (
            torch.zeros(2, 3, device="meta"),
            "that is on the meta device, where tensors have no values; make them on the",
        ),
    ],
)
def test_scores_that_are_no_real_numbers_are_one_sentence(scores: torch.Tensor, sentence: str) -> None:
    data = Data(_rows(2), _rows(3), 2)
    for estimate in (Estimate(scores), Estimate(memorization=scores[:, 0])):
        with pytest.raises(EstimateError) as caught:
            checked_estimate(estimate, data)
        assert str(caught.value).partition(" ")[2].partition(" ")[2].startswith(sentence)


def _rows(n: int) -> Split:
    return Split(torch.arange(n)[:, None].float(), torch.arange(n) % 2, torch.arange(n))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"n_classes": "2"}, "cats has n_classes = '2', expected a whole number (int), or None for regression"),
        ({"n_classes": 3.0}, "cats has n_classes = 3.0, expected a whole number (int), or None for regression"),
        ({"n_classes": True}, "cats has n_classes = True, expected a whole number (int), or None for regression"),
        ({"n_classes": torch.tensor(3)}, "cats has n_classes = tensor(3), expected a whole number (int), or None for"),
        ({"test": [1, 2]}, "cats test is a list, expected an influbench.Split of inputs, labels and ids"),
        ({"train": None}, "cats train is a NoneType, expected an influbench.Split of inputs, labels and ids"),
        (
            {"inputs": torch.rand(20)},
            "cats train inputs have shape (20,), expected (n, ...), a row for each example; wri",
        ),
        ({"inputs": torch.tensor(1.0)}, "cats train inputs have shape (), expected (n, ...), a row for each example;"),
        ({"inputs": torch.rand(20, 5).to_sparse()}, "cats train inputs are torch.sparse_coo, expected a dense tensor;"),
        ({"labels": torch.zeros(20, device="meta")}, "cats train labels are on the meta device, where tensors have no"),
        ({"ids": list(range(20))}, "cats train ids are a list, expected a torch.Tensor"),
        ({"class_names": ("a", "b")}, "cats has 2 class names, expected 3, one for each class"),
        ({"class_names": "abc"}, "cats has class names as a str, expected a tuple of str"),
        ({"class_names": ("a", "b", 3)}, "cats has 3 among its class names, expected words; write it out as a str"),
        ({"class_names": ("a", "b", " ")}, "cats has ' ' among its class names, expected words; write it out as a str"),
        ({"notes": [3]}, "cats has notes [3], expected a tuple of sentences"),
    ],
    ids=lambda value: value if isinstance(value, str) else "".join(value),
)
def test_data_that_are_none_are_one_sentence(change: dict[str, object], sentence: str) -> None:
    given = blobs(20, 8)
    fields = vars(given.train) | {name: value for name, value in change.items() if name in vars(given.train)}
    data = Data(**{**vars(given), "train": Split(**fields), **{k: v for k, v in change.items() if k in vars(given)}})
    with pytest.raises(DataError) as caught:
        checked_data(data, name="cats", dtype=torch.float32)
    assert str(caught.value).startswith(sentence)


def test_class_names_and_notes_are_kept() -> None:
    given = replace(blobs(), class_names=["a", "b\n two", "c"], notes="One sentence.")
    data = checked_data(given, name="cats", dtype=torch.float64).to(torch.float32)
    assert (data.class_names, data.notes) == (("a", "b two", "c"), ("One sentence.",))
    regression = replace(line(), class_names=("a", "b"))
    with pytest.raises(DataError, match="cats has class names and is for regression; give n_classes where labels are"):
        checked_data(regression, name="cats", dtype=torch.float32)


def test_one_test_point_is_enough() -> None:
    data = blobs(8, 1)
    assert len(checked_data(data, name="cats", dtype=torch.float32).test) == 1
    with pytest.raises(DataError, match="cats test has 0 examples, expected at least 1"):
        checked_data(replace(data, test=data.test.rows(slice(0, 0))), name="cats", dtype=torch.float32)
    with pytest.raises(DataError, match="cats train has 1 example, expected at least 2"):
        checked_data(replace(data, train=data.train.rows(slice(0, 1))), name="cats", dtype=torch.float32)


def test_what_a_data_set_keeps_of_its_data_is_its_own() -> None:
    kept = blobs()
    kept.train.inputs.requires_grad_()
    data = checked_data(kept, name="cats", dtype=kept.train.inputs.dtype)
    assert not data.train.inputs.requires_grad
    for name, tensor in vars(data.train).items():
        assert tensor.data_ptr() != getattr(kept.train, name).data_ptr()


def test_examples_that_equal_an_earlier_one_in_inputs_and_label_are_counted() -> None:
    inputs = torch.tensor([[[1.0], [2.0]], [[1.0], [2.0]], [[1.0], [2.0]], [[2.0], [1.0]], [[1.0], [2.0]]])
    labels = torch.tensor([0, 0, 1, 0, 0])
    assert n_duplicates(Split(inputs, labels, torch.arange(5))) == 2
    assert n_duplicates(Split(inputs, torch.arange(5), torch.arange(5))) == 0
