"""Where a stranger's code runs: nothing of what it does to the process is left, and all of it is told."""

import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
import torch

from influbench.errors import EscapedError, type_and_message
from influbench.isolation import isolated


@pytest.mark.parametrize("seed", [None, 3])
@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda: torch.set_default_device("meta"), "the default device"),
        (lambda: torch.set_default_device("cuda:77"), "the default device"),
        (lambda: torch.set_default_dtype(torch.float64), "the default dtype"),
        (lambda: torch.set_grad_enabled(False), "the gradient mode"),
        (lambda: torch.set_num_threads(torch.get_num_threads() + 1), "the number of threads"),
        (lambda: np.seterr(all="raise"), "numpy's floating-point error handling"),
    ],
)
@pytest.mark.parametrize("fails", [False, True])
def test_settings_are_put_back_and_named(
    seed: int | None, change: Callable[[], object], name: str, fails: bool
) -> None:
    put_back: list[str] = []
    try:
        with isolated(seed) as put_back:
            change()
            assert not fails
    except AssertionError:
        pass
    assert put_back == [name]
    assert torch.zeros(1).add(1).device.type == "cpu"  # the other settings: `nothing_global_changes`


def test_a_device_that_the_user_has_set_stays() -> None:
    try:
        torch.set_default_device("meta")
        with isolated() as put_back:
            torch.set_default_device("cpu")
        assert put_back == ["the default device"]
        assert str(torch.get_default_device()) == "meta"
    finally:
        torch.set_default_device(None)


@pytest.mark.parametrize("error", [SystemExit(3), GeneratorExit("closed"), BaseException()])
def test_what_is_no_exception_is_made_one(error: BaseException) -> None:
    with pytest.raises(EscapedError) as raised, isolated():
        raise error
    assert type_and_message(raised.value) == type_and_message(error)
    assert raised.value.__cause__ is error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), StopIteration(), ValueError("no")])
def test_what_is_one_passes_and_so_does_the_user(error: BaseException) -> None:
    with pytest.raises(type(error)) as raised, isolated():
        raise error
    assert raised.value is error


def test_what_is_printed_goes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    with isolated():
        print("within")  # noqa: T201
    print("after")  # noqa: T201
    assert capsys.readouterr() == ("after\n", "within\n")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (RuntimeError("no luck"), "RuntimeError: no luck"),
        (RuntimeError(), "RuntimeError"),
        (RuntimeError("\n  first \nsecond"), "RuntimeError: first"),
        (KeyError("x" * 1000), f"KeyError: '{'x' * 399}..."),
    ],
)
def test_an_error_is_told_in_a_line(error: Exception, words: str) -> None:
    assert type_and_message(error) == words


def test_torch_is_not_imported_for_it_and_is_as_it_begins_where_a_plugin_imports_it() -> None:
    script = """
import sys
from influbench.isolation import isolated
with isolated():
    pass
assert "torch" not in sys.modules
with isolated() as put_back:
    import numpy
    numpy.seterr(all="raise")
assert put_back == ["numpy's floating-point error handling"], put_back
assert numpy.geterr()["divide"] == "warn" and "torch" not in sys.modules
numpy.seterr(over="ignore")  # by the user
with isolated() as put_back:
    pass
assert put_back == [], put_back
with isolated() as put_back:
    import torch
    numpy.seterr(all="raise")
    torch.set_default_dtype(torch.float64), torch.set_default_device("meta"), torch.set_grad_enabled(False)
settings = ["the default device", "the gradient mode", "the default dtype", "numpy's floating-point error handling"]
assert put_back == settings, put_back
assert numpy.geterr()["over"] == "ignore"
assert torch.zeros(1, requires_grad=True).exp().requires_grad and torch.zeros(1).dtype == torch.float32
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
