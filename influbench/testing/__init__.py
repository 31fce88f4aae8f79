"""The contract suite, for authors of plugins and for us, and small problems with known answers.

    import pytest
    from influbench.testing import estimator_checks

    @pytest.mark.parametrize("check", estimator_checks("mine"), ids=str)
    def test_contract(check):
        check()

`influbench check NAME` runs the same checks on an installed plugin.
"""

from influbench.testing.checks import Check, ContractError
from influbench.testing.datasets import dataset_checks
from influbench.testing.estimators import estimator_checks
from influbench.testing.executors import executor_checks
from influbench.testing.judges import judge_checks
from influbench.testing.models import model_checks
from influbench.testing.oracles import Oracle, group_means, least_squares
from influbench.testing.problems import blobs, line, permuted, pictures, small_judged_problem, small_problem
from influbench.testing.update_rules import optimizer_checks, schedule_checks

__all__ = [
    "Check",
    "ContractError",
    "Oracle",
    "blobs",
    "dataset_checks",
    "estimator_checks",
    "executor_checks",
    "group_means",
    "judge_checks",
    "least_squares",
    "line",
    "model_checks",
    "optimizer_checks",
    "permuted",
    "pictures",
    "schedule_checks",
    "small_judged_problem",
    "small_problem",
]
