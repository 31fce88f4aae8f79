"""The cost of exact TracIn: ours and captum's `TracInCP` on the same checkpoints.

    python benchmarks/speed_tracin.py [--threads N] [--repeats N] [-o FILE]

The problem is digits with 300 train and 200 test points, an MLP of 64 units, and 5 checkpoints. Ours is the sum over
checkpoints of the inner products that the estimator `tracin` computes; captum (`pip install influbench[bench]`) gets
the same parameters, the same data and batches of all points, and computes gradients example by example. Training is not
timed. The two run in turn, round after round; medians are reported, and the first round is not counted.
`largest_difference` is the largest difference of scores, relative to the largest score.
"""

import json
import sys
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import click
import torch
from torch import Tensor
from torch.nn import CrossEntropyLoss
from torch.utils.data import TensorDataset

from influbench.api import Problem
from influbench.engine.boundary import checked_data
from influbench.estimators.gradient_products import GradientProducts
from influbench.problem import TrainingProblem
from influbench.registry import installed, parse_selector
from influbench.resources import Resources
from influbench.store.files import write_bytes
from influbench.store.run_directory import environment
from influbench.training.loop import Trainer
from influbench.training.updates import update_rule

try:
    import captum
    from captum.influence import TracInCP
except ImportError:
    sys.exit("captum is not installed; pip install influbench[bench]")

N_CHECKPOINTS = 5

Checkpoint = dict[str, Tensor]


def digits() -> TrainingProblem:
    """The default problem, as an estimator sees it."""
    dataset: Any = installed().create("dataset", parse_selector("digits[n_train=300,n_test=200]"))
    model: Any = installed().create("model", parse_selector("mlp"))
    data = checked_data(dataset.load(0), name="digits", dtype=torch.float32)
    trainer = Trainer(data, model, update_rule(model.recipe), "neg_loss", torch.float32, torch.device("cpu"))
    return TrainingProblem(trainer, seed=0, bank_seed=1, resources=Resources())


def checkpoints(problem: Problem) -> list[Checkpoint]:
    steps = [problem.n_steps * (k + 1) // N_CHECKPOINTS for k in range(N_CHECKPOINTS)]
    runs = problem.train(replicates=[0], checkpoints=steps)
    return [{name: p[0].clone() for name, p in runs.parameters(step=step).items()} for step in steps]


def of_captum(problem: Problem, kept: list[Checkpoint]) -> Tensor:
    """Scores (n_train, n_test) by captum, whose influence is the inner product of the losses' gradients."""
    data, module = problem.data, problem.model.build(problem.data)

    def load(module: torch.nn.Module, number: str) -> float:
        module.load_state_dict(kept[int(number)])
        return problem.recipe.learning_rate

    tracin = TracInCP(
        module,
        TensorDataset(data.train.inputs, data.train.labels),
        [str(number) for number in range(len(kept))],
        load,
        loss_fn=CrossEntropyLoss(reduction="sum"),
        batch_size=len(data.train),
        sample_wise_grads_per_batch=True,
    )
    scores: Tensor = tracin.influence((data.test.inputs, data.test.labels))
    return scores.T.double()


def ours(problem: Problem, kept: list[Checkpoint]) -> Tensor:
    gradients = GradientProducts(problem, kept[0])
    products = [gradients.products(parameters) for parameters in kept]
    return -problem.recipe.learning_rate * torch.stack(products).sum(0)


@click.command()
@click.option("--threads", type=click.IntRange(min=1), help="Threads of torch.  [default: torch's own]")
@click.option("--repeats", type=click.IntRange(min=1), default=9, show_default=True, help="Rounds that are counted.")
@click.option("-o", "output", type=click.Path(dir_okay=False, path_type=Path), help="Also write the JSON to this file.")
def speed(threads: int | None, repeats: int, output: Path | None) -> None:
    """Time TracIn of 300 x 200 points at 5 checkpoints."""
    torch.set_num_threads(threads or torch.get_num_threads())
    problem = digits()
    kept = checkpoints(problem)
    seconds: dict[str, list[float]] = {"captum": [], "ours": []}
    scores = {}
    for _ in range(1 + repeats):
        for name, call in (("captum", of_captum), ("ours", ours)):
            start = perf_counter()
            scores[name] = call(problem, kept)
            seconds[name].append(perf_counter() - start)
    medians = {name: median(of_call[1:]) for name, of_call in seconds.items()}
    found = {
        "environment": {
            **environment(),
            "captum": captum.__version__,
            "command": " ".join(["python benchmarks/speed_tracin.py", *sys.argv[1:]]),
            "threads": torch.get_num_threads(),
        },
        "captum_seconds": medians["captum"],
        "ours_seconds": medians["ours"],
        "speedup": medians["captum"] / medians["ours"],
        "largest_difference": float((scores["ours"] - scores["captum"]).abs().max() / scores["captum"].abs().max()),
    }
    text = json.dumps(found, indent=2)
    if output:
        write_bytes(output, f"{text}\n".encode())
    click.echo(text)


if __name__ == "__main__":
    speed()
