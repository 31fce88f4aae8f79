"""Tests of my_model beyond the contract."""

from influbench.testing import blobs

from influbench_my_model.model import MyModel


def test_its_width_is_a_parameter() -> None:
    module = MyModel(width=7).build(blobs())
    assert [p.shape[0] for p in module.parameters()] == [7, 7, 3, 3]
