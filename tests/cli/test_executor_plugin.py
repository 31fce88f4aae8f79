"""An executor that another package brings is listed, shown, checked and used like the built-in ones."""

import json
import re
from pathlib import Path

import pytest
import torch

from influbench.store.cache import Cache
from influbench.testing import executor_checks
from tests.cli.conftest import Influbench

HOOKS = """
from influbench import Spec, hookimpl

@hookimpl
def influbench_executors():
    return [Spec("pool", "tests.pool:Pool", "a pool of Python's own processes")]
"""


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    """A folder that holds an installed distribution with the executor in tests/pool.py."""
    site = tmp_path / "site"
    info = site / "influbench_pool-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "influbench_pool.py").write_text(HOOKS)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: influbench-pool\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[influbench]\npool = influbench_pool\n")
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


def test_it_is_listed_and_shown(influbench: Influbench, pool: Path) -> None:
    listed = json.loads(influbench("list", "--json", path=pool).stdout)["executors"]
    assert {"name": "pool", "summary": "a pool of Python's own processes", "distribution": "influbench-pool"} in listed
    assert {"here", "processes", "dask"} <= {one["name"] for one in listed}
    assert "pool" in influbench("list", path=pool).stdout
    shown = influbench("show", "executor", "pool").stdout
    assert "executor of influbench-pool 1.0" in shown
    assert re.search(r"n_workers +int +2\n", shown)
    assert "n_workers" in influbench("show", "processes").stdout


def test_a_run_and_a_study_use_it_and_find_the_same(
    influbench: Influbench, pool: Path, quick_plan: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Room for one network at a time: the width of a stack is timed, and could change rounding.
    words = ("--memory", "60KB", "-q")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        assert influbench("run", quick_plan, *words, "-o", "here").exit_code == 0
    finally:
        torch.set_num_threads(threads)
    monkeypatch.setenv("INFLUBENCH_CACHE", "elsewhere")
    ran = influbench("run", quick_plan, *words, "-x", "pool[n_workers=1]", "-o", "there", path=pool)
    assert (ran.exit_code, ran.stdout) == (0, ""), ran.stderr
    assert len(truths(own_cache)) == 4
    assert truths(Path("elsewhere")) == truths(own_cache)
    one = ("study", "decomposition", quick_plan, "-e", "turn_over_dropout[n_masks=1]", "-x", "pool[n_workers=1]")
    studied = influbench(*one, "--json", path=pool)
    assert studied.exit_code == 0, studied.stderr


def test_it_keeps_the_contract(influbench: Influbench, pool: Path) -> None:
    influbench("list", path=pool)  # so that it is installed
    checks = {str(check): check for check in executor_checks("pool[n_workers=1]")}
    for name in ("nothing", "objects", "own errors", "bytes"):  # each starts a pool, and so does `items` before them
        found = checks[name].outcome()
        assert found.status == "passed", found.detail


def test_the_executor_of_the_docs_is_one_file(
    influbench: Influbench, quick_plan: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "write-an-executor.md").read_text()
    (source,) = re.findall(r"```python\n(# launched\.py\n.*?)```", page, flags=re.DOTALL)
    Path("launched.py").write_text(source)
    words = ("run", quick_plan, "--seeds", 1, "--memory", "60KB", "-q")
    ran = influbench(*words, "-x", "./launched.py:Launched[n_at_once=2]", "-o", "there")
    assert (ran.exit_code, ran.stdout) == (0, ""), ran.stderr
    monkeypatch.setenv("INFLUBENCH_CACHE", "elsewhere")
    assert influbench(*words, "--workers", 1, "-o", "here").exit_code == 0
    assert len(truths(own_cache)) == 2
    assert truths(own_cache) == truths(Path("elsewhere"))
