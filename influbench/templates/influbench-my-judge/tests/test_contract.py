"""my_judge keeps the contract of judges; `influbench check my_judge` shows the same as a table."""

import pytest
from influbench.testing import Check, judge_checks


@pytest.mark.parametrize("check", judge_checks("my_judge"), ids=str)
def test_contract(check: Check) -> None:
    check()
