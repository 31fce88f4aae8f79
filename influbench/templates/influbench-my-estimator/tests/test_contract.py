"""my_estimator keeps the contract of estimators; `influbench check my_estimator` shows the same as a table."""

import pytest
from influbench.testing import Check, estimator_checks


@pytest.mark.parametrize("check", estimator_checks("my_estimator"), ids=str)
def test_contract(check: Check) -> None:
    check()
