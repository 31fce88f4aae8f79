"""What the plugin contract itself does."""

import pytest
import torch

from influbench.api import Data, Split

CLASSES = Split(torch.tensor([[0.1], [2.0]]), torch.tensor([3, 1]), torch.tensor([7, 2**40]))
TOKENS = Split(torch.tensor([[4, 5], [6, 2**40]]), torch.tensor([0.1, 2.0]), torch.tensor([7, 9]))


@pytest.mark.parametrize(
    ("split", "kinds"),
    [
        (CLASSES, (torch.float64, torch.int64, torch.int64)),
        (TOKENS, (torch.int64, torch.float64, torch.int64)),
    ],
    ids=["classes", "tokens"],
)
def test_examples_in_another_dtype_have_their_floats_cast_and_their_integers_as_they_were(
    split: Split, kinds: tuple[torch.dtype, ...]
) -> None:
    found = split.to(torch.float64)
    assert (found.inputs.dtype, found.labels.dtype, found.ids.dtype) == kinds
    for name, values in vars(split).items():
        assert torch.equal(getattr(found, name), values.to(getattr(found, name).dtype))


def test_examples_move_to_a_device_with_and_without_another_dtype() -> None:
    device = torch.device("meta")
    for found, dtype in (
        (CLASSES.to(device=device), torch.float32),
        (CLASSES.to(torch.float16, device), torch.float16),
    ):
        assert {values.device for values in vars(found).values()} == {device}
        assert [values.dtype for values in vars(found).values()] == [dtype, torch.int64, torch.int64]


def test_data_are_cast_and_moved_with_both_splits() -> None:
    data = Data(CLASSES, TOKENS, None).to(torch.float64, torch.device("meta"))
    assert data.train.inputs.dtype == data.test.labels.dtype == torch.float64
    assert data.train.inputs.device == data.test.ids.device == torch.device("meta")
    assert data.n_classes is None
    assert Data(CLASSES, CLASSES, 4).to(torch.float16).n_classes == 4
