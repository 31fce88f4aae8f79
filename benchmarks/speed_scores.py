"""The cost of turn-over dropout's outputs for all pairs: ours, and a forward pass for each train point and half.

    python benchmarks/speed_scores.py [--train N] [--test N] [--threads N] [--repeats N] [-o FILE]

The network is a 784-768-768-768-10 MLP with ReLU and masks (p = 1/2, balanced) after its first and its third hidden
layer, with random weights and inputs. The loop runs the whole network on all test points under each mask and under its
complement, as a batch; masks are drawn beforehand for both. The two run in turn, round after round; medians are
reported, and the first round is not counted. `gemm_fraction` is the rate of the necessary operations (the stem once for
each test point, and after each site only the units that a mask keeps) divided by the rate of a large matrix product.
"""

import json
import sys
from itertools import pairwise
from pathlib import Path
from statistics import median
from time import perf_counter

import click
import torch
from torch import Tensor, nn

from influbench.estimators.turn_over_dropout.masks import HashedMasks
from influbench.networks.replicas import Replicas
from influbench.store.files import write_bytes
from influbench.store.run_directory import environment

WIDTHS = (784, 768, 768, 768, 10)
SITES = {"1": 768, "5": 768}  # names of the ReLUs after hidden layers 1 and 3
GEMM_WIDTH = 2048

Factors = dict[str, Tensor]


def network() -> nn.Sequential:
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(WIDTHS):
        layers += [nn.Linear(n_in, n_out), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def loop(module: nn.Sequential, inputs: Tensor, halves: tuple[Factors, Factors]) -> Tensor:
    """Outputs (2, n_train, n_test, 10): a forward pass over all test points for each mask and each complement."""
    outputs = []
    for half in halves:
        for mask in range(len(half["1"])):
            hidden = inputs
            for name, layer in module.named_children():
                hidden = layer(hidden)
                if name in half:
                    hidden = hidden * half[name][mask]
            outputs.append(hidden)
    return torch.stack(outputs).unflatten(0, (2, -1))


def ours(replicas: Replicas, parameters: Factors, inputs: Tensor, own: Factors) -> Tensor:
    parts = [pairs for _, pairs in replicas.crossed(parameters, inputs, own, 0.5)]
    return torch.stack([torch.cat(half) for half in zip(*parts, strict=True)])


def flops(n_train: int, n_test: int) -> float:
    """The necessary multiplications and additions: half of the units after each site, and the stem once.

    After the first site, the outputs of one half of the masked units are computed (the complement is free). For each
    half of a mask, the third hidden layer has all inputs and half of the outputs, and the output layer half of the
    inputs.
    """
    n_in, first, second, third, out = WIDTHS
    of_pair = first * second / 2 + 2 * second * third / 2 + 2 * third * out / 2
    return 2 * n_test * (n_in * first + first * second + n_train * of_pair)


@click.command()
@click.option("--train", "n_train", type=click.IntRange(min=2), default=3000, show_default=True, help="Train points.")
@click.option("--test", "n_test", type=click.IntRange(min=2), default=200, show_default=True, help="Test points.")
@click.option("--threads", type=click.IntRange(min=1), help="Threads of torch.  [default: torch's own]")
@click.option("--repeats", type=click.IntRange(min=1), default=3, show_default=True, help="Rounds that are counted.")
@click.option("-o", "output", type=click.Path(dir_okay=False, path_type=Path), help="Also write the JSON to this file.")
def speed(n_train: int, n_test: int, threads: int | None, repeats: int, output: Path | None) -> None:
    """Time all pairs of train and test points, and a loop over train points."""
    torch.manual_seed(0)
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        found = timed(n_train, n_test, repeats)
        described = {
            **environment(),
            "command": " ".join(["python benchmarks/speed_scores.py", *sys.argv[1:]]),
            "threads": torch.get_num_threads(),
        }
    finally:
        torch.set_num_threads(before)
    text = json.dumps({"environment": described, **found}, indent=2)
    if output:
        write_bytes(output, f"{text}\n".encode())
    click.echo(text)


@torch.no_grad()
def timed(n_train: int, n_test: int, repeats: int) -> dict[str, float]:
    module, inputs = network(), torch.rand(n_test, WIDTHS[0])
    masks, ids = HashedMasks([1], SITES, balanced=True), torch.arange(n_train)
    own, flipped = (
        {site: half(site, ids, slice(0, 1))[0].float() for site in SITES} for half in (masks, masks.flipped())
    )
    replicas, parameters = Replicas(module), {name: p.detach() for name, p in module.named_parameters()}
    factor = torch.randn(GEMM_WIDTH, GEMM_WIDTH)
    calls = {
        "loop": lambda: loop(module, inputs, (own, flipped)),
        "ours": lambda: ours(replicas, parameters, inputs, own),
        "gemm": lambda: factor @ factor,
    }
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    outputs = {}
    for _ in range(1 + repeats):
        for name, call in calls.items():
            start = perf_counter()
            outputs[name] = call()
            seconds[name].append(perf_counter() - start)
    medians = {name: median(of_call[1:]) for name, of_call in seconds.items()}
    losses = [half.log_softmax(-1)[..., 0] for name in ("loop", "ours") for half in outputs[name]]
    scores, expected = losses[2] - losses[3], losses[0] - losses[1]
    return {
        "n_train": n_train,
        "n_test": n_test,
        "loop_seconds": medians["loop"],
        "ours_seconds": medians["ours"],
        "speedup": medians["loop"] / medians["ours"],
        "gemm_fraction": flops(n_train, n_test) / medians["ours"] / (2 * GEMM_WIDTH**3 / medians["gemm"]),
        "largest_difference": float((scores - expected).abs().max()),
        "largest_score": float(expected.abs().max()),
    }


if __name__ == "__main__":
    speed()
