"""`influbench.run` takes an executor, resources and a truth file."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

import influbench
from influbench.errors import UsageError
from influbench.executors.here import Here
from influbench.store.truths import Truths

PLAN = {
    "estimators": ["random"],
    "problem": {"dataset": "digits[n_train=20,n_test=5]", "model": "mlp[hidden=[8]]"},
    "training": {"epochs": 2},
    "truth": {"seeds": 2},
}
OF_TRUTH = ["seed-0000/block-00000", "seed-0001/block-00000"]
OF_ACCURACY = ["seed-0000", "seed-0001"]


@dataclass(frozen=True)
class Counting(Here):
    """Notes what it is asked for."""

    pieces: ClassVar[list[str]]
    n_closed: ClassVar[int]

    def run(self, function: Callable[..., Any], shared: Any, items: Sequence[str]) -> Iterator[tuple[str, Any]]:
        Counting.pieces.extend(items)
        return super().run(function, shared, items)

    def close(self) -> None:
        Counting.n_closed += 1


@pytest.fixture(autouse=True)
def nothing_counted() -> None:
    Counting.pieces, Counting.n_closed = [], 0


def run(tmp_path: Path, **arguments: Any) -> influbench.Result:
    return influbench.run(PLAN, directory=tmp_path / "out", quiet=True, **arguments)


def test_an_executor_that_is_given_is_used_and_left_open(tmp_path: Path) -> None:
    run(tmp_path, executor=Counting())
    assert (Counting.pieces, Counting.n_closed) == ([*OF_TRUTH, *OF_ACCURACY], 0)


def test_an_executor_that_is_made_here_is_closed(tmp_path: Path) -> None:
    run(tmp_path, executor=Counting)
    assert (Counting.pieces, Counting.n_closed) == ([*OF_TRUTH, *OF_ACCURACY], 1)


def test_an_executor_may_be_named(tmp_path: Path) -> None:
    assert run(tmp_path, executor="here").cells[0].status == "ok"


def test_resources_hold_the_cache_and_the_executor(tmp_path: Path, own_cache: Path) -> None:
    resources = influbench.Resources(cache=influbench.Cache(str(tmp_path / "elsewhere")), executor=Counting())
    run(tmp_path, resources=resources)
    assert (Counting.pieces, Counting.n_closed) == ([*OF_TRUTH, *OF_ACCURACY], 0)
    assert len(list((tmp_path / "elsewhere").rglob("block-*.safetensors"))) == 2
    assert not list(own_cache.rglob("*.safetensors"))


def test_a_truth_file_is_taken_or_refused(tmp_path: Path, own_cache: Path) -> None:
    run(tmp_path)
    (truth,) = Truths(influbench.Cache(own_cache)).all()
    Truths(influbench.Cache(own_cache)).export(truth, tmp_path / "truth.safetensors")
    elsewhere = influbench.Resources(cache=influbench.Cache(tmp_path / "elsewhere"), executor=Counting())
    run(tmp_path, resources=elsewhere, truth_file=str(tmp_path / "truth.safetensors"))
    assert Counting.pieces == OF_ACCURACY  # a truth file does not hold the accuracy of its networks
    with pytest.raises(UsageError, match="no problem of this plan has that key"):
        run(tmp_path, resources=elsewhere, truth_file=tmp_path / "truth.safetensors", seed=5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"workers": 2, "executor": "here"}, "give workers or executor, not both"),
        ({"resources": influbench.Resources, "workers": 2}, "give resources or workers, not both"),
        ({"resources": influbench.Resources, "executor": "here"}, "give resources or executor, not both"),
        ({"resources": influbench.Resources, "memory": 10**9}, "give resources or memory, not both"),
        ({"resources": influbench.Resources, "device": "cpu"}, "give resources or device, not both"),
        ({"resources": influbench.Resources}, "resources is a type; give an influbench.Resources"),
        ({"executor": "dusk[address=local:1]"}, r"unknown executor 'dusk'; did you mean 'dask'\?"),
        ({"executor": 3}, r"3 is neither a name nor an influbench\.Executor"),
        ({"executor": "dask[address=nowhere]"}, "the Dask address nowhere does not fit; write tcp://HOST:PORT"),
        ({"device": "nonsense"}, "device 'nonsense' cannot be used here"),
    ],
)
def test_what_contradicts_or_does_not_fit_is_one_sentence(
    tmp_path: Path, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        run(tmp_path, **arguments)
    assert not (tmp_path / "out").exists()


def test_the_python_of_the_docs_runs(tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = Path(__file__).parents[1] / "docs" / "how-to" / "write-an-executor.md"
    (block,) = (text for text in page.read_text().split("```") if text.startswith("python\nimport influbench\n"))
    monkeypatch.chdir(tmp_path)
    run(tmp_path)
    (truth,) = Truths(influbench.Cache(own_cache)).all()
    Truths(influbench.Cache(own_cache)).export(truth, Path("digits-truth.safetensors"))
    names = {"plan": PLAN, "place": str(tmp_path / "scratch")}
    exec(block.removeprefix("python\n").replace('"digits"', "plan").replace('"/scratch/influbench"', "place"), names)
    assert len(list((tmp_path / "scratch").rglob("block-*.safetensors"))) == 2
