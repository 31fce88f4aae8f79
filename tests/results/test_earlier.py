"""Results of schema 1 are read with every number that they hold."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from influbench.errors import StoreError
from influbench.results import Results, earlier
from influbench.store.run_directory import PLAN, RESULT, read_result

SCHEMA_1 = sorted((Path(__file__).parent / "schema-1").glob("*.json"))
STORED = sorted((Path(__file__).parents[2] / "benchmarks" / "results").rglob(RESULT))
# Numbers that schema 2 has elsewhere, once instead of once a quantity, or not at all.
COUNTS = ("n", "n_repeats", "n_undefined", "within_class_n_undefined", "seconds", "training_equivalents", "n_seeds")
COUNTS += ("n_subsets", "ratio", "fewest_in_class", "n_trainings", "n_shards", "n_shards_reused")


def numbers(found: object, key: str = "") -> Iterator[float]:
    """Every fraction in a JSON value: statistics, intervals and effects, but not counts."""
    if isinstance(found, dict):
        for name, value in found.items():
            yield from numbers(value, name)
    elif isinstance(found, list):
        for value in found:
            yield from numbers(value, key)
    elif isinstance(found, float) and key not in COUNTS:
        yield found


def converted(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """A result of schema 1, and the same as it is read, as JSON."""
    raw = json.loads(path.read_text())
    read = Results.model_validate_json(json.dumps(earlier.current(raw)))
    return raw, json.loads(read.model_dump_json(by_alias=True))


@pytest.mark.parametrize("path", SCHEMA_1, ids=lambda path: path.stem)
def test_no_number_is_lost_and_none_is_made_up(path: Path) -> None:
    raw, read = converted(path)
    before, after = Counter(numbers(raw)), Counter(numbers(read))
    assert sum(before.values()) > 100
    assert set(before) == set(after)
    assert not before - after


@pytest.mark.parametrize("path", SCHEMA_1, ids=lambda path: path.stem)
def test_every_value_is_in_its_column(path: Path) -> None:
    raw, read = converted(path)
    (problem,) = read["results"]
    cells = {cell["name"]: cell for cell in problem["cells"]}
    assert list(cells) == list(dict.fromkeys(cell["name"] for cell in raw["cells"]))
    for old in raw["cells"]:
        new = cells[old["name"]]
        assert new["status"] == old["status"]
        if old["status"] != "ok":
            assert new["columns"] == {}
            continue
        if old["quantity"] == "memorization":
            assert new["columns"]["memorization"]["value"] == old["spearman"]
            assert new["columns"]["memorization"]["letters"] == old["letters"]
            wrong = old["wrong_labels_auroc"]
            assert wrong["value"] is None or new["columns"]["wrong_labels"]["value"] == wrong
        else:
            assert new["columns"]["influence"]["value"] == old["spearman"]
            assert new["columns"]["influence"]["of_ceiling"] == old["of_ceiling"]
            assert new["columns"]["within_class"]["value"] == old["within_class"]
            assert new["columns"]["within_class"]["letters"] == old["within_class_letters"]
            assert new["columns"]["influence"]["details"]["pooled"] == old["pooled_spearman"]
    trust = problem["trust"]
    assert trust["within_class"]["ceiling"] == raw["truth"]["influence"]["within_class"]["ceiling"]
    assert trust["memorization"]["reliability"] == raw["truth"]["memorization"]["reliability"]
    assert {one["n_seeds"] for one in trust.values()} == {raw["truth"]["n_seeds"]}
    assert [point["step"] for point in problem["trace"]] == [point["step"] for point in raw["trace"]]


def test_the_second_truth_is_a_judge_of_its_own() -> None:
    raw = json.loads(SCHEMA_1[0].read_text())
    trust = {name: raw["truth"]["influence"][name] for name in ("reliability", "ceiling", "single_seed_reliability")}
    raw["truth"]["subsets"] = {
        "estimand": "subsets", "n_subsets": 64, "ratio": 0.3, "n_trainings": 128, "trust": {**trust, "curve": []},
    }  # fmt: skip
    value = {"value": 0.25, "low": 0.125, "high": 0.375}
    for cell in raw["cells"]:
        if cell["quantity"] == "influence" and cell["status"] == "ok":
            cell |= {"lds": value, "lds_letters": "c"}
    (result,) = Results.model_validate_json(json.dumps(earlier.current(raw))).results
    assert result.judges[1].name == "subsets[n=64,ratio=0.3]"
    assert (result.judges[1].columns, result.judges[1].n_trainings) == (("lds",), 128)
    assert (result.trust["lds"].n_seeds, result.column("lds").n_rows) == (2, 64)
    random = next(cell for cell in result.cells if cell.name == "random")
    assert random.columns["lds"].value.model_dump() == value
    assert random.columns["lds"].letters == "c"


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.parent.name)
def test_stored_results_are_of_this_schema(path: Path) -> None:
    assert not earlier.is_earlier(json.loads(path.read_text()))


@pytest.mark.parametrize(
    "text",
    [
        '{"schema": "influbench.results/99"}',
        '{"schema": "influbench.result/1"',
        '{"schema": "influbench.result/1"}',
        "[]",
    ],
)
def test_what_does_not_fit_a_schema_is_one_sentence(text: str, tmp_path: Path) -> None:
    (tmp_path / PLAN).write_text("")
    (tmp_path / RESULT).write_text(text)
    with pytest.raises(StoreError, match=r"result\.json does not fit the schema of this influbench: [^\n]+$"):
        read_result(tmp_path)
