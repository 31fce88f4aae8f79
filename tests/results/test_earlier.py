"""Results that earlier versions wrote are read, number for number; what is no result is one sentence."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from influbench.errors import StoreError
from influbench.reading.stored import place_of_scores
from influbench.report.terminal import print_report
from influbench.results import UNKNOWN, Agreement, Cell, ComparedRuns, Result, Results, Statistic, earlier, to_json
from influbench.store.run_directory import read_found, read_result
from tests.cli.conftest import Influbench
from tests.cli.conftest import influbench as influbench
from tests.report.printing import text_of

Raw = dict[str, Any]
SCHEMA_1 = Path(__file__).parent / "schema-1"
STORED = Path(__file__).parents[2] / "benchmarks" / "results"
NAMES = ("digits", "trace", "wrong-labels")
RUNS = sorted(path.parent for path in STORED.rglob("result.json") if '"influbench.results/2"' in path.read_text()[:200])


def old(name: str) -> Raw:
    return dict(json.loads((SCHEMA_1 / f"{name}.json").read_text()))


def converted(raw: Raw) -> Result:
    (result,) = Results.model_validate(earlier.current(raw)).results
    return result


def with_subsets() -> Raw:
    """A run of schema 1 with a truth of random subsets; no stored one has it."""
    raw = old("digits")
    trust = {key: value for key, value in raw["truth"]["influence"].items() if key != "within_class"}
    raw["truth"]["subsets"] = {
        "estimand": "neg_loss after training on 64 random subsets",
        "n_subsets": 64,
        "ratio": 0.25,
        "n_trainings": 128,
        "trust": {**trust, "reliability": {"value": 0.61, "low": 0.52, "high": 0.69}},
    }
    for number, cell in enumerate(raw["cells"]):
        if (cell["quantity"], cell["status"]) == ("influence", "ok"):
            cell["lds"] = {"value": 0.1 + number / 64, "low": 0.05, "high": 0.9}
            cell["lds_of_ceiling"] = {"value": 0.2 + number / 64, "low": 0.15, "high": 0.95}
            cell["lds_letters"] = "abcdefgh"[number % 8]
    raw["comparisons"].append({**raw["comparisons"][0], "where": "lds"})
    raw["fronts"]["lds"] = ["random"]
    return raw


OLD = {**{name: old(name) for name in NAMES}, "subsets": with_subsets()}


def numbers(raw: object) -> Iterator[float]:
    if isinstance(raw, dict | list):
        for value in raw.values() if isinstance(raw, dict) else raw:
            yield from numbers(value)
    elif isinstance(raw, int | float) and not isinstance(raw, bool):
        yield raw


@pytest.mark.parametrize("name", list(OLD))
def test_every_number_is_there(name: str) -> None:
    new = json.loads(to_json(Results.model_validate(earlier.current(OLD[name]))))
    found = {*numbers(new), 0.25}  # the ratio of subsets is in their judge's name
    assert [number for number in numbers(OLD[name]) if number not in found] == []


def statistic(raw: Raw) -> Statistic:
    return Statistic.model_validate(raw)


def cell_of(result: Result, name: str) -> Cell:
    (cell,) = (cell for cell in result.cells if cell.name == name)
    return cell


FIELDS = {  # of a column: quantity, value, share of the ceiling, letters, undefined test points
    "influence": ("influence", "spearman", "of_ceiling", "letters", "n_undefined"),
    "within_class": (
        "influence", "within_class", "within_class_of_ceiling", "within_class_letters", "within_class_n_undefined"
    ),
    "memorization": ("memorization", "spearman", "of_ceiling", "letters", "n_undefined"),
    "lds": ("influence", "lds", "lds_of_ceiling", "lds_letters", None),
    "wrong_labels": ("memorization", "wrong_labels_auroc", None, None, None),
}  # fmt: skip


RENAMED = {"double_centred_spearman": "double_centered_spearman"}


def assert_is(new: Agreement, raw: Raw, key: str) -> None:
    """The agreement in this column is what the cell of schema 1 said of it."""
    _, value, of_ceiling, letters, n_undefined = FIELDS[key]
    assert new.value == statistic(raw[value])
    assert new.of_ceiling == (statistic(raw[of_ceiling]) if of_ceiling else UNKNOWN)
    assert new.letters == (raw[letters] if letters else None)
    assert new.n_undefined == (raw[n_undefined] if n_undefined else 0)
    if key in ("influence", "memorization", "wrong_labels"):
        assert new.n == raw["n"]
    if key not in ("influence", "memorization") or raw["details"] is None:
        assert new.details is None
        return
    assert new.details is not None
    details = new.details.model_dump(mode="json")
    assert details.pop("pooled") == raw["pooled_spearman"]
    assert details == {RENAMED.get(name, name): value for name, value in raw["details"].items()}


@pytest.mark.parametrize("name", list(OLD))
def test_every_cell_says_what_it_said(name: str) -> None:
    raw, result = OLD[name], converted(OLD[name])
    keys = [column.key for column in result.columns]
    assert [cell.name for cell in result.cells] == list(dict.fromkeys(cell["name"] for cell in raw["cells"]))
    n_agreements = 0
    for of_quantity in raw["cells"]:
        cell = cell_of(result, of_quantity["name"])
        for field in ("estimator", "status", "reason", "seconds", "training_equivalents", "scores", "traceback"):
            assert getattr(cell, field) == of_quantity[field]
        assert cell.n_repeats == of_quantity["n_repeats"]
        assert set(of_quantity["notes"]) <= set(cell.notes)
        assert len(set(cell.notes)) == len(cell.notes)
        if of_quantity["status"] != "ok":
            assert cell.columns == {}
            continue
        for key, (quantity, *_) in FIELDS.items():
            if quantity == of_quantity["quantity"] and key in keys:
                assert_is(cell.columns[key], of_quantity, key)
                n_agreements += 1
    assert n_agreements == sum(len(cell.columns) for cell in result.cells) > 5


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("digits", ["influence", "within_class", "memorization"]),
        ("trace", ["influence", "within_class", "memorization"]),
        ("wrong-labels", ["influence", "within_class", "memorization", "wrong_labels"]),
        ("subsets", ["influence", "within_class", "memorization", "lds"]),
    ],
)
def test_the_columns_are_those_that_had_a_truth(name: str, keys: list[str]) -> None:
    raw, result = OLD[name], converted(OLD[name])
    assert [column.key for column in result.columns] == keys
    sizes = {column.key: (column.n_rows, column.n_columns) for column in result.columns}
    n_train, n_test = raw["problem"]["n_train"], raw["problem"]["n_test"]
    assert sizes["influence"] == (n_train, n_test)
    assert sizes["within_class"] == (raw["problem"]["fewest_in_class"] or n_train, n_test)
    assert sizes["memorization"] == (n_train, None)
    assert sizes.get("lds", (64, n_test)) == (64, n_test)
    if "wrong_labels" in keys:
        column = result.column("wrong_labels")
        assert (column.judge, column.statistic, column.n_columns) == ("wrong_labels", "auroc", None)


@pytest.mark.parametrize("name", list(OLD))
def test_truth_and_problem_are_what_they_were(name: str) -> None:
    raw, result = OLD[name], converted(OLD[name])
    truth, n_seeds = raw["truth"], raw["truth"]["n_seeds"]
    assert_trusted(result.trust, truth)
    left_out, *others = result.judges
    for field in ("n_trainings", "seconds", "n_shards", "n_shards_reused"):
        assert getattr(left_out, field) == truth[field]
    assert (left_out.name, left_out.status) == ("leave_one_out", "ok")
    assert left_out.estimand.endswith(f"{n_seeds} seed{'s' * (n_seeds != 1)}")
    if name == "subsets":
        assert [(one.name, one.columns, one.n_trainings) for one in others] == [
            ("subsets[n=64,ratio=0.25]", ("lds",), 128)
        ]
    problem = json.loads(result.problem.model_dump_json())
    assert problem.pop("key") == truth["key"]
    assert problem.pop("fit") is None  # was not measured
    assert problem.pop("n_duplicates") == 0  # were not counted
    assert (problem.pop("class_names"), problem.pop("notes")) == (None, [])  # were not known
    assert problem == {key: value for key, value in raw["problem"].items() if key != "fewest_in_class"}
    assert result.fronts == {key: tuple(names) for key, names in raw["fronts"].items()}
    pairs = [(one.column, one.first, one.second, one.difference, one.is_clear) for one in result.comparisons]
    assert pairs == [
        (one["where"], one["first"], one["second"], statistic(one["difference"]), one["is_clear"])
        for one in raw["comparisons"]
    ]


def assert_trusted(trust: dict[str, Any], truth: Raw) -> None:
    expected = {
        "influence": {key: value for key, value in truth["influence"].items() if key != "within_class"},
        "within_class": truth["influence"]["within_class"],
        "memorization": truth["memorization"],
    }
    n_seeds = dict.fromkeys(expected, truth["n_seeds"])
    if truth.get("subsets"):
        expected["lds"], n_seeds["lds"] = truth["subsets"]["trust"], 2
    assert trust.keys() == expected.keys()
    for key, one in trust.items():
        found = json.loads(one.model_dump_json())
        assert found.pop("n_seeds") == n_seeds[key]
        assert found.pop("seeds_each") == 1
        assert found.pop("single_seed_reach") == UNKNOWN.model_dump()  # was not measured, like the norms
        assert found.pop("norms") == []
        assert found == expected[key]


def test_a_trace_is_what_it_was() -> None:
    raw, result = OLD["trace"], converted(OLD["trace"])
    assert [point.step for point in result.trace] == [point["step"] for point in raw["trace"]]
    assert len(result.trace) > 3
    for point, before in zip(result.trace, raw["trace"], strict=True):
        assert_trusted(point.trust, before["truth"])
        for of_quantity in before["cells"]:
            (cell,) = (cell for cell in point.cells if cell.name == of_quantity["name"])
            for key in ("influence", "within_class", "memorization"):
                if FIELDS[key][0] == of_quantity["quantity"]:
                    assert_is(cell.columns[key], of_quantity, key)


def test_regression_has_one_column() -> None:
    raw = old("digits")
    raw["truth"]["memorization"] = raw["truth"]["influence"]["within_class"] = None
    raw["problem"]["n_classes"] = raw["problem"]["fewest_in_class"] = None
    raw["cells"] = [cell for cell in raw["cells"] if cell["quantity"] == "influence"]
    result = converted(raw)
    assert [(column.key, column.chart) for column in result.columns] == [("influence", True)]
    assert result.trust.keys() == {"influence"}
    assert all(cell.columns.keys() <= {"influence"} for cell in result.cells)
    assert [column.chart for column in converted(old("digits")).columns] == [False, True, True]


def test_notes_and_places_of_both_quantities_are_kept_once() -> None:
    raw = old("digits")
    name = "turn_over_dropout"
    of_both = [cell for cell in raw["cells"] if cell["name"] == name]
    assert len(of_both) == 2
    of_both[0]["notes"], of_both[1]["notes"] = ["one", "two"], ["two", "three"]
    result = converted(raw)
    assert cell_of(result, name).notes == ("one", "two", "three")
    assert place_of_scores(result, name) == of_both[0]["scores"]


def test_several_problems_and_failures_keep_their_places() -> None:
    failure = {"problem": "line", "status": "failed", "reason": "training diverged", "traceback": "Traceback"}
    of_problems = [{**old("digits")}, {**old("trace")}]
    raw = {"schema": "influbench.results/1", "plan": "two", "seed": 3, "results": of_problems, "failures": [failure]}
    results = Results.model_validate(earlier.current(raw))
    assert (results.plan, results.seed) == ("two", 3)
    assert list(results.results) == [converted(one) for one in of_problems]
    assert [one.model_dump() for one in results.failures] == [failure]


def test_a_comparison_of_runs_is_converted_too() -> None:
    stored = json.loads((STORED / "suite" / "comparison.json").read_text())
    before = json.loads(json.dumps(stored))
    before["schema"] = "influbench.comparison/1"
    before["columns"] = [
        one for one in before["columns"] if one["key"] in ("influence", "within_class", "memorization")
    ]
    stored["columns"] = [
        one for one in stored["columns"] if one["key"] in ("influence", "within_class", "memorization")
    ]
    for column in before["columns"]:
        column["where"] = column.pop("key")
        del column["title"], column["quantity"], column["unit"]
        for one in column["comparisons"]:
            one["where"] = one.pop("column")
    assert earlier.is_earlier(before)
    assert ComparedRuns.model_validate(earlier.current(before)) == ComparedRuns.model_validate(stored)


@pytest.mark.parametrize("name", NAMES)
def test_a_run_directory_of_an_earlier_version_is_read_and_shown(
    name: str, influbench: Influbench, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "result.json").write_bytes((SCHEMA_1 / f"{name}.json").read_bytes())
    results = read_result(tmp_path / "out")
    assert results.results == (converted(old(name)),)
    for width in (80, 160):
        text = text_of(lambda console: print_report(console, results), width)
        assert max(map(len, text.splitlines())) <= width
        for cell in results.results[0].cells:
            assert cell.name[:12] in text
    shown = influbench("report", "out")
    assert (shown.exit_code, shown.stderr) == (0, "")
    printed = json.loads(influbench("report", "out", "--json").stdout)
    assert printed["schema"] == "influbench.results/2"
    refused = influbench("compare", "out")
    assert refused.exit_code == 2
    if old(name)["truth"].get("key") is None:
        assert refused.stderr == "Error: out was written by an earlier influbench; run its plan.toml again\n"
    else:
        assert refused.stderr.startswith("Error: out does not hold scores/")
        assert refused.stderr.endswith("only a whole run directory holds its scores\n")


@pytest.mark.parametrize("directory", RUNS, ids=lambda path: str(path.relative_to(STORED)))
def test_stored_runs_are_in_todays_schema_and_hold_together(directory: Path) -> None:
    found = read_found(directory)
    assert isinstance(found, Results)
    written = found.model_dump_json(by_alias=True, exclude_unset=True)  # fields that were added later have defaults
    assert json.loads(written) == json.loads((directory / "result.json").read_text())
    for result in found.results:
        keys = [column.key for column in result.columns]
        assert [key for judge in result.judges for key in judge.columns] == keys
        ranked = ("spearman", "weighted_spearman")
        with_trust = {one.key for one in result.columns if one.statistic in ranked and not one.has_run}
        assert set(result.trust) == with_trust
        assert {one.column for one in result.comparisons} | result.fronts.keys() <= set(keys)
        for cell in result.cells:
            assert list(cell.columns) == [key for key in keys if key in cell.columns]
            assert bool(cell.columns) == (cell.status == "ok")


def test_the_stored_runs_are_looked_at() -> None:
    assert len(RUNS) >= 20


@pytest.mark.parametrize(
    ("text", "misfit"),
    [
        (
            '{"schema": "influbench.results/3", "plan": "x"}',
            "it has the schema influbench.results/3; upgrade influbench",
        ),
        ('{"schema": "influbench.result/1"}', "it lacks 'plan'"),
        ('{"schema": "influbench.results/2", "plan": "x", "seed": 0}', "results: field required"),
        (
            '{"schema": "influbench.results/2", "plan": "x", "seed": 0, "results": [], "y": 1}',
            "y: extra inputs are not",
        ),
        ("[]", "'list' object has no attribute 'get'"),
        ("", "Expecting value: line 1 column 1 (char 0)"),
        ((SCHEMA_1 / "digits.json").read_text()[:5000], "Expecting|Unterminated|Expecting property name"),
        ((STORED / "digits" / "result.json").read_text()[:5000], "Expecting|Unterminated|Expecting property name"),
    ],
)
def test_what_does_not_fit_is_one_sentence_and_exit_code_1(
    text: str, misfit: str, influbench: Influbench, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "result.json").write_text(text)
    with pytest.raises(StoreError) as caught:
        read_found(tmp_path / "out")
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert sentence.startswith(f"{tmp_path / 'out' / 'result.json'} does not fit the schema of this influbench: ")
    assert any(words in sentence for words in misfit.split("|"))
    shown = influbench("report", "out")
    assert (shown.exit_code, shown.stdout) == (1, "")
    assert shown.stderr.count("\n") == 1


@pytest.mark.parametrize("path", [("problem",), ("truth", "influence"), ("cells", 2, "n"), ("cells", 0, "name")])
def test_a_result_of_schema_1_that_lacks_something_is_refused(path: tuple[Any, ...], tmp_path: Path) -> None:
    raw: Any = old("digits")
    inner = raw
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    (tmp_path / "result.json").write_text(json.dumps(raw))
    with pytest.raises(StoreError, match="does not fit the schema of this influbench"):
        read_result(tmp_path)
