"""The reliability predicted from few seeds compared with the reliability measured with many, on real truths.

    python benchmarks/reliability.py [--seeds 64] [-o FILE]

Trains the truth of each problem with many seeds and measures the curve of half-splits: the correlation between disjoint
sets of k seeds. Then divides the seeds into disjoint sets of 4, 8 and 16, predicts reliability and ceiling from each
set alone, as a report would, and compares the mean with the measured curve. Stored truths are reused.
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from math import exp, log
from pathlib import Path
from statistics import fmean

import click
from torch import Tensor

from influbench.engine.preparation import Prepared, prepare
from influbench.plan import Plan
from influbench.registry import installed
from influbench.resources import Resources
from influbench.shards import trained
from influbench.statistics.correlation import Block, mean_over_columns, spearman, whole_table, within_classes
from influbench.statistics.reliability import reliability, splits
from influbench.store.files import write_bytes
from influbench.store.run_directory import environment

PROBLEMS = (("digits", 0.0), ("digits", 0.1), ("wine", 0.1), ("breast_cancer", 0.0))
MODEL = "mlp[hidden=[64]]"
SIZES = (4, 8, 16)


def prepared(dataset: str, random_labels: float, n_seeds: int) -> Prepared:
    """One problem with its truth, at the defaults of the data set and of the model."""
    problem = {"dataset": dataset, "model": MODEL, "random_labels": random_labels}
    plan = Plan.model_validate({"estimators": ["random"], "problem": problem, "truth": {"seeds": n_seeds}})
    (found,), _ = prepare(plan, installed())
    return found


def truth_of(problem: Prepared, n_seeds: int) -> Tensor:
    """Effects (n_seeds, n_train, n_test)."""
    return trained(replace(problem.judged.ground_truth, n_seeds=n_seeds), Resources()).influence


def measured(effects: Tensor, blocks: list[Block], size: int) -> dict[str, float]:
    """Reliability and ceiling of `size` seeds, from the correlations between disjoint sets of this many seeds."""
    found = [
        mean_over_columns(spearman, effects[list(half)].mean(0), effects[list(other)].mean(0), blocks).values
        for half, other in splits(len(effects), size)
    ]
    of_points = sum(found[1:], found[0]) / len(found)  # the average over splits, for each test point
    return {"reliability": float(of_points.nanmean()), "ceiling": float(of_points.clamp_min(0).sqrt().nanmean())}


def predicted(effects: Tensor, blocks: list[Block], size: int) -> dict[str, float]:
    """Reliability and ceiling predicted from `size` seeds alone; the mean over disjoint sets of this many seeds."""
    parts = [reliability(effects[start : start + size], blocks) for start in range(0, len(effects) - size + 1, size)]
    return {
        "n_sets": len(parts),
        "reliability": fmean(part.reliability.value for part in parts if part.reliability),
        "ceiling": fmean(part.ceiling.value for part in parts if part.ceiling),
    }


def compared(effects: Tensor, blocks: list[Block]) -> dict[str, object]:
    """The measured curve, the factor of the odds at each doubling, and the predictions of sets of seeds."""
    sizes = [2**k for k in range(len(effects).bit_length()) if 2 * 2**k <= len(effects)]
    curve: Mapping[int, dict[str, float]] = {size: measured(effects, blocks, size) for size in sizes}
    odds = [log(of["reliability"] / (1 - of["reliability"])) for of in curve.values()]
    return {
        "curve": {str(size): of["reliability"] for size, of in curve.items()},
        "growth_of_odds": [exp(after - before) for before, after in pairwise(odds)],
        "from_few_seeds": [
            {"n_seeds": size, "measured": curve[size], "predicted": predicted(effects, blocks, size)}
            for size in SIZES
            if size in curve
        ],
    }


@click.command()
@click.option("--seeds", type=click.IntRange(min=8), default=64, show_default=True, help="Of each truth.")
@click.option("-o", "output", type=click.Path(dir_okay=False, path_type=Path), help="Write the JSON to this file.")
def main(seeds: int, output: Path | None) -> None:
    """Compare the reliability predicted from few seeds with the reliability measured with many."""
    cases = []
    for dataset, random_labels in PROBLEMS:
        problem = prepared(dataset, random_labels, seeds)
        effects, data = truth_of(problem, seeds), problem.trainer.data
        views = {
            "influence": whole_table(*effects.shape[1:]),
            "within_class": within_classes(data.train.labels, data.test.labels),
        }
        for where, blocks in views.items():
            case = {"problem": problem.plan.name, "where": where, "n_seeds": seeds, **compared(effects, blocks)}
            cases.append(case)
            click.echo(json.dumps(case))
    if output:
        described = {**environment(), "command": " ".join(["python benchmarks/reliability.py", *sys.argv[1:]])}
        write_bytes(output, (json.dumps({"environment": described, "cases": cases}, indent=2) + "\n").encode())


if __name__ == "__main__":
    main()
