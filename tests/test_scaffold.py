"""`influbench new`: packages that work as they are written."""

import json
import os
import subprocess
import sysconfig
import venv
from collections.abc import Callable
from pathlib import Path

import pytest

from influbench.errors import UsageError
from influbench.registry import Kind, installed
from influbench.scaffold import WITH_TEMPLATES, write_package

ROOT = Path(__file__).parents[1]
Run = Callable[..., str]


def files(folder: Path) -> dict[str, str]:
    found = (
        path for path in folder.rglob("*") if path.is_file() and not {"__pycache__", ".pytest_cache"} & {*path.parts}
    )
    return {str(path.relative_to(folder)): path.read_text() for path in found}


@pytest.mark.parametrize("kind", WITH_TEMPLATES)
def test_the_template_in_the_repository_is_what_is_written(kind: Kind, tmp_path: Path) -> None:
    folder = write_package(kind, f"my_{kind}", into=tmp_path, registry=installed())
    assert files(folder) == files(ROOT / "plugins" / "template" / f"influbench-my-{kind}")


@pytest.mark.parametrize("kind", WITH_TEMPLATES)
def test_no_name_of_the_template_is_left(kind: Kind, tmp_path: Path) -> None:
    folder = write_package(kind, "deep-thought_42", into=tmp_path, registry=installed())
    assert folder.name == "influbench-deep-thought-42"
    written = files(folder)
    assert f"influbench_deep_thought_42/{kind}.py" in written
    assert "class DeepThought42(" in written[f"influbench_deep_thought_42/{kind}.py"]
    for place, text in written.items():
        assert "my" not in place
        assert not any(name in text.lower() for name in ("my_", "my-", f"my{kind}")), place


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("9lives", "'9lives' cannot be a name; take small letters, digits and _, and begin with a letter"),
        ("Mine", "'Mine' cannot be a name"),
        ("a b", "'a b' cannot be a name"),
        ("../up", "'../up' cannot be a name"),
        ("class", "'class' cannot be a name"),
        ("tracin", r"estimator 'tracin' is registered by influbench 0\..*; give another name"),
    ],
)
def test_a_name_that_cannot_be_is_one_sentence(name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message):
        write_package("estimator", name, into=tmp_path, registry=installed())
    assert not list(tmp_path.glob("influbench-*"))


def test_nothing_is_written_over(tmp_path: Path) -> None:
    write_package("model", "mine", into=tmp_path, registry=installed())
    with pytest.raises(UsageError, match="influbench-mine exists; give another name, or another folder with --into"):
        write_package("model", "mine", into=tmp_path, registry=installed())


@pytest.fixture
def fresh(tmp_path: Path, own_cache: Path) -> Run:
    """Runs Python modules in a new environment. What this one has installed is seen there, and nothing put into it."""
    environment = tmp_path / "environment"
    venv.create(environment, with_pip=True)
    paths = sysconfig.get_paths(vars={"base": str(environment), "platbase": str(environment)})
    here = sysconfig.get_paths()["purelib"]
    (Path(paths["purelib"]) / "seen.pth").write_text(f"import site; site.addsitedir({here!r})\n")

    def run(*words: object) -> str:
        command = [str(environment / "bin" / "python"), "-m", *map(str, words)]
        ran = subprocess.run(
            command,
            cwd=tmp_path,
            check=False,
            capture_output=True,
            text=True,
            timeout=200,
            env={**os.environ, "INFLUBENCH_CACHE": str(own_cache), "COLUMNS": "140"},
        )
        assert ran.returncode == 0, f"{command}\n{ran.stdout}\n{ran.stderr}"
        return ran.stdout

    return run


@pytest.mark.timeout(600)
def test_a_new_estimator_is_installed_checked_and_found_in_the_report(fresh: Run, tmp_path: Path) -> None:
    assert "holds the estimator mine" in fresh("influbench", "new", "estimator", "mine")
    folder = tmp_path / "influbench-mine"
    fresh("pip", "install", "--quiet", "--no-deps", "--no-index", "--no-build-isolation", folder)
    assert "passed" in fresh("pytest", folder, "-p", "no:cacheprovider")
    plugins = json.loads(fresh("influbench", "plugins", "--json"))["plugins"]
    assert {"influbench-mine": ["mine"]}.items() <= {one["distribution"]: one["estimators"] for one in plugins}.items()
    assert "Keeps the contract" in fresh("influbench", "check", "mine")
    report = fresh("influbench", "run", "digits", "-e", "mine", "-e", "random", "--seeds", 2, "-o", "out")
    assert any(line.split()[:1] == ["mine"] and line.split()[-1] == "ok" for line in report.splitlines()), report
    assert "mine" not in installed().names("estimator")
