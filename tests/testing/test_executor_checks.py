"""The contract suite of executors finds what is wrong, and lets what is right pass."""

import pickle
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

from influbench.api import Executor
from influbench.errors import InflubenchError
from influbench.executors.retries import is_final
from influbench.results import CheckOutcome
from influbench.testing import executor_checks


@dataclass(frozen=True)
class Good(Executor):
    """This process with one thread, and three attempts for each piece."""

    def capacity(self) -> int:
        return 1

    def run(self, function: Any, shared: Any, items: Sequence[str]) -> Iterator[tuple[str, Any]]:
        for item in items:
            yield item, self.tried(function, shared, item)

    def tried(self, function: Any, shared: Any, item: str) -> Any:
        threads = torch.get_num_threads()
        attempts = 1
        while True:
            try:
                torch.set_num_threads(1)
                return function(shared, item)
            except Exception as error:
                if is_final(error, attempts):
                    raise
                attempts += 1
            finally:
                torch.set_num_threads(threads)


@dataclass(frozen=True)
class Faulty(Good):
    """Has one fault."""

    fault: str = ""
    closed: list[bool] = field(default_factory=list)

    def capacity(self) -> int:
        return {"none": 0, "a half": 0.5, "yes": True}.get(self.fault, 1)  # type: ignore[return-value]

    def run(self, function: Any, shared: Any, items: Sequence[str]) -> Iterator[tuple[str, Any]]:
        if self.fault == "empty":
            items[0]
        if self.fault == "prints":
            print("working")  # noqa: T201
        if self.fault == "settings":
            torch.set_default_dtype(torch.float64)
        if self.fault == "pickle":
            shared = pickle.loads(pickle.dumps(shared))
        if self.fault == "together":
            with ThreadPoolExecutor(2) as pool:
                yield from zip(items, pool.map(lambda item: self.tried(function, shared, item), items), strict=True)
            return
        kept = items[:-1] if self.fault == "loses" else items
        results = [(item, self.tried(function, shared, item)) for item in kept]
        if self.fault == "repeats":
            results += results[:1]
        if self.fault == "mixes" and len(results) > 1:
            results = list(zip(items, [result for _, result in results[::-1]], strict=True))
        yield from results

    def tried(self, function: Any, shared: Any, item: str) -> Any:
        if self.fault == "threads":
            torch.set_num_threads(2)
            return function(shared, item)
        try:
            result = function(shared, item) if self.fault == "once" else super().tried(function, shared, item)
        except InflubenchError as error:
            if self.fault == "wraps":
                raise RuntimeError(str(error)) from error
            if self.fault == "insists":
                super().tried(function, shared, item)
            raise
        except Exception as error:
            if self.fault == "silent":
                raise RuntimeError("a piece failed") from error
            raise
        return in_float16(result) if self.fault == "rounds" else result

    def close(self) -> None:
        if self.fault == "close" and self.closed:
            raise RuntimeError("closed already")
        self.closed.append(True)


def in_float16(value: Any) -> Any:
    """A result with the tensors of a piece rounded: a mapping of them, and the seconds that it took."""
    if isinstance(value, tuple) and isinstance(value[0], dict):
        return {name: rounded(tensor) for name, tensor in value[0].items()}, value[1]
    return value


def rounded(tensor: Tensor) -> Tensor:
    return tensor.to(torch.float16).to(tensor.dtype)


def outcome(executor: Executor, name: str) -> CheckOutcome:
    (found,) = (check.outcome() for check in executor_checks(executor) if str(check) == name)
    return found


def test_a_good_executor_passes() -> None:
    assert [check.outcome().status for check in executor_checks(Good())] == ["passed"] * 12


@pytest.mark.parametrize(
    ("fault", "check"),
    [
        ("none", "capacity"),
        ("a half", "capacity"),
        ("yes", "capacity"),
        ("loses", "items"),
        ("repeats", "items"),
        ("mixes", "items"),
        ("empty", "nothing"),
        ("pickle", "objects"),
        ("threads", "threads"),
        ("together", "apart"),
        ("wraps", "own errors"),
        ("insists", "own errors"),
        ("silent", "other errors"),
        ("once", "retries"),
        ("rounds", "bytes"),
        ("prints", "process"),
        ("settings", "process"),
        ("close", "close"),
    ],
)
def test_each_fault_of_an_executor_is_found(fault: str, check: str) -> None:
    assert outcome(Faulty(fault), check).status == "failed"


def test_one_fault_fails_one_check() -> None:
    found = {str(check): check.outcome().status for check in executor_checks(Faulty("wraps"))}
    assert [name for name, status in found.items() if status != "passed"] == ["own errors"]


def test_an_exemption_of_an_executor_is_reported_with_its_reason() -> None:
    @dataclass(frozen=True)
    class Once(Faulty):
        exempt: ClassVar[dict[str, str]] = {"retries": "a batch system has its own"}  # type: ignore[misc]
        fault: str = "once"

    found = outcome(Once(), "retries")
    assert found.status == "exempt"
    assert found.detail.startswith("a batch system has its own")
