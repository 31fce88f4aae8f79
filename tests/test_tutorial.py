"""The tutorial's code runs step by step, and what the page says of it is so."""

import json
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

import influbench
from influbench.api import Data, Model, Recipe
from influbench.cli import main
from influbench.registry import installed, parse_selector
from influbench.results import Result
from influbench.store.run_directory import read_result
from influbench.testing import estimator_checks, small_problem
from tests.report.test_terminal import printed
from tests.test_docs import PLAN

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "tutorial" / "your-own-estimator.md").read_text()
RESULTS = ROOT / "benchmarks" / "results" / "tutorial"
FOLDERS = ("noise", "errors", "gradients", "curvature", "memorization")
WIDTH = 100


def blocks(language: str) -> list[str]:
    fenced = re.findall(r"^```(\w*)\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE)
    return [text for of_language, text in fenced if of_language == language]


def python(begins: str) -> str:
    (block,) = (block for block in blocks("python") if block.startswith(begins))
    return block


def grown() -> list[str]:
    """`mine.py` after each block that changes it: begun, its class replaced, added to, its last line replaced."""
    files: list[str] = []
    for block in blocks("python"):
        if block.startswith('"""'):
            files.append(block)
        elif block.startswith("from influbench.seeds"):
            files.append(files[-1].partition("\n\n\n@dataclass")[0] + f"\n{block}")
        elif block.startswith(("def ", "@dataclass")):
            files.append(f"{files[-1]}\n\n{block}")
        elif block.startswith("    "):
            files.append(files[-1].rstrip().rpartition("\n")[0] + f"\n{block}")
    return files


BY_ROW, NOISE, ERRORS, GRADIENTS, CURVATURE, WHOLE = grown()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The reader's own, with the file as it is in the end, and a plan that takes no time."""
    here = tmp_path / "folder"
    here.mkdir()
    (here / "mine.py").write_text(WHOLE)
    (here / "small.toml").write_text(PLAN.replace("epochs = 2", "epochs = 6"))
    monkeypatch.chdir(here)
    monkeypatch.syspath_prepend(here)
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    return here


def failing(source: str, name: str) -> dict[str, str]:
    """What `influbench check` says on the checks that a class of this file does not pass."""
    Path("mine.py").write_text(source)
    outcomes = [check.outcome() for check in estimator_checks(f"./mine.py:{name}")]
    return {outcome.name: outcome.detail for outcome in outcomes if outcome.status not in ("passed", "not applicable")}


def type_and_message(*words: str) -> str:
    return CliRunner().invoke(main, words).output


def test_the_page_grows_the_file_in_the_repository() -> None:
    assert (ROOT / "benchmarks" / "tutorial" / "mine.py").read_text() == WHOLE


def test_noise_by_row_fails_the_checks_that_the_page_shows(folder: Path) -> None:
    assert {*failing(BY_ROW, "Noise")} == {"permutation", "columns", "process"}
    checked = type_and_message("check", "./mine.py:Noise").splitlines()
    (shown,) = (block for block in blocks("") if "  permutation  " in block)
    assert {line for line in shown.splitlines() if line != "..."} <= {line.rstrip() for line in checked}


@pytest.mark.parametrize(
    ("source", "name"),
    [(NOISE, "Noise"), (ERRORS, "Errors"), (GRADIENTS, "Gradients"), (CURVATURE, "LastLayer"), (WHOLE, "LastLayer")],
)
def test_each_step_keeps_the_contract(source: str, name: str, folder: Path) -> None:
    assert failing(source, name) == {}


def test_what_the_page_warns_of_is_found_by_the_checks(folder: Path) -> None:
    assert {*failing(ERRORS.replace("influence=-(", "influence=("), "Errors")} == {"sign"}
    undeclared = failing(ERRORS.replace("    scores_duplicates_alike = True\n\n", ""), "Errors")
    assert {*undeclared} == {"duplicates"}
    assert f'"{undeclared["duplicates"]}"' in " ".join(PAGE.split())


def test_a_damping_that_cannot_be_is_the_sentence_of_the_page(folder: Path) -> None:
    said = type_and_message("run", "digits", "-e", "./mine.py:LastLayer[damping=-1]")
    assert f"$ influbench run digits -e './mine.py:LastLayer[damping=-1]'\n{said}" in PAGE
    with pytest.raises(ValueError, match="above 0"):
        classes(WHOLE)["LastLayer"](damping=float("nan"))


@dataclass(frozen=True)
class EndsInRelu(Model):
    @property
    def recipe(self) -> Recipe:
        return Recipe(epochs=1)

    def build(self, data: Data) -> torch.nn.Module:
        return torch.nn.Sequential(torch.nn.Linear(5, 3), torch.nn.ReLU())


def test_a_network_without_a_linear_last_layer_is_refused() -> None:
    for name in ("Gradients", "LastLayer"):
        reason = classes(WHOLE)[name]().unsupported(small_problem(model=EndsInRelu()))
        assert reason == "needs a network that ends in a linear layer, this one ends in ReLU"


def classes(source: str) -> dict[str, Callable]:
    names: dict[str, Callable] = {"__name__": "mine"}  # type: ignore[dict-item]
    exec(source, names)
    return names


@pytest.mark.parametrize(("source", "is_right"), [(WHOLE, True), (WHOLE.replace("(solved @", "(features @"), False)])
def test_the_readers_test_tells_the_curvature_from_none(source: str, is_right: bool, folder: Path) -> None:
    (folder / "mine.py").write_text(source)
    names = classes(python("import torch\nfrom influbench.testing"))
    if is_right:
        names["test_it_is_close_to_leave_one_out_of_least_squares"]()
    else:
        with pytest.raises(AssertionError):
            names["test_it_is_close_to_leave_one_out_of_least_squares"]()


def test_the_notebook_of_the_page_runs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = classes(python("import influbench\n").replace('"digits"', '"small.toml"'))
    result = names["result"]
    assert isinstance(result, influbench.Result)
    assert {cell.estimator for cell in result.cells} == {"LastLayer", "LastLayer[damping=0.1]", "grad_dot"}
    printed_pairs = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert sorted(printed_pairs) == ["influence"] * 3 + ["memorization"] + ["within_class"] * 3


def test_the_package_of_the_page_is_found_and_keeps_the_contract(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "test_mine.py").write_text(python("import torch\nfrom influbench.testing"))
    (commands,) = (block for block in blocks("console") if "influbench new" in block)
    new, copy, adapt, install, _, check, run = (line.removeprefix("$ ") for line in commands.splitlines())
    type_and_message(*shlex.split(new)[1:])
    subprocess.run(f"{copy} && {adapt}", shell=True, check=True)
    assert "influbench-last-layer[test]" in install
    package = folder / "influbench-last-layer"
    info = package / "influbench_last_layer-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: influbench-last-layer\nVersion: 0.1.0\n")
    points = tomllib.loads((package / "pyproject.toml").read_text())["project"]["entry-points"]["influbench"]
    (info / "entry_points.txt").write_text("[influbench]\n" + "".join(f"{a} = {b}\n" for a, b in points.items()))
    monkeypatch.syspath_prepend(package)
    installed.cache_clear()
    try:
        assert "Keeps the contract" in type_and_message(*shlex.split(check)[1:])
        ran = type_and_message(*shlex.split(run.replace(" digits ", " small.toml "))[1:], "--json", "-o", "out")
        names = classes((package / "tests" / "test_estimator.py").read_text())
    finally:
        installed.cache_clear()
    names["test_it_is_close_to_leave_one_out_of_least_squares"]()
    assert names["LastLayer"].__module__ == "influbench_last_layer.estimator"
    (result,) = json.loads(ran)["results"]
    cells = {(cell["name"], cell["status"]) for cell in result["cells"]}
    assert cells == {("last_layer", "ok"), ("grad_dot", "ok"), ("tracin", "ok")}


