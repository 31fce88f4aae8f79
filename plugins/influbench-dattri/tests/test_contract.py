"""influbench's contract suite on every estimator, with settings that fit 20 train points."""

import pytest
from influbench.testing import Check, estimator_checks

SELECTORS = [
    "dattri_if_explicit",
    "dattri_if_cg",
    "dattri_if_arnoldi[max_iterations=10]",
    "dattri_if_lissa[depth=5]",
    "dattri_tracin",
    "dattri_tracin[n_projected=0]",
    "dattri_trak[n_projected=8]",
    "dattri_rps",
]
CHECKS = [
    pytest.param(check, id=f"{selector}-{check}")
    for selector in SELECTORS
    for check in estimator_checks(selector, tolerance=1e-6)
]


@pytest.mark.parametrize("check", CHECKS)
def test_contract(check: Check) -> None:
    check()
