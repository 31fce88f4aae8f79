"""Results that earlier versions of influbench wrote, made into today's schema. Nothing is computed again.

Schema 1 held one cell for each quantity of an estimator, its columns as fields, one truth with a record of its own, and
a run of one problem apart from a run of several.
"""

from collections.abc import Mapping
from typing import Any

Raw = dict[str, Any]

_LEAVE_ONE_OUT, _SUBSETS, _WRONG_LABELS = "leave_one_out", "subsets", "wrong_labels"
_CORRELATION, _AREA = ("spearman", "Spearman's rank correlation"), ("auroc", "area under the ROC curve")

# Columns of schema 1 by key: title, quantity, judge, statistic, and what the statistic is taken over.
_COLUMNS: dict[str, tuple[str, str, str, tuple[str, str], str]] = {
    "influence": ("influence\nall points", "influence", _LEAVE_ONE_OUT, _CORRELATION, "train points"),
    "within_class": ("influence\nwithin class", "influence", _LEAVE_ONE_OUT, _CORRELATION, "train points in a class"),
    "memorization": ("memorization", "memorization", _LEAVE_ONE_OUT, _CORRELATION, "train points"),
    "lds": ("random\nsubsets (LDS)", "influence", _SUBSETS, _CORRELATION, "subsets"),
    "wrong_labels": ("wrong labels\n(AUROC)", "memorization", _WRONG_LABELS, _AREA, "train points"),
}

# Of a cell of schema 1, by the column's key: its quantity, and the fields of value, share of the ceiling, letters and
# the number of undefined test points.
_FIELDS: dict[str, tuple[str, str, str | None, str | None, str | None]] = {
    "influence": ("influence", "spearman", "of_ceiling", "letters", "n_undefined"),
    "within_class": (
        "influence",
        "within_class",
        "within_class_of_ceiling",
        "within_class_letters",
        "within_class_n_undefined",
    ),
    "memorization": ("memorization", "spearman", "of_ceiling", "letters", "n_undefined"),
    "lds": ("influence", "lds", "lds_of_ceiling", "lds_letters", None),
    "wrong_labels": ("memorization", "wrong_labels_auroc", None, None, None),
}
_UNKNOWN = {"value": None, "low": None, "high": None}


def is_earlier(raw: Mapping[str, Any]) -> bool:
    """True for a result of a schema that `current` reads."""
    return raw.get("schema") in ("influbench.result/1", "influbench.results/1", "influbench.comparison/1")


def current(raw: Raw) -> Raw:
    """The same findings in today's schema. KeyError, TypeError or ValueError where they do not fit their own schema."""
    if raw["schema"] == "influbench.comparison/1":
        return _comparison(raw)
    results = raw["results"] if raw["schema"] == "influbench.results/1" else [raw]
    return {
        "schema": "influbench.results/2",
        "plan": raw["plan"],
        "seed": raw["seed"],
        "results": [_result(one) for one in results],
        "failures": raw.get("failures", []),
    }


def _result(old: Raw) -> Raw:
    problem, truth = dict(old["problem"]), old["truth"]
    fewest = problem.pop("fewest_in_class", None)
    trust = _trust(truth)
    keys = [key for key in _COLUMNS if key in trust or (key == "wrong_labels" and _finds_wrong_labels(old["cells"]))]
    charted = "within_class" if "within_class" in keys else "influence"
    sizes = {
        "influence": problem["n_train"],
        "within_class": fewest if fewest is not None else problem["n_train"],
        "memorization": problem["n_train"],
        "lds": (truth.get("subsets") or {}).get("n_subsets"),
        "wrong_labels": problem["n_train"],
    }
    return {
        "problem": {**problem, "key": truth.get("key")},
        "judges": _judges(old, keys),
        "columns": [_column(key, sizes[key], problem["n_test"], of_influence=charted) for key in keys],
        "trust": trust,
        "cells": _cells(old["cells"], keys, sizes, problem["n_test"]),
        "comparisons": [_renamed(one, "where", "column") for one in old.get("comparisons", [])],
        "fronts": old.get("fronts", {}),
        "trace": [
            {
                "step": point["step"],
                "trust": _trust(point["truth"]),
                "cells": _cells(point["cells"], [key for key in keys if key != "lds"], sizes, problem["n_test"]),
            }
            for point in old.get("trace", [])
        ],
    }


def _column(key: str, n_rows: int, n_test: int, *, of_influence: str) -> Raw:
    title, quantity, judge, (statistic, unit), rows = _COLUMNS[key]
    return {
        "key": key,
        "title": title,
        "quantity": quantity,
        "judge": judge,
        "statistic": statistic,
        "unit": unit,
        "rows": rows,
        "n_rows": n_rows,
        "n_columns": n_test if quantity == "influence" else None,
        "chart": key in ("memorization", "lds") or key == of_influence,
    }