def stored(folder: str) -> Result:
    (result,) = read_result(RESULTS / folder).results
    return result


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_page_quotes_the_report_of_the_stored_run(folder: str) -> None:
    report = printed(stored(folder), WIDTH)
    tables = [block.rstrip("\n") for block in blocks("") if "Who predicts it?" in block]
    assert len(tables) == len(FOLDERS)
    assert tables[FOLDERS.index(folder)] in report
    command = json.loads((RESULTS / folder / "environment.json").read_text())["command"]
    shown = [shlex.split(line) for line in PAGE.replace("\\\n", "").splitlines() if line.startswith("$ influbench run")]
    assert ["$", *command.split()] in shown
    plan = tomllib.loads((RESULTS / folder / "plan.toml").read_text())
    assert plan["estimators"] == re.findall(r"-e (\S+)", command)


def letters(folder: str, name: str) -> tuple[set[str], set[str]]:
    """In captured effect and within class."""
    (cell,) = (cell for cell in stored(folder).cells if cell.name == name)
    captured, within = (cell.columns[key].letters for key in ("captured", "within_class"))
    assert captured
    assert within
    return {*captured}, {*within}


def test_what_the_page_reads_from_the_letters_is_there() -> None:
    for worse, better, folder in (
        ("./mine.py:Noise", "grad_dot", "noise"),
        ("./mine.py:Noise", "./mine.py:Errors", "errors"),
    ):
        for first, second in zip(letters(folder, worse), letters(folder, better), strict=True):
            assert not first & second
    assert not letters("errors", "./mine.py:Errors")[1] & letters("errors", "grad_dot")[1]
    errors, gradients = letters("gradients", "./mine.py:Errors"), letters("gradients", "./mine.py:Gradients")
    assert errors[1] & gradients[1] == {"b"}
    for other in ("grad_dot", "tracin"):
        every_column = ("captured", "within_class", "weighted")
        assert_clearly_better("./mine.py:LastLayer", other, stored("curvature"), every_column)
    own = {cell.name: cell.columns.get("memorization") for cell in stored("memorization").cells}
    mine, loss = own["./mine.py:LastLayer"], own["train_loss"]
    assert mine is not None
    assert loss is not None
    assert mine.letters == loss.letters is not None


