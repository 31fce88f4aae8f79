"""An executor that another package brings is listed, shown, checked and used like the built-in ones."""

import json
import re
from pathlib import Path

import pytest
import torch

from influbench.store.cache import Cache
from influbench.testing import executor_checks
from tests.cli.conftest import Influbench

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "write-an-executor.md"
HOOKS = """
from influbench import Spec, hookimpl

@hookimpl
def influbench_executors():
    return [Spec("launched", "launched:Launched", "a program for each piece")]
"""


@pytest.fixture
def launched(tmp_path: Path) -> Path:
    """A folder that holds an installed distribution with the executor of the docs."""
    site = tmp_path / "site"
    info = site / "influbench_launched-1.0.dist-info"
    info.mkdir(parents=True)
    (source,) = re.findall(r"```python\n(# launched\.py\n.*?)```", PAGE.read_text(), flags=re.DOTALL)
    (site / "launched.py").write_text(source)
    (site / "influbench_launched.py").write_text(HOOKS)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: influbench-launched\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[influbench]\nlaunched = influbench_launched\n")
    return site


def truths(cache: Path) -> dict[str, bytes]:
    """The tensors of every shard, as bytes; not the notes, which hold times."""
    found = {}
    for path in sorted(cache.rglob("block-*.safetensors")):
        name = str(path.relative_to(cache).with_suffix(""))
        stored = Cache(cache).read(name)
        assert stored is not None
        found[name] = b"".join(values.numpy().tobytes() for _, values in sorted(stored.tensors.items()))
    return found


def test_it_is_listed_and_shown(influbench: Influbench, launched: Path) -> None:
    listed = json.loads(influbench("list", "--json", path=launched).stdout)["executors"]
    ours = {"name": "launched", "summary": "a program for each piece", "distribution": "influbench-launched"}
    assert ours in listed
    assert {"here", "processes", "dask"} <= {one["name"] for one in listed}
    assert "a program for each piece" in influbench("list", path=launched).stdout
    shown = influbench("show", "executor", "launched").stdout
    assert "executor of influbench-launched 1.0" in shown
    assert re.search(r"n_at_once +int +2\n", shown)
    assert "n_workers" in influbench("show", "processes").stdout


@pytest.mark.parametrize("selector", ["launched", "./site/launched.py:Launched[n_at_once=2]"])
def test_a_run_by_its_name_or_its_file_stores_the_same_bytes(
    influbench: Influbench,
    launched: Path,
    quick_plan: Path,
    own_cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    selector: str,
) -> None:
    # Room for one network at a time: the width of a stack is timed, and could change rounding.
    words = ("run", quick_plan, "--seeds", 1, "--memory", "60KB", "-q")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        assert influbench(*words, "-o", "here").exit_code == 0
    finally:
        torch.set_num_threads(threads)
    monkeypatch.setenv("INFLUBENCH_CACHE", "elsewhere")
    ran = influbench(*words, "-x", selector, "-o", "there", path=launched)
    assert (ran.exit_code, ran.stdout) == (0, ""), ran.stderr
    assert len(truths(own_cache)) == 2
    assert truths(Path("elsewhere")) == truths(own_cache)


def test_a_study_uses_it(influbench: Influbench, launched: Path, quick_plan: Path) -> None:
    words = ("study", "decomposition", quick_plan, "--seeds", 1, "-e", "turn_over_dropout[n_masks=1]")
    ran = influbench(*words, "-x", "launched", "--json", path=launched)
    assert ran.exit_code == 0, ran.stderr


def test_it_keeps_the_contract(influbench: Influbench, launched: Path) -> None:
    influbench("list", path=launched)  # so that it is installed
    checks = {str(check): check for check in executor_checks("launched")}
    for name in ("nothing", "own errors", "bytes"):  # a program starts for each piece, and those of what they need
        found = checks[name].outcome()
        assert found.status == "passed", found.detail
