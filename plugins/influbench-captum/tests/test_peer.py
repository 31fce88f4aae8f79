"""Captum is imported when it is needed, in tested versions."""

import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
from influbench.testing import small_problem

from influbench_captum import peer
from influbench_captum.arnoldi import CaptumArnoldi
from influbench_captum.tracincp import CaptumTracInCP

ESTIMATORS = [CaptumTracInCP(), CaptumArnoldi()]


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=repr)
def test_a_missing_captum_is_reported_in_a_sentence(estimator, monkeypatch):
    def missing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(peer, "version", missing)
    assert estimator.unsupported(small_problem()) == "captum is not installed; pip install 'captum>=0.8,<0.10'"


@pytest.mark.parametrize("version", ["0.7.0", "0.10.0", "1.9"])
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=repr)
def test_other_versions_are_refused(estimator, version, monkeypatch):
    monkeypatch.setattr(peer, "version", lambda _name: version)
    assert estimator.unsupported(small_problem()) == (
        f"captum {version} is installed, which is untested; pip install 'captum>=0.8,<0.10'"
    )


@pytest.mark.parametrize("version", ["0.8.0", "0.9.1"])
def test_fixes_of_tested_versions_are_accepted(version, monkeypatch):
    monkeypatch.setattr(peer, "version", lambda _name: version)
    assert CaptumArnoldi().unsupported(small_problem()) is None


def test_the_sentence_names_the_versions_that_the_package_requires():
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    assert peer.SUPPORTED in project["dependencies"]


def test_listing_estimators_imports_neither_captum_nor_torch():
    code = (
        "import sys, influbench_captum\n"
        "assert len(influbench_captum.influbench_estimators()) == 2\n"
        "assert not {'captum', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_creating_estimators_does_not_import_captum():
    code = (
        "import sys, influbench_captum.arnoldi as a, influbench_captum.tracincp as t\n"
        "a.CaptumArnoldi(), t.CaptumTracInCP()\n"
        "assert 'captum' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