def test_the_default_damping_is_that_of_the_influence_function() -> None:
    theirs = installed().create("estimator", parse_selector("influence_function"))
    assert classes(WHOLE)["LastLayer"]().damping == theirs.damping  # type: ignore[attr-defined]


def assert_clearly_better(
    name: str, other: str, result: Result, columns: Sequence[str] = ("captured", "within_class")
) -> None:
    for column in columns:
        (pair,) = (
            pair for pair in result.comparisons if pair.column == column and {pair.first, pair.second} == {name, other}
        )
        assert pair.is_clear
        assert pair.difference.value is not None
        assert (pair.difference.value > 0) == (pair.first == name)


def test_on_the_plan_each_step_is_where_the_page_has_it(folder: Path) -> None:
    """With three of the eight seeds, to be quick."""
    steps = [f"./mine.py:{name}" for name in ("Noise", "Errors", "Gradients", "LastLayer")]
    run = influbench.run("digits", estimators=[*steps, "grad_dot"], seeds=3, directory="out", quiet=True)
    (result,) = run.problems
    for worse in (*steps[:-1], "grad_dot"):
        assert_clearly_better("./mine.py:LastLayer", worse, result)
    for better in (*steps[1:], "grad_dot"):
        assert_clearly_better(better, "./mine.py:Noise", result)
    (own,) = (cell for cell in result.cells if "memorization" in cell.columns)
    assert own.name == "./mine.py:LastLayer"
    of_ceiling = own.columns["memorization"].of_ceiling.value
    assert of_ceiling is not None
    assert of_ceiling > 0.9
