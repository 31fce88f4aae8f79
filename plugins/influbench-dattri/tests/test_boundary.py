"""Dattri's side effects do not reach its caller."""

import random
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from influbench.registry import installed, parse_selector
from influbench.testing import small_problem
from oracles import estimate

from influbench_dattri import boundary

SELECTORS = [
    "dattri_if_explicit",
    "dattri_if_cg",
    "dattri_if_arnoldi[max_iterations=10]",
    "dattri_if_lissa[depth=3]",
    "dattri_tracin",
    "dattri_trak[n_projected=8]",
    "dattri_rps",
]


def refusal(selector: str) -> str | None:
    return installed().create("estimator", parse_selector(selector)).unsupported(small_problem())


def test_dattri_is_imported_when_it_runs() -> None:
    """Registering imports nothing heavy, and neither does `unsupported`."""
    code = (
        "import sys, influbench_dattri\n"
        "print(len(influbench_dattri.influbench_estimators()), 'torch' in sys.modules)\n"
        "from influbench.registry import installed, parse_selector\n"
        "from influbench.testing import small_problem\n"
        f"for selector in {SELECTORS}:\n"
        "    assert installed().create('estimator', parse_selector(selector)).unsupported(small_problem()) is None\n"
        "print('dattri' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "7 False\nFalse\n"


@pytest.mark.parametrize("selector", SELECTORS)
def test_a_missing_or_unknown_dattri_is_a_reason(selector, monkeypatch) -> None:
    def missing(_):
        raise PackageNotFoundError

    monkeypatch.setattr(boundary, "version", missing)
    assert refusal(selector) == "dattri is not installed: pip install 'dattri>=0.3,<0.4'"
    monkeypatch.setattr(boundary, "version", lambda _: "0.4.1")
    assert refusal(selector) == ("dattri 0.4.1 is installed, but version 0.3 is needed: pip install 'dattri>=0.3,<0.4'")
    monkeypatch.setattr(boundary, "version", lambda _: "0.3.7")
    assert refusal(selector) is None


def test_other_devices_are_a_reason() -> None:
    on_gpu = SimpleNamespace(device=torch.device("cuda", 0))
    assert boundary.out_of_reach(on_gpu) == "dattri is tested on the CPU only, but the problem is on cuda:0"


@pytest.mark.parametrize("selector", SELECTORS)
def test_nothing_is_printed_and_no_random_number_is_drawn(selector, capfd) -> None:
    with torch.no_grad():
        before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
        estimate(selector, small_problem())
        after = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
        assert not torch.is_grad_enabled()
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]
    assert torch.get_default_dtype() is torch.float32
    printed = capfd.readouterr()
    assert (printed.out, printed.err) == ("", "")


def test_settings_are_put_back_after_an_error() -> None:
    from dattri.algorithm import base

    bar, seen = base.tqdm, []

    def fails() -> None:
        with boundary.dattri_runs(small_problem(), torch.float64):
            seen.append((base.tqdm, torch.get_default_dtype()))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert seen[0][0] is not bar
    assert seen[0][1] is torch.float64
    assert base.tqdm is bar
    assert torch.get_default_dtype() is torch.float32


def test_dattri_has_copies_of_its_own() -> None:
    problem = small_problem()
    parameters = {name: p[0] for name, p in problem.train(replicates=[0]).parameters().items()}
    given = boundary.handover(problem, [parameters], torch.float64)
    theirs = [given.train.inputs, given.train.labels, given.test.inputs, given.test.labels, *given.module.parameters()]
    ours = [problem.data.train.inputs, problem.data.train.labels, problem.data.test.inputs, *parameters.values()]
    assert not {tensor.data_ptr() for tensor in theirs} & {tensor.data_ptr() for tensor in ours}
