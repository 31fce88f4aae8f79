"""The contract of estimators, checked on those that come with influbench."""

import pytest

from influbench.registry import installed
from influbench.testing import Check, estimator_checks

ESTIMATORS = [
    "turn_over_dropout[n_masks=3]",
    "turn_over_dropout[n_masks=12,units=member,p=0.5]",
    "subset[n_models=24]",
    "datamodel[n_models=24]",
    "leave_one_out",
    "tracin",
    "grad_dot",
    "grad_cos",
    "influence_function[solver=explicit]",
    "influence_function[solver=cg,tolerance=1e-10]",
    "influence_function[solver=ekfac]",
    "metagradient[n_seeds=1]",
    "trak[n_projected=8]",
    "representer",
    "learning_time",
    "cumulative_loss",
    "forgetting",
    "el2n",
    "grad_norm",
    "curvature",
    "random",
    "train_loss",
    "same_label",
    "input_similarity",
]
ELSEWHERE = {"from_file": "has the scores of one set of points, in any order; see test_from_file.py"}
ITERATES = {"influence_function[solver=cg,tolerance=1e-10]": 1e-5}  # until the residuals are small
CHECKS = [
    pytest.param(check, id=f"{selector}-{check}")
    for selector in ESTIMATORS
    for check in estimator_checks(selector, tolerance=ITERATES.get(selector, 1e-8))
]


def test_every_estimator_that_is_installed_is_checked() -> None:
    names = {entry.spec.name for entry in installed().entries if entry.kind == "estimator"}
    assert {selector.partition("[")[0] for selector in ESTIMATORS} | ELSEWHERE.keys() == names


@pytest.mark.parametrize("check", CHECKS)
def test_contract(check: Check) -> None:
    check()
