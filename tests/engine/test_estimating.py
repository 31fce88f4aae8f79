"""Estimates are copied as they come, whatever the estimator does with its memory afterwards."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count

import pytest
import torch
from torch import Tensor

from influbench.api import Estimate, Estimator, Problem
from influbench.engine.estimating import estimated
from influbench.errors import EstimateError
from tests.problems import problem, trainer

STEPS = (1, 3, 8)


def zeros(problem: Problem) -> Tensor:
    return torch.zeros(len(problem.data.train), len(problem.data.test), dtype=torch.float64)


@dataclass(frozen=True)
class RunningSum(Estimator):
    """Yields the sum that it goes on adding to."""

    def estimate(self, problem: Problem) -> Estimate:
        *_, last = self.trace(problem, range(len(STEPS)))
        return last

    def trace(self, problem: Problem, steps: Sequence[int]) -> Iterator[Estimate]:
        scores = zeros(problem)
        for _ in steps:
            scores += 1
            yield Estimate(scores, scores[:, 0])


def test_a_trace_that_yields_its_running_sum_is_judged_step_by_step() -> None:
    found = estimated(RunningSum(), problem(), who="it", steps=STEPS)
    for number, estimate in enumerate(found, start=1):
        assert estimate.influence is not None
        assert estimate.memorization is not None
        assert estimate.influence.unique().tolist() == [number]
        assert estimate.memorization.unique().tolist() == [number]


def test_the_estimate_of_a_running_sum_is_one() -> None:
    (found,) = estimated(RunningSum(), problem(), who="it")
    assert found.influence is not None
    assert found.influence.unique().tolist() == [3]


@dataclass(frozen=True)
class OneBuffer(Estimator):
    """Writes every estimate into the same memory."""

    buffer: Tensor

    def estimate(self, problem: Problem) -> Estimate:
        self.buffer.copy_(torch.rand(self.buffer.shape, generator=torch.Generator().manual_seed(problem.seed)))
        return Estimate(self.buffer)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_repeats_of_an_estimator_with_one_buffer_are_different(dtype: torch.dtype) -> None:
    of = trainer()
    estimator = OneBuffer(zeros(problem(of)).to(dtype))
    (first,) = estimated(estimator, problem(of, seed=1), who="it")
    (second,) = estimated(estimator, problem(of, seed=2), who="it")
    (again,) = estimated(estimator, problem(of, seed=1), who="it")
    assert first.influence is not None
    assert second.influence is not None
    assert again.influence is not None
    assert torch.equal(first.influence, again.influence)
    assert not torch.equal(first.influence, second.influence)


@dataclass(frozen=True)
class Traced(Estimator):
    """A trace made by a function."""

    make: Callable[[Problem], object]

    def estimate(self, problem: Problem) -> Estimate:
        raise AssertionError("a trace is asked for instead")

    def trace(self, problem: Problem, steps: Sequence[int]) -> Iterable[Estimate]:
        return self.make(problem)  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda problem: [Estimate(zeros(problem))] * 2, "traced 2 of 3 steps"),
        (lambda problem: (Estimate(zeros(problem)) for _ in range(2)), "traced 2 of 3 steps"),
        (lambda problem: [Estimate(zeros(problem))] * 4, "traced more than the 3 steps that it was asked for"),
        (
            lambda problem: (Estimate(zeros(problem)) for _ in count()),
            "traced more than the 3 steps that it was asked for",
        ),
        (lambda problem: Estimate(zeros(problem)), "trace returned Estimate, expected an Estimate for each step"),
        (lambda problem: [zeros(problem)] * 3, "returned a Tensor, expected influbench.Estimate"),
    ],
)
def test_a_trace_of_another_length_is_an_error(make: Callable[[Problem], object], sentence: str) -> None:
    with pytest.raises(EstimateError) as caught:
        estimated(Traced(make), problem(), who="it", steps=STEPS)
    assert str(caught.value) == sentence


def test_a_trace_is_taken_within_the_isolation(capsys: pytest.CaptureFixture[str]) -> None:
    def make(problem: Problem) -> Iterator[Estimate]:
        for _ in STEPS:
            sys.stdout.write("a step")
            yield Estimate(torch.rand(zeros(problem).shape))
        torch.set_num_threads(torch.get_num_threads() + 1)

    before, n_threads = torch.get_rng_state(), torch.get_num_threads()
    first = estimated(Traced(make), problem(), who="Traced", steps=STEPS)
    torch.rand(3)
    again = estimated(Traced(make), problem(), who="Traced", steps=STEPS)
    torch.set_rng_state(before)
    assert torch.get_num_threads() == n_threads
    assert capsys.readouterr().out == ""
    for one, other in zip(first, again, strict=True):
        assert torch.equal(one.influence, other.influence)  # type: ignore[arg-type]
        (note,) = one.notes
        assert note.startswith("changed the number of threads")


def test_a_trace_that_writes_into_the_data_is_an_error() -> None:
    def make(problem: Problem) -> Iterator[Estimate]:
        for _ in STEPS:
            problem.data.train.inputs.add_(1)
            yield Estimate(zeros(problem))

    of = trainer()
    before = of.data.train.inputs.clone()
    with pytest.raises(EstimateError, match=r"^wrote into the data it was given; work on a copy$"):
        estimated(Traced(make), problem(of), who="it", steps=STEPS)
    assert torch.equal(of.data.train.inputs, before)
