"""Scores on a GPU equal scores on the CPU, up to rounding."""

import pytest
import torch
from influbench.testing import small_problem

from influbench_kronfluence.estimator import Kronfluence

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is not a GPU here")


@pytest.mark.parametrize("strategy", ["ekfac", "kfac", "diagonal", "identity"])
def test_scores_are_those_of_the_cpu(strategy: str) -> None:
    estimator = Kronfluence(strategy)  # type: ignore[arg-type]
    expected, found = (estimator.estimate(small_problem(device=device)) for device in ("cpu", "cuda"))
    torch.testing.assert_close(found.influence, expected.influence, rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(found.memorization, expected.memorization, rtol=1e-6, atol=1e-9)
