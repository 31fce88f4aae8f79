"""my_model keeps the contract of models; `influbench check my_model` shows the same as a table."""

import pytest
from influbench.testing import Check, model_checks


@pytest.mark.parametrize("check", model_checks("my_model"), ids=str)
def test_contract(check: Check) -> None:
    check()