def _trust(truth: Raw) -> Raw:
    influence = dict(truth["influence"])
    found = {"within_class": influence.pop("within_class"), "memorization": truth["memorization"]}
    subsets = truth.get("subsets")
    found = {"influence": influence, **found}
    n_seeds = truth["n_seeds"]
    trust = {key: {**one, "n_seeds": n_seeds} for key, one in found.items() if one is not None}
    if subsets is not None:
        trust["lds"] = {**subsets["trust"], "n_seeds": max(1, subsets["n_trainings"] // subsets["n_subsets"])}
    return trust


def _judges(old: Raw, keys: list[str]) -> list[Raw]:
    truth, problem = old["truth"], old["problem"]
    n_seeds = truth["n_seeds"]
    estimand = (
        f"{problem['measure']} of {problem['n_test']:,} test points with and without each of {problem['n_train']:,} "
        f"train points, {n_seeds} seed{'s' * (n_seeds != 1)}"
    )
    spent = {name: truth[name] for name in ("n_trainings", "seconds", "n_shards", "n_shards_reused")}
    judges = [_judge(_LEAVE_ONE_OUT, estimand, keys, spent)]
    if subsets := truth.get("subsets"):
        name = f"{_SUBSETS}[n={subsets['n_subsets']},ratio={subsets['ratio']:g}]"
        judges.append(_judge(name, subsets["estimand"], keys, {"n_trainings": subsets["n_trainings"]}))
    if "wrong_labels" in keys:
        labels = problem["random_labels"]
        estimand = f"{labels['n_wrong']:,} of {problem['n_train']:,} train labels, which were drawn at random"
        judges.append(_judge(_WRONG_LABELS, estimand, keys, {}))
    return judges


def _judge(name: str, estimand: str, keys: list[str], spent: Raw) -> Raw:
    own = [key for key in keys if _COLUMNS[key][2] == name.partition("[")[0]]
    return {"name": name, "status": "ok", "estimand": estimand, "columns": own, **spent}


def _finds_wrong_labels(cells: list[Raw]) -> bool:
    return any(cell.get("wrong_labels_auroc", _UNKNOWN)["value"] is not None for cell in cells)


def _cells(old: list[Raw], keys: list[str], sizes: Mapping[str, int], n_test: int) -> list[Raw]:
    by_name: dict[str, list[Raw]] = {}
    for cell in old:
        by_name.setdefault(cell["name"], []).append(cell)
    return [_cell(of_estimator, keys, sizes, n_test) for of_estimator in by_name.values()]


def _cell(old: list[Raw], keys: list[str], sizes: Mapping[str, int], n_test: int) -> Raw:
    first = old[0]
    kept = ("estimator", "name", "status", "reason", "seconds", "training_equivalents", "scores", "traceback")
    notes = [note for cell in old for note in cell.get("notes", [])]
    columns: Raw = {}
    if first["status"] == "ok":
        for cell in old:
            columns |= _agreements(cell, keys, sizes, n_test)
    return {
        **{name: first.get(name) for name in kept},
        "columns": {key: columns[key] for key in keys if key in columns},
        "n_repeats": first.get("n_repeats", 1),
        "notes": list(dict.fromkeys(notes)),
    }


def _agreements(cell: Raw, keys: list[str], sizes: Mapping[str, int], n_test: int) -> Raw:
    """The agreements of one cell of schema 1 in each of the columns of its quantity."""
    found: Raw = {}
    for key in keys:
        quantity, value, of_ceiling, letters, n_undefined = _FIELDS[key]
        if quantity != cell["quantity"]:
            continue
        agreement = {
            "value": cell.get(value, _UNKNOWN),
            "of_ceiling": cell.get(of_ceiling, _UNKNOWN) if of_ceiling else _UNKNOWN,
            "letters": cell.get(letters) if letters else None,
            "n": {"lds": (sizes["lds"] or 0) * n_test, "within_class": None}.get(key, cell["n"]),
            "n_undefined": cell.get(n_undefined, 0) if n_undefined else 0,
        }
        if key in ("influence", "memorization") and cell.get("details") is not None:
            details = _renamed(cell["details"], "double_centred_spearman", "double_centered_spearman")
            agreement["details"] = {**details, "pooled": cell["pooled_spearman"]}
        found[key] = agreement
    return found


def _comparison(old: Raw) -> Raw:
    columns = []
    for column in old["columns"]:
        title, quantity, _, (_, unit), _ = _COLUMNS[column["where"]]
        comparisons = [_renamed(one, "where", "column") for one in column["comparisons"]]
        renamed = {**_renamed(column, "where", "key"), "title": title, "quantity": quantity, "unit": unit}
        columns.append({**renamed, "comparisons": comparisons})
    return {**old, "schema": "influbench.comparison/2", "columns": columns}


def _renamed(record: Raw, old: str, new: str) -> Raw:
    return {new if name == old else name: value for name, value in record.items()}
