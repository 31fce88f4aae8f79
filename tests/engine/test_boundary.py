"""What plugins hand over is checked once, and what they do to what they are given is undone."""

from collections.abc import Callable

import pytest
import torch

from influbench.engine.boundary import Pristine
from influbench.errors import EstimateError
from influbench.problem import TrainingProblem
from tests.problems import problem


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
