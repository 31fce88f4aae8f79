"""The command line as users have it, with plugins that are really installed."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from influbench.cli import main
from influbench.registry import installed

Influbench = Callable[..., Result]

QUICK = """
estimators = ["random", "same_label"]
[problem]
dataset = "digits[n_train=70,n_test=20]"
model = "mlp[hidden=[8]]"
[training]
epochs = 2
[truth]
seeds = 2
"""


@pytest.fixture
def quick_plan(tmp_path: Path) -> Path:
    path = tmp_path / "quick.toml"
    path.write_text(QUICK)
    return path


@pytest.fixture
def strangers(tmp_path: Path) -> Path:
    """A folder that holds an installed distribution of the plugins in tests/plugins.py, and a broken one."""
    site = tmp_path / "site"
    for name, module, source in (
        ("strangers", "strangers_plugin", _REGISTERING),
        ("broken-ones", "broken_ones", "import nothing_of_the_kind"),
    ):
        info = site / f"{name.replace('-', '_')}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[influbench]\n{name} = {module}\n")
        (site / f"{module}.py").write_text(source)
    return site


_REGISTERING = """
from influbench import Spec, hookimpl

@hookimpl
def influbench_estimators():
    return [Spec(name.lower(), f"tests.plugins:{name}", name) for name in ("Raises", "Transposed")]

@hookimpl
def influbench_datasets():
    return [Spec("not_finite", "tests.plugins:NotFinite", "")]
"""


@pytest.fixture
def influbench(tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Influbench]:
    """Calls the command line in a folder of its own; `path` is where further distributions are installed."""
    monkeypatch.chdir(tmp_path)

    def call(*words: object, path: Path | None = None, columns: int = 80) -> Result:
        if path:
            monkeypatch.syspath_prepend(path)
        installed.cache_clear()
        return CliRunner().invoke(main, list(map(str, words)), env={"COLUMNS": str(columns)}, prog_name="influbench")

    yield call
    installed.cache_clear()
