"""The contract of every estimator."""

import pytest
from influbench.testing import estimator_checks


@pytest.mark.parametrize("check", estimator_checks("captum_tracincp", tolerance=1e-10), ids=str)
def test_tracincp(check):
    check()


@pytest.mark.parametrize("check", estimator_checks("captum_tracincp[batched=true]", tolerance=1e-10), ids=str)
def test_tracincp_batched(check):
    check()


@pytest.mark.parametrize("check", estimator_checks("captum_arnoldi", tolerance=1e-5), ids=str)
def test_arnoldi(check):
    check()
