import pytest
from influbench.testing import estimator_checks

SELECTORS = ["kronfluence", "kronfluence[strategy=kfac,damping=0.01,labels=given]", "kronfluence[strategy=identity]"]
CHECKS = [
    pytest.param(check, id=f"{selector}-{check}")
    for selector in SELECTORS
    for check in estimator_checks(selector, tolerance=1e-8)
]


@pytest.mark.parametrize("check", CHECKS)
def test_contract(check):
    check()
