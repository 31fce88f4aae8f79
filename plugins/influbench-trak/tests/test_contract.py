"""The contract of every estimator."""

import pytest
from influbench.testing import estimator_checks


@pytest.mark.parametrize("check", estimator_checks("traker[n_projected=8]", tolerance=1e-4), ids=str)
def test_traker(check):
    check()
