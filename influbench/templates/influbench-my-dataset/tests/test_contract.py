"""my_dataset keeps the contract of data sets; `influbench check my_dataset` shows the same as a table."""

import pytest
from influbench.testing import Check, dataset_checks


@pytest.mark.parametrize("check", dataset_checks("my_dataset"), ids=str)
def test_contract(check: Check) -> None:
    check()
