"""What the docs show works, and the figures they quote come from a stored run."""

import json
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from PIL import Image
from rich.console import Console
from torch import nn

from influbench.cli import main
from influbench.errors import ModelError
from influbench.networks.replicas import Replicas
from influbench.plan import parse_plan
from influbench.report.chart import cost_charts
from influbench.report.comparison import print_comparison
from influbench.report.numbers import DASH, decimal, interval, trainings
from influbench.report.trace import trace_tables
from influbench.results import UNKNOWN, Cell, ComparedRuns, Result
from influbench.store.run_directory import read_found, read_result
from influbench.studies.decomposition.record import DecompositionRecord
from influbench.studies.running import print_study
from tests.report.printing import text_of
from tests.report.test_terminal import printed

ROOT = Path(__file__).parents[1]
COLUMNS = ("influence", "within_class", "memorization")
PLAN = """
estimators = ["random"]
[problem]
dataset = "digits[n_train=40,n_test=10]"
model = "mlp[hidden=[8]]"
[training]
epochs = 2
[truth]
seeds = 2
"""


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(), flags=re.DOTALL)


def rendered(draw: Callable[[Console], object]) -> str:
    return text_of(draw, 80).removesuffix("\n")


@pytest.mark.parametrize(
    ("page", "selector"),
    [
        ("README.md", "./mine.py:InputProduct[power=2]"),
        ("docs/how-to/write-an-estimator.md", "./mine.py:FirstOrder[n_runs=1]"),
    ],
)
def test_the_estimators_of_the_docs_run(
    page: str, selector: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(blocks(page, "python")[0])
    Path("plan.toml").write_text(PLAN)
    ran = CliRunner().invoke(main, ["run", "plan.toml", "-e", selector, "-e", "random", "--json", "-o", "out"])
    assert ran.exit_code == 0, ran.output
    (result,) = read_result(tmp_path / "out").results
    assert selector in ran.output
    assert {cell.name: cell.status for cell in result.cells} == {selector: "ok", "random": "ok"}


@pytest.mark.parametrize(
    ("page", "file", "dataset", "model"),
    [
        ("README.md", "net.py", "Rings", "Net"),
        ("docs/how-to/write-a-plugin.md", "mine.py", "Stripes", "Convolutions"),
    ],
)
def test_the_models_and_data_sets_of_the_docs_run_and_keep_the_contract(
    page: str, file: str, dataset: str, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (source,) = (block for block in blocks(page, "python") if block.startswith(f"# {file}\n"))
    Path(file).write_text(source)
    Path("plan.toml").write_text(PLAN)
    words = ["run", "plan.toml", "-d", f"./{file}:{dataset}", "-m", f"./{file}:{model}", "-e", "grad_dot", "-o", "out"]
    ran = CliRunner().invoke(main, words)
    assert ran.exit_code == 0, ran.output
    data_checked = CliRunner().invoke(main, ["check", f"./{file}:{dataset}"])
    assert data_checked.exit_code == 0, data_checked.output
    checked = CliRunner().invoke(main, ["check", f"./{file}:{model}", "--json"])
    assert checked.exit_code == 0, checked.output


def test_the_optimizer_and_the_schedule_of_the_docs_run_and_keep_the_contract(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    page = "docs/how-to/write-a-plugin.md"
    (source,) = (block for block in blocks(page, "python") if block.startswith("# lion.py\n"))
    (training,) = (block for block in blocks(page, "toml") if block.startswith("[training]\n"))
    Path("lion.py").write_text(source)
    Path("plan.toml").write_text(PLAN.replace("[training]\n", training))
    ran = CliRunner().invoke(main, ["run", "plan.toml", "-e", "random", "-o", "out"])
    assert ran.exit_code == 0, ran.output
    differentiated = CliRunner().invoke(main, ["run", "plan.toml", "-e", "metagradient", "-o", "other"])
    assert "the steps of ./lion.py:Lion[beta_1=0.8] do not follow small changes" in differentiated.output
    (result,) = read_result(tmp_path / "out").results
    assert result.problem.recipe["optimizer"] == "./lion.py:Lion[beta_1=0.8]"
    for line in next(block for block in blocks(page, "console") if "lion.py" in block).splitlines():
        _, *words = shlex.split(line.removeprefix("$ "))
        checked = CliRunner().invoke(main, words)
        assert checked.exit_code == 0, checked.output


def test_the_study_of_the_docs_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (source,) = (block for block in blocks("docs/how-to/write-a-plugin.md", "python") if "# helpful.py" in block)
    Path("helpful.py").write_text(source)
    Path("plan.toml").write_text(PLAN + '["./helpful.py:Helpful"]\nthreshold = 1e9\n')
    words = ["study", "./helpful.py:Helpful", "plan.toml", "-o", "out"]
    ran = CliRunner().invoke(main, words)
    assert ran.exit_code == 0, ran.output
    assert ran.stdout == "  digits[n_train=40,n_test=10], mlp[hidden=[8]]: 0 train points help\n\n  Written to out.\n"
    (table,) = (table for name, table in tomllib.loads(Path("out/plan.toml").read_text()).items() if "Helpful" in name)
    assert table == {"threshold": 1e9}


@pytest.mark.parametrize(
    ("layer", "refused"),
    [
        ("nn.BatchNorm1d(4)", ""),
        ("nn.BatchNorm1d(4, track_running_stats=False)", "has no running statistics"),
        ("nn.Dropout(0.1)", ""),
        ("nn.RReLU()", "draws random numbers"),
        ("nn.TransformerEncoderLayer(4, 1)", "draws random numbers"),
        ("nn.LayerNorm(4)", ""),
        ("nn.Dropout(0)", ""),
        ("nn.TransformerEncoderLayer(4, 1, dropout=0)", ""),
        ("nn.GroupNorm(2, 4)", ""),
    ],
)
def test_the_docs_say_which_layers_are_refused(layer: str, refused: str) -> None:
    module = nn.Sequential(nn.Linear(4, 4), eval(layer))
    if not refused:
        Replicas(module)
        return
    with pytest.raises(ModelError, match=refused):
        Replicas(module)
    page = (ROOT / "docs" / "how-to" / "write-a-plugin.md").read_text()
    name = type(module[1]).__name__
    assert {"BatchNorm1d": "without running\n  statistics, is refused"}.get(name, name) in page


def test_the_python_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("small.toml").write_text(PLAN)
    names = {"__name__": "readme"}
    for block in blocks("README.md", "python"):
        exec(block.replace('"digits"', '"small.toml"'), names)
    assert next(cell.estimator for cell in names["result"].cells) == "InputProduct[power=2.0]"  # type: ignore[attr-defined]


def test_the_checks_of_the_docs_run_and_find_what_is_exempt(tmp_path: Path) -> None:
    *_, suite, exempt = blocks("docs/how-to/write-a-plugin.md", "python")
    path = tmp_path / "test_suite.py"
    path.write_text(suite)
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", path], cwd=tmp_path, check=False, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stdout
    (tmp_path / "mine.py").write_text(exempt)
    checked = CliRunner().invoke(main, ["check", f"{tmp_path}/mine.py:RankOne", "--json"])
    statuses = {outcome["name"]: outcome["status"] for outcome in json.loads(checked.output)["outcomes"]}
    assert statuses["columns"] == "exempt"


def test_scores_from_elsewhere_are_judged_as_the_docs_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = "docs/how-to/judge-scores-from-elsewhere.md"
    (plan,), (script,), (console,) = (blocks(page, language) for language in ("toml", "python", "console"))
    (tmp_path / "plan.toml").write_text(plan)
    (tmp_path / "scores.py").write_text(script)
    monkeypatch.chdir(tmp_path)
    for line in console.splitlines():
        program, *words = shlex.split(line.removeprefix("$ "))
        if program == "influbench":
            ran = CliRunner().invoke(main, words)
            assert ran.exit_code == 0, ran.output
        else:
            subprocess.run([sys.executable, *words], check=True, timeout=60)
    (result,) = read_result(tmp_path / "out").results
    cells = {cell.name: cell for cell in result.cells}
    assert {cell.status for cell in cells.values()} == {"ok"}
    first, second = (cells[f"from_file[path=scores.{suffix}]"] for suffix in ("safetensors", "csv"))
    assert first.value("influence").value == pytest.approx(second.value("influence").value, abs=1e-6)
    assert "memorization" in first.columns


def test_data_are_brought_as_the_docs_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = "docs/how-to/bring-your-data.md"
    (script,), (console,) = (blocks(page, language) for language in ("python", "console"))
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "page"}
    exec(script, names)
    assert [problem.problem.n_classes for problem in names["result"].problems] == [2]
    names["frame"].to_csv("table.csv", index=False)
    for number in range(24):
        path = Path("photos") / ("fin", "wing")[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (9 + number % 2, 9), (10 * number, 0, 0)).save(path)
    Path("plan.toml").write_text(PLAN)
    for line in console.splitlines():
        ran = CliRunner().invoke(main, shlex.split(line.removeprefix("$ influbench ")))
        assert ran.exit_code == 0, ran.output
    (of_table,), (of_pictures,) = (read_result(tmp_path / name).results for name in ("out", "pictures"))
    assert (of_table.problem.class_names, of_pictures.problem.class_names) == (("ant", "bee"), ("fin", "wing"))


def test_a_decision_is_explained_as_the_docs_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = "docs/how-to/explain-a-decision.md"
    (plan,), (console,) = (blocks(page, language) for language in ("toml", "console"))
    (tmp_path / "plan.toml").write_text(plan)
    monkeypatch.chdir(tmp_path)
    for line in console.splitlines():
        _, *words = shlex.split(line.removeprefix("$ "), comments=True)
        ran = CliRunner().invoke(main, words)
        assert ran.exit_code == 0, ran.output
    assert (tmp_path / "out" / "gallery.png").is_file()
    assert (tmp_path / "two.png").is_file()
    (python,) = blocks(page, "python")
    names: dict[str, Any] = {}
    exec(python, names)
    assert "Who helps it?" in str(names["explained"])
    assert (tmp_path / "out" / "gallery-same_label.png").is_file()


def test_the_plan_of_the_docs_is_one() -> None:
    (text,) = blocks("docs/how-to/write-a-plan.md", "toml")
    plan = parse_plan(text, source="docs", name="docs")
    assert len(plan.problems()) == 4
    unset = [name for name, value in plan.training if value is None]
    assert unset == ["betas", "epsilon"]


def test_the_readme_quotes_the_report_of_the_stored_run() -> None:
    report = printed(read_result(ROOT / "benchmarks" / "results" / "digits"), 80)
    quoted = re.search(r"```\n( +influence .*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    assert quoted is not None
    assert quoted[1].strip("\n") in report


@pytest.mark.parametrize("page", ["README.md", "docs/explanation/suite.md"])
def test_the_docs_quote_the_comparison_of_the_stored_suite(page: str) -> None:
    folder = ROOT / "benchmarks" / "results" / "suite"
    compared = ComparedRuns.model_validate_json((folder / "comparison.json").read_text())
    shown = rendered(lambda console: print_comparison(console, compared))
    quoted = re.search(
        r"```\n( +influence +influence(?: +influence)?\n[^`]*Who agrees[^`]*?)\n```", (ROOT / page).read_text()
    )
    assert quoted is not None
    assert quoted[1] in shown
    results = read_result(folder)
    stored = {(one.problem.name, one.problem.key) for one in results.results}
    assert {(problem.name, problem.key) for problem in compared.problems} == stored
    for column in compared.columns:
        for place, result in enumerate(results.results):
            cells = {cell.name: cell.value(column.key) for cell in result.cells}
            for one in column.estimators:
                of_problem = one.by_problem[place]
                if of_problem is not None:
                    assert of_problem.value == pytest.approx(cells[one.name].value, abs=1e-4)


def stored_result(folder: str) -> Result:
    """What a stored run of one problem found."""
    (result,) = read_result(ROOT / "benchmarks" / "results" / folder).results
    return result


def stored_cells(folder: str) -> dict[str, Cell]:
    return {cell.name: cell for cell in stored_result(folder).cells}


def figures(cell: Cell) -> str:
    """Influence over all points and within class, and memorization; all three are there unless the cell failed."""
    assert set(COLUMNS) <= cell.columns.keys() or cell.status != "ok"
    return " | ".join(decimal(cell.value(key).value) for key in COLUMNS)


@pytest.mark.parametrize("folder", ["crossing-digits", "crossing-fashion"])
def test_the_curves_of_the_docs_are_those_of_the_stored_runs(folder: str) -> None:
    page = (ROOT / "docs" / "explanation" / "turn-over-dropout.md").read_text()
    cells = stored_cells(folder)
    for n in (1, 2, 4, 8, 16, 24, 32, 64, 128, 256, 512, 1000):
        halves = [
            figures(cells[name]) if name in cells else "- | - | -"
            for name in (f"turn_over_dropout[n_masks={n}]", f"subset[n_models={n}]")
        ]
        if n == 24 and halves[0] == halves[1]:
            continue  # where subset is not defined with so few models
        assert halves[0] != halves[1]
        if any(name.endswith(f"={n}]") for name in cells):
            assert f"| {n} | {halves[0]} | {halves[1]} |" in page


def by_problem(folder: str) -> dict[str, dict[str, Cell]]:
    """Cells by problem and name."""
    results = read_result(ROOT / "benchmarks" / "results" / folder).results
    return {one.problem.name: {cell.name: cell for cell in one.cells} for one in results}


def test_the_ablation_of_the_docs_is_that_of_the_stored_runs() -> None:
    page = (ROOT / "docs" / "explanation" / "turn-over-dropout.md").read_text()
    rows = {
        "64 units, 5 epochs": ("ablation/epochs-5", "digits, mlp"),
        "64 units, 10 epochs": ("ablation/epochs-10", "digits, mlp"),
        "64 units, 20 epochs": ("ablation/width", "digits, mlp"),
        "64 units, 40 epochs": ("ablation/epochs-40", "digits, mlp"),
        "16 units, 20 epochs": ("ablation/width", "digits, mlp[hidden=[16]]"),
        "256 units, 20 epochs": ("ablation/width", "digits, mlp[hidden=[256]]"),
    }
    for label, (folder, problem) in rows.items():
        cells = by_problem(folder)[problem]
        few = f"{figures(cells['turn_over_dropout'])} | {figures(cells['subset'])}"
        many = f"{figures(cells['turn_over_dropout[n_masks=256]'])} | {figures(cells['subset[n_models=256]'])}"
        assert f"| {label} | 64 | {few} |\n| {label} | 256 | {many} |" in page
    for folder, first, second in (("sites", "2", "4"), ("sites-cnn", "1", "4")):
        for cells in by_problem(f"ablation/{folder}").values():
            names = [
                f"turn_over_dropout{parameters}"
                for p in ("", "p=0.5")
                for parameters in (
                    f"[{p}]" if p else "",
                    f"[{p}{',' * bool(p)}sites=[{first}]]",
                    f"[{p}{',' * bool(p)}sites=[{first},{second}]]",
                )
            ]
            row = [decimal(cells[name].columns["memorization"].value.value) for name in (*names, "subset")]
            assert f" | {' | '.join(row)} |\n" in page


def test_the_variants_of_the_docs_are_those_of_the_stored_run() -> None:
    page = (ROOT / "docs" / "explanation" / "turn-over-dropout.md").read_text()
    for name, cell in stored_cells("masks").items():
        assert f"| `{name}` | {figures(cell)} |" in page


def row_of(cell: Cell) -> str:
    """A line of a table of estimators, up to the cost in trainings."""
    values = [cell.value(key) for key in COLUMNS]
    columns = ["-" if one == UNKNOWN else f"{decimal(one.value)} {interval(one)}" for one in values]
    return f"| `{cell.name}` | {' | '.join(columns)} | {trainings(cell.training_equivalents)} |"


def test_the_adapters_of_the_docs_have_the_figures_of_the_stored_run() -> None:
    page = (ROOT / "docs" / "explanation" / "adapters.md").read_text()
    (estimators,) = by_problem("adapters").values()
    assert len(estimators) == page.count("\n| `")
    for cell in estimators.values():
        assert row_of(cell) in page
    result = stored_result("adapters")
    (comparison,) = (
        one
        for one in result.comparisons
        if one.column == "within_class"
        and (one.first, one.second) == ("kronfluence", "influence_function[solver=ekfac]")
    )
    difference = comparison.difference
    assert f"{decimal(difference.value)} {interval(difference)} between the first and the last" in page
    one_definition = (
        {"tracin", "captum_tracincp", "captum_tracincp[batched=true]", "dattri_tracin", "dattri_tracin[n_projected=0]"},
        {"trak", "traker", "dattri_trak"},
        {"grad_dot", "kronfluence[strategy=identity]"},
    )
    for pair in result.comparisons:
        assert not (pair.is_clear and any({pair.first, pair.second} <= same for same in one_definition))


def test_every_estimator_of_the_docs_has_the_figures_of_the_stored_run() -> None:
    page = (ROOT / "docs" / "explanation" / "estimators.md").read_text()
    problems = by_problem("estimators")
    assert len(problems) == 2
    n_found = 0
    for estimators in problems.values():
        for name, cell in estimators.items():
            assert row_of(cell) in page
            auroc = cell.value("wrong_labels")
            if auroc.value is not None:
                n_found += 1
                cost = trainings(cell.training_equivalents)
                assert f"| `{name}` | {decimal(auroc.value)} {interval(auroc)} | {cost} |" in page
    assert n_found > 5
    same = json.loads((ROOT / "benchmarks" / "results" / "estimators" / "same-trajectory.json").read_text())
    text = " ".join(page.split())
    on_the_truths, on_one = (
        [decimal(same[name][where]["value"]) for where in ("influence", "within_class")]
        for name in ("same_trajectories", "one_trajectory")
    )
    assert f"it would have {on_the_truths[0]} (within class {on_the_truths[1]})" in text
    assert f"leave-one-out of that training alone {on_one[0]} ({on_one[1]})" in text
    share = problems["digits, mlp"]["metagradient[n_seeds=12]"].columns["influence"].of_ceiling
    assert share.value is not None
    assert f"reaches {100 * share.value:.0f}% of the ceiling" in text


def test_the_estimands_of_the_docs_have_the_figures_of_the_stored_run() -> None:
    page = (ROOT / "docs" / "explanation" / "estimands.md").read_text()
    result = stored_result("estimands")
    expected = ("captured", "within_class", "weighted", "influence", "rank", "rank_within_class")
    one_run = ("run_captured", "run_within_class", "run_weighted", "variance", "sign")
    for cell in result.cells:
        for keys in (expected, one_run):
            if cell.value(keys[0]).value is None:
                continue
            figures_of_row = [DASH if (value := cell.value(key).value) is None else decimal(value) for key in keys]
            assert f"| `{cell.name}` | {' | '.join(figures_of_row)} |" in page
    lines = page.splitlines()
    for place, key in enumerate(("influence", "captured", "within_class", "weighted"), start=2):
        known = [cell for cell in result.cells if cell.value(key).value is not None]
        known.sort(key=lambda cell: -(cell.value(key).value or 0.0))
        for number, cell in enumerate(known, start=1):
            row = next(line for line in lines if line.startswith(f"| {number} | "))
            letters = cell.columns[key].letters or ""
            shown = f"`{cell.name}` {decimal(cell.value(key).value)} {letters}".strip()
            assert row.split(" | ")[place - 1].strip(" |") == shown
    effective = {column.key: column.n_effective for column in result.columns}
    assert f"amount to {effective['weighted']:.0f} points of equal weight" in page
    assert f"they amount to {effective['captured']:.0f}." in page


def test_who_finds_wrong_labels_in_the_docs_is_who_does_in_the_stored_run() -> None:
    page = (ROOT / "docs" / "explanation" / "turn-over-dropout.md").read_text()
    for name, cell in stored_cells("wrong-labels").items():
        found = cell.columns["wrong_labels"].value
        assert f"| `{name}` | {decimal(found.value)} {interval(found)} | {cell.training_equivalents:.0f} |" in page


def test_the_docs_quote_the_stored_decomposition() -> None:
    folder = ROOT / "benchmarks" / "results" / "decomposition"
    shown = rendered(lambda console: print_study(console, read_found(folder / "digits")))  # type: ignore[arg-type]
    page = "docs/explanation/turn-over-dropout.md"
    quoted = [block for block in blocks(page, "") if "mask noise" in block or "Which effect?" in block]
    assert len(quoted) == 3
    assert all(table.rstrip() in shown for table in quoted)
    wide = DecompositionRecord.model_validate_json((folder / "width.json").read_text()).decomposed[-1]
    masked, _, plain = (one.spearman for one in wide.estimands["influence"])
    text = " ".join((ROOT / page).read_text().split())
    assert f"reach {decimal(masked.value)} under the mask and {decimal(plain.value)} of the plain training" in text


def test_the_docs_draw_the_stored_crossing_and_trace() -> None:
    page = (ROOT / "docs" / "explanation" / "turn-over-dropout.md").read_text()
    for folder, last in (("crossing-digits", "Capitals"), ("trace", "influence within class, against")):
        result = stored_result(folder)
        parts = [*trace_tables(result, width=80), *cost_charts(result, width=80, wide=False)]
        shown = rendered(lambda console, parts=parts: [console.print(part) for part in parts])  # type: ignore[misc]
        assert shown.partition(last)[0].strip("\n ") in page


def test_the_reliability_of_the_docs_is_that_of_the_stored_truths() -> None:
    cases = json.loads((ROOT / "benchmarks" / "results" / "calibration" / "reliability.json").read_text())["cases"]
    growth = [factor for case in cases for factor in case["growth_of_odds"]]
    off = {
        of: max(abs(few["measured"][of] - few["predicted"][of]) for case in cases for few in case["from_few_seeds"])
        for of in ("reliability", "ceiling")
    }
    page = " ".join((ROOT / "docs" / "explanation" / "figures.md").read_text().split())
    assert f"grow by {min(growth):.1f} to {max(growth):.1f} at each doubling" in page
    assert (
        f"at most {off['reliability']:.3f} in the reliability and by at most {off['ceiling']:.3f} in the ceiling"
        in page
    )
    assert off["ceiling"] < 0.02


def test_the_bootstrap_of_the_docs_is_that_of_the_stored_simulations() -> None:
    folder = ROOT / "benchmarks" / "results" / "calibration"
    stored = {case["name"]: case for case in json.loads((folder / "trust.json").read_text())["cases"]}
    ours = {case["name"]: case for case in json.loads((folder / "agreement.json").read_text())["cases"]}
    page = " ".join((ROOT / "docs" / "explanation" / "figures.md").read_text().split())
    bootstrap, interval_ = "two-way bootstrap, noise of cells, 60 x 40", "independent, noise of cells, 60 x 40"
    assert f"intervals {stored[bootstrap]['width'] / ours[interval_]['width']:.1f} times as wide" in page
    assert f"holds the value in {100 * stored[bootstrap]['coverage']:.1f}%" in page


def test_the_coverage_of_few_draws_in_the_docs_is_that_of_the_stored_simulations() -> None:
    file = ROOT / "benchmarks" / "results" / "calibration" / "draws_of_estimators.json"
    stored = {case["name"]: case for case in json.loads(file.read_text())["cases"]}
    of_few = [stored[f"{n} draws that differ in quality, by .1, 60 x 40"] for n in (2, 3, 4)]
    assert {case["simulations"] for case in of_few} == {1000}
    two, three, four = (100 * case["coverage"] for case in of_few)
    page = " ".join((ROOT / "docs" / "explanation" / "figures.md").read_text().split())
    assert f"hold the known value in {two:.1f}%, {three:.1f}%, and {four:.1f}% of 1,000 simulations" in page


def test_the_speed_of_scores_in_the_docs_is_that_of_the_stored_run() -> None:
    found = json.loads((ROOT / "benchmarks" / "results" / "speed" / "scores.json").read_text())
    page = " ".join((ROOT / "docs" / "explanation" / "speed.md").read_text().split())
    assert f"that is {found['speedup']:.1f} times as fast" in page
    assert f"at {100 * found['gemm_fraction']:.0f}% of the rate" in page
    assert found["largest_difference"] < 1e-4


def test_the_speed_of_tracin_in_the_docs_is_that_of_the_stored_run() -> None:
    found = json.loads((ROOT / "benchmarks" / "results" / "speed" / "tracin.json").read_text())
    page = " ".join((ROOT / "docs" / "explanation" / "speed.md").read_text().split())
    assert f"that is {found['speedup']:.1f} times as fast as captum's" in page
    assert found["largest_difference"] < 1e-4


def test_links_of_the_docs_lead_somewhere() -> None:
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page}: {target}"


def test_the_speeds_of_the_docs_are_those_of_the_stored_run() -> None:
    cases = json.loads((ROOT / "benchmarks" / "results" / "speed" / "cpu.json").read_text())["cases"]
    page = (ROOT / "docs" / "explanation" / "speed.md").read_text()
    compared = [case for case in cases if case["plain_loop_ms"] is not None]
    assert len(compared) == 3
    for case in compared:
        times = [f"{case['ours_ms']:.2f}", f"{case['ours_one_process_ms']:.2f}"]
        times += [f"{case[name]:.1f}" for name in ("plain_loop_ms", "dattri_ms", "speedup_plain", "speedup_dattri")]
        row = " | ".join([case["name"], *times, f"{100 * case['gemm_fraction']:.0f}%"])
        assert f"| {row} |" in page


def test_the_coverage_of_the_docs_is_that_of_the_stored_simulations() -> None:
    folder = ROOT / "benchmarks" / "results" / "calibration"
    stored = [
        case for name in ("agreement", "large") for case in json.loads((folder / f"{name}.json").read_text())["cases"]
    ]
    coverages = [case["coverage"] for case in stored]
    page = " ".join((ROOT / "docs" / "explanation" / "figures.md").read_text().split())
    assert {case["simulations"] for case in stored} == {2000}
    assert f"{len(stored)} kinds and sizes" in page
    assert f"in {100 * min(coverages):.1f}% to {100 * max(coverages):.1f}% of them" in page
    assert "30 x 10" in max(stored, key=lambda case: case["coverage"])["name"]


@pytest.mark.parametrize("topic", ["captured", "retrieval", "one_seed", "pairs"])
def test_the_coverage_of_each_topic_in_the_docs_is_that_of_the_stored_simulations(topic: str) -> None:
    stored = json.loads((ROOT / "benchmarks" / "results" / "calibration" / f"{topic}.json").read_text())["cases"]
    assert {case["simulations"] for case in stored} == {1000}
    shown = [case for case in stored if case["simulations"] - case["undefined"] >= 100]
    usual = [100 * case["coverage"] for case in shown if "each train point twice" not in case["name"]]
    twice = [100 * case["coverage"] for case in shown if "each train point twice" in case["name"]]
    page = " ".join((ROOT / "docs" / "explanation" / "figures.md").read_text().split())
    (of_topic,) = [
        part for part in page.partition("Other figures had 1,000")[2].split("* ") if f"`{topic}.json`" in part
    ]
    assert f"{min(usual):.1f}% to {max(usual):.1f}%" in of_topic
    assert re.search(rf"\bin {len(usual)}\b", of_topic)
    assert not twice or f"in only {min(twice):.1f}% and {max(twice):.1f}%" in of_topic
