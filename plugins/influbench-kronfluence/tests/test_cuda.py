"""A GPU finds what the CPU finds, up to rounding."""

from dataclasses import replace

import pytest
import torch
from influbench.engine.boundary import on_device
from influbench.testing.problems import problem_of, small_trainer

from influbench_kronfluence.estimator import Kronfluence

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")


@pytest.mark.parametrize("strategy", ["ekfac", "kfac", "diagonal", "identity"])
def test_scores_are_those_of_the_cpu(strategy: str) -> None:
    here, device = small_trainer(), torch.device("cuda")
    there = replace(here, data=on_device(here.data, device), device=device)
    expected, found = (Kronfluence(strategy).estimate(problem_of(of)) for of in (here, there))  # type: ignore[arg-type]
    torch.testing.assert_close(found.influence, expected.influence, rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(found.memorization, expected.memorization, rtol=1e-6, atol=1e-9)
