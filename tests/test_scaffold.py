"""`influbench new`: packages that work as they are written."""

import json
from pathlib import Path

import pytest

from influbench.errors import UsageError
from influbench.registry import Kind, installed
from influbench.scaffold import WITH_TEMPLATES, write_package
from tests.fresh_environment import Run, fresh_environment, install

ROOT = Path(__file__).parents[1]


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
        ("9lives", "'9lives' cannot be a name; use lowercase letters, digits and _, and begin with a letter"),
        ("Mine", "'Mine' cannot be a name"),
        ("a b", "'a b' cannot be a name"),
        ("../up", "'../up' cannot be a name"),
        ("class", "'class' cannot be a name"),
        ("tracin", r"estimator 'tracin' is already registered by influbench 0\..*; choose another name"),
    ],
)
def test_a_name_that_cannot_be_is_one_sentence(name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message):
        write_package("estimator", name, into=tmp_path, registry=installed())
    assert not list(tmp_path.glob("influbench-*"))


def test_nothing_is_written_over(tmp_path: Path) -> None:
    write_package("model", "mine", into=tmp_path, registry=installed())
    with pytest.raises(UsageError, match="influbench-mine exists; choose another name, or another folder with --into"):
        write_package("model", "mine", into=tmp_path, registry=installed())


@pytest.fixture
def fresh(tmp_path: Path, own_cache: Path) -> Run:
    return fresh_environment(tmp_path, own_cache)


@pytest.mark.timeout(600)
def test_a_new_estimator_is_installed_checked_and_found_in_the_report(fresh: Run, tmp_path: Path) -> None:
    assert "holds the estimator mine" in fresh("-m", "influbench", "new", "estimator", "mine")
    folder = tmp_path / "influbench-mine"
    install(fresh, folder)
    assert "passed" in fresh("-m", "pytest", folder, "-p", "no:cacheprovider")
    plugins = json.loads(fresh("-m", "influbench", "plugins", "--json"))["plugins"]
    assert {"influbench-mine": ["mine"]}.items() <= {one["distribution"]: one["estimators"] for one in plugins}.items()
    assert "Keeps the contract" in fresh("-m", "influbench", "check", "mine")
    report = fresh("-m", "influbench", "run", "digits", "-e", "mine", "-e", "random", "--seeds", 2, "-o", "out")
    (result,) = json.loads(fresh("-m", "influbench", "report", "out", "--json"))["results"]
    assert {cell["name"]: cell["status"] for cell in result["cells"]} == {"mine": "ok", "random": "ok"}
    assert any(line.split()[:1] == ["mine"] for line in report.splitlines()), report
    assert "mine" not in installed().names("estimator")
