"""Traker is imported when it is needed, in tested versions, and its side effects are removed."""

import logging
import subprocess
import sys
import tempfile
import tomllib
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
import torch
from influbench.testing import blobs, small_problem
from torch import nn

from influbench_trak import peer
from influbench_trak.estimator import Traker

SMALL = Traker(n_projected=8)


def test_a_missing_traker_is_reported_in_a_sentence(monkeypatch):
    def missing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(peer, "version", missing)
    assert SMALL.unsupported(small_problem()) == "traker is not installed; pip install 'traker>=0.3.2,<0.4'"


@pytest.mark.parametrize("version", ["0.2.0", "0.3.1", "0.4", "1.3.2"])
def test_other_versions_are_refused(version, monkeypatch):
    monkeypatch.setattr(peer, "version", lambda _name: version)
    assert SMALL.unsupported(small_problem()) == (
        f"traker {version} is installed, which is untested; pip install 'traker>=0.3.2,<0.4'"
    )


@pytest.mark.parametrize("version", ["0.3.2", "0.3.10"])
def test_later_fixes_are_accepted(version, monkeypatch):
    monkeypatch.setattr(peer, "version", lambda _name: version)
    assert SMALL.unsupported(small_problem()) is None


def test_the_sentence_names_the_versions_that_the_package_requires():
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    assert peer.SUPPORTED in project["dependencies"]


def test_listing_estimators_imports_neither_traker_nor_torch():
    code = (
        "import sys, influbench_trak\n"
        "assert len(influbench_trak.influbench_estimators()) == 1\n"
        "assert not {'trak', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_creating_the_estimator_does_not_import_traker():
    code = "import sys, influbench_trak.estimator as e\ne.Traker()\nassert 'trak' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_nothing_is_left_behind(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    root, problem = logging.getLogger(), small_problem()
    monkeypatch.setattr(root, "handlers", [])  # without any, traker adds one
    level = logging.getLogger("TRAK").level
    SMALL.estimate(problem)
    assert root.handlers == []
    assert logging.getLogger("TRAK").level == level
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


# Behavior of traker that the adapter depends on.

DATA = blobs()


def make(folder, seed, **options):
    """A TRAKer with a linear module, and the parameters of the module."""
    from trak import TRAKer
    from trak.projectors import BasicProjector

    torch.manual_seed(seed)
    module = nn.Linear(5, 3)
    signs = BasicProjector(grad_dim=18, proj_dim=4, seed=0, proj_type="rademacher", device="cpu")
    settings = {"save_dir": folder, "device": "cpu", "use_half_precision": False, "logging_level": 100, **options}
    return TRAKer(module, "image_classification", len(DATA.train), projector=signs, **settings), module.state_dict()


def featurized(folder, seed):
    traker, state = make(folder, seed)
    traker.load_checkpoint(state, model_id=0)
    traker.featurize((DATA.train.inputs, DATA.train.labels), num_samples=len(DATA.train))
    return traker, state


def features(traker):
    return torch.tensor(traker.saver.current_store["grads"])


def test_a_folder_that_is_not_empty_gives_the_features_of_another_network(tmp_path):
    fresh, _ = featurized(tmp_path / "fresh", seed=2)
    used, _ = featurized(tmp_path / "used", seed=1)
    again, _ = featurized(tmp_path / "used", seed=2)
    assert torch.equal(features(again), features(used))
    assert not torch.allclose(features(again), features(fresh))


def test_without_loading_from_the_folder_nothing_can_be_scored(tmp_path):
    traker, state = make(tmp_path, 0, load_from_save_dir=False)
    traker.load_checkpoint(state, model_id=0)
    with pytest.raises(FileNotFoundError, match=r"experiments\.json"):
        traker.start_scoring_checkpoint("any", state, model_id=0, num_targets=1)


def test_a_projector_of_one_block_forgets_its_signs_when_features_are_finalized(tmp_path):
    traker, state = featurized(tmp_path, seed=0)
    traker.finalize_features()
    traker.start_scoring_checkpoint("any", state, model_id=0, num_targets=len(DATA.test))
    with pytest.raises(AttributeError, match="proj_matrix"):
        traker.score((DATA.test.inputs, DATA.test.labels), num_samples=len(DATA.test))


def test_traker_itself_inverts_what_has_no_inverse(tmp_path):
    """Three classes of one example each: their margins' gradients span fewer directions than four."""
    from trak import TRAKer
    from trak.projectors import BasicProjector

    torch.manual_seed(0)
    module, inputs, labels = nn.Linear(5, 3), DATA.train.inputs[:3], DATA.train.labels[:3]
    signs = BasicProjector(grad_dim=18, proj_dim=4, seed=0, proj_type="rademacher", device="cpu")
    settings = {"save_dir": tmp_path, "device": "cpu", "use_half_precision": False, "logging_level": 100}
    traker = TRAKer(module, "image_classification", 3, projector=signs, **settings)
    traker.load_checkpoint(module.state_dict(), model_id=0)
    traker.featurize((inputs, labels), num_samples=3)
    traker.finalize_features()
    assert torch.tensor(traker.saver.current_store["features"]).isfinite().all()
