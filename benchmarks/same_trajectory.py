"""The part of metagradient's agreement that would come from sharing trainings with the truth.

    python benchmarks/same_trajectory.py [PLAN] [--seeds N] [-o FILE]

The derivative of a training by an example's weight is exact for that training, and the truth is the leave-one-out
effect of trainings. `own_seeds` is the figure that a run of the benchmark reports: derivatives of N trainings with the
estimator's own seeds, compared with the plan's truth. `same_trajectories` are the derivatives of the trainings of the
truth's first N seeds, which estimators cannot access, compared with the truth of these seeds. `one_trajectory` is the
mean over seeds of one training's derivative compared with the leave-one-out effect of that training alone. Each is
Spearman's correlation, averaged over test points, over all train points and within class, with its 95% interval.
"""

import json
import sys
from pathlib import Path

import click
import torch
from torch import Tensor

from influbench.engine.preparation import Prepared, prepare, resolved
from influbench.estimators.metagradient import Metagradient
from influbench.plan import read_plan
from influbench.problem import TrainingProblem
from influbench.registry import installed
from influbench.resources import Resources
from influbench.shards import trained
from influbench.statistics.correlation import Block, mean_over_columns, spearman, whole_table, within_classes
from influbench.statistics.estimation import mean_estimation
from influbench.statistics.yardsticks import statistic
from influbench.store.files import write_bytes
from influbench.store.run_directory import environment


class OnTheTruth(TrainingProblem):
    """A problem whose replicates are trainings of the ground truth, starting from this seed of the truth."""

    def __init__(self, prepared: Prepared, first: int) -> None:
        super().__init__(prepared.trainer, seed=0, bank_seed=0, resources=Resources())
        self._truth, self._first = prepared.judged.ground_truth, first

    def _training_seed(self, replicate: int) -> int:
        return self._truth.seed(self._first + replicate)


@click.command()
@click.argument("plan", default="benchmarks/estimators.toml")
@click.option("--seeds", "n_seeds", type=click.IntRange(min=2), default=12, show_default=True, help="Trainings.")
@click.option("-o", "output", type=click.Path(dir_okay=False, path_type=Path), help="Also write the JSON to this file.")
def main(plan: str, n_seeds: int, output: Path | None) -> None:
    """Compute metagradient's agreement, with its own seeds and on the truth's trainings, on PLAN's first problem."""
    chosen = resolved(read_plan(plan).changed(estimators=(f"metagradient[n_seeds={n_seeds}]",)), installed())
    prepared = prepare(chosen, installed())[0][0]
    truth = prepared.judged.ground_truth
    effects = trained(truth, Resources()).influence
    data = prepared.trainer.data
    places = {
        "influence": whole_table(len(data.train), len(data.test)),
        "within_class": within_classes(data.train.labels, data.test.labels),
    }
    own = scores(prepared.candidates[0].problems[0], n_seeds)
    of_seeds = torch.stack([scores(OnTheTruth(prepared, seed), 1) for seed in range(n_seeds)])
    found = {
        "own_seeds": [(own, effects.mean(0))],
        "same_trajectories": [(of_seeds.mean(0), effects[:n_seeds].mean(0))],
        "one_trajectory": list(zip(of_seeds, effects[:n_seeds], strict=True)),
    }
    text = json.dumps(
        {
            "environment": {
                **environment(),
                "command": " ".join(["python benchmarks/same_trajectory.py", *sys.argv[1:]]),
            },
            "problem": prepared.plan.name,
            "n_seeds": n_seeds,
            "n_seeds_of_truth": chosen.truth.seeds,
            **{
                name: {where: agreement(pairs, blocks) for where, blocks in places.items()}
                for name, pairs in found.items()
            },
        },
        indent=2,
    )
    if output:
        write_bytes(output, f"{text}\n".encode())
    click.echo(text)


def scores(problem: TrainingProblem, n_seeds: int) -> Tensor:
    influence = Metagradient(n_seeds=n_seeds).estimate(problem).influence
    assert influence is not None
    return influence


def agreement(pairs: list[tuple[Tensor, Tensor]], blocks: list[Block]) -> dict[str, float | None]:
    of_pairs = [mean_over_columns(spearman, estimate, effect, blocks).estimation for estimate, effect in pairs]
    return statistic(mean_estimation([one for one in of_pairs if one is not None])).model_dump()


if __name__ == "__main__":
    main()
