"""The cost of one retrained model: ours, a plain PyTorch loop, and dattri's `retrain_loo`, in one run.

    python benchmarks/speed.py [--only CASE]... [--json] [--threads N] [--repeats N] [-o FILE]

Times are milliseconds per model. Machines are noisy, so the three run in turn, round after round, and medians are
reported; the first round is not counted. All three do the same training:

* ours         shards of the ground truth, as `influbench run --workers THREADS` trains them, with one thread in each
               process: 64 models with one example left out and one model with all examples, evaluated on the test
               set and on the left-out examples. The same is also timed in one process with all threads.
* plain loop   tensors in memory, batches by index, torch.optim; the example has weight 0 in the loss; evaluated on
               the test set. The order of the examples is drawn beforehand, outside of the timed part.
* dattri       `retrain_loo` with the training function of its documentation; null where dattri is not installed
               (`pip install influbench[bench]`). It does not evaluate the models, which is to its advantage.

`gemm_fraction` is our floating-point rate divided by the rate of a large matrix product with the same threads.
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import asdict, dataclass, replace
from io import StringIO
from itertools import groupby
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

import click
import torch
from rich import box
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.flop_counter import FlopCounterMode

from influbench.api import Recipe
from influbench.errors import InflubenchError
from influbench.executors.processes import LocalProcesses
from influbench.registry import installed, parse_selector
from influbench.seeds import derive
from influbench.store.files import write_bytes
from influbench.store.run_directory import environment
from influbench.training.batches import batch_rows
from influbench.training.loop import Trainer
from influbench.training.updates import update_rule
from influbench.truth.leave_one_out import GroundTruth, leave_out

SEED = 0
N_LOOPED = 2  # models that the plain loop and dattri train in each round
GEMM_WIDTH = 2048

Call = Callable[[], object]


@dataclass(frozen=True)
class Case:
    """One training to time. Cases of one `group` are compared with each other, so they run in turn."""

    name: str
    group: str
    dataset: str
    model: str = "mlp[hidden=[64]]"
    epochs: int | None = None  # None: the model's own
    n_left_out: int = 64
    n_workers: int = 0  # processes with one thread each; 0: this process with all threads
    shards_per_worker: int = 4
    compared: bool = False  # with the plain loop, dattri and the matrix product


@dataclass(frozen=True)
class Outcome:
    """The measurements of one case; None if not measured. Times are per retrained model."""

    name: str
    ours_ms: float
    ours_one_process_ms: float | None
    plain_loop_ms: float | None
    dattri_ms: float | None
    speedup_plain: float | None
    speedup_dattri: float | None
    gemm_fraction: float | None


_DIGITS = "digits[n_train=300,n_test=200]"
_FASHION = "fashion_mnist[n_train={},n_test={}]".format
CASES = [
    Case("digits-mlp", "digits-mlp", _DIGITS, compared=True),
    Case("fashion-mlp", "fashion-mlp", _FASHION(1000, 500), epochs=5, shards_per_worker=2, compared=True),
    Case("fashion-cnn", "fashion-cnn", _FASHION(500, 200), "cnn", epochs=2, shards_per_worker=1, compared=True),
    *(Case(f"n_train-{n}", "n_train", f"digits[n_train={n},n_test=100]") for n in (100, 200, 400, 800, 1600)),
    *(Case(f"replicas-{n}", "replicas", _DIGITS, n_left_out=n) for n in (1, 8, 16, 32, 64)),
    *(Case(f"workers-{n}", f"workers-{n}", _DIGITS, n_workers=n) for n in (1, 2)),
]


@click.command()
@click.option("--only", multiple=True, type=click.Choice([case.name for case in CASES]), help="Time this case only.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--threads", type=click.IntRange(min=1), help="Threads of torch.  [default: torch's own]")
@click.option("--repeats", type=click.IntRange(min=1), default=5, show_default=True, help="Rounds that are counted.")
@click.option("-o", "output", type=click.Path(dir_okay=False, path_type=Path), help="Also write the JSON to this file.")
def speed(only: Sequence[str], as_json: bool, threads: int | None, repeats: int, output: Path | None) -> None:
    """Time leave-one-out retraining against a plain PyTorch loop and dattri."""
    cases = [case for case in CASES if not only or case.name in only]
    with _threads(threads), torch.random.fork_rng(devices=[]):
        described = {
            **environment(),
            "command": " ".join(["python benchmarks/speed.py", *sys.argv[1:]]),
            "threads": torch.get_num_threads(),
        }
        outcomes = [outcome for _, group in groupby(cases, lambda c: c.group) for outcome in _timed(group, repeats)]
    text = json.dumps({"environment": described, "cases": [asdict(outcome) for outcome in outcomes]}, indent=2)
    if output:
        write_bytes(output, f"{text}\n".encode())
    if as_json:
        click.echo(text)
    else:
        Console().print(_table(outcomes, torch_threads=described["threads"]))


def _timed(cases: Iterator[Case], repeats: int) -> list[Outcome]:
    """Outcomes of one group of cases, except those whose data set or model is not available."""
    trainers: dict[Case, Trainer] = {}
    for case in cases:
        try:
            trainers[case] = _trainer(case)
        except InflubenchError as error:
            click.echo(f"{case.name} is left out: {error}", err=True)
    with TemporaryDirectory() as folder:
        calls = {
            (case, what): call
            for case, trainer in trainers.items()
            for what, call in _calls(case, trainer, Path(folder)).items()
        }
        seconds = medians(calls, repeats)
    return [
        _outcome(case, trainer, {what: s for (of, what), s in seconds.items() if of is case})
        for case, trainer in trainers.items()
    ]


def _trainer(case: Case) -> Trainer:
    """The trainer of this case's networks. InflubenchError if a name is not registered or its data are missing."""
    registry = installed()
    data = registry.create("dataset", parse_selector(case.dataset)).load(SEED)
    model = registry.create("model", parse_selector(case.model))
    recipe = replace(model.recipe, epochs=case.epochs) if case.epochs else model.recipe
    return Trainer(data, model, update_rule(recipe), "neg_loss", torch.float32, torch.device("cpu"))


def _calls(case: Case, trainer: Trainer, folder: Path) -> dict[str, Call]:
    """The calls that are timed for one case, by name."""
    if not case.compared:
        ours = _by_workers(trainer, case, case.n_workers) if case.n_workers else _here(trainer, case.n_left_out)
        return {"ours": ours}
    calls = {"ours": _by_workers(trainer, case, torch.get_num_threads()), "here": _here(trainer, case.n_left_out)}
    batches = batch_rows(trainer.recipe, trainer.data.train.ids, [SEED])
    calls["plain"] = lambda: [plain_loop(trainer, SEED, batches, left_out=row) for row in range(N_LOOPED)]
    if dattri := _dattri(trainer, folder):
        calls["dattri"] = dattri
    factor = torch.randn(GEMM_WIDTH, GEMM_WIDTH)
    calls["gemm"] = lambda: factor @ factor
    return calls


def _here(trainer: Trainer, n_left_out: int) -> Call:
    return lambda: leave_out(trainer, SEED, range(n_left_out))


def _by_workers(trainer: Trainer, case: Case, n_workers: int) -> Call:
    """Train a few full shards for each worker. The processes are kept from one round to the next."""
    n_seeds, executor = n_workers * case.shards_per_worker, LocalProcesses(n_workers)
    ground_truth = GroundTruth(trainer, SEED, n_seeds=n_seeds)
    first_blocks = [name for name in ground_truth.names if _is_first(name)]
    return lambda: list(executor.run(GroundTruth.compute, ground_truth, first_blocks))


def _is_first(name: str) -> bool:
    return name.endswith("block-00000")


def _outcome(case: Case, trainer: Trainer, seconds: Mapping[str, float]) -> Outcome:
    """The reported figures, from the seconds of each call."""
    n_workers = torch.get_num_threads() if case.compared else case.n_workers
    of_shard = case.n_left_out + 1
    models = {
        "ours": max(1, n_workers * case.shards_per_worker) * of_shard,
        "here": of_shard,
        "plain": N_LOOPED,
        "dattri": N_LOOPED,
    }
    per_model = {what: 1000 * seconds[what] / n for what, n in models.items() if what in seconds}
    ours, plain, dattri = per_model["ours"], per_model.get("plain"), per_model.get("dattri")
    fraction = None
    if "gemm" in seconds:
        fraction = 1000 * flops_per_model(trainer) / ours / (2 * GEMM_WIDTH**3 / seconds["gemm"])
    return Outcome(
        case.name,
        ours_ms=ours,
        ours_one_process_ms=per_model.get("here"),
        plain_loop_ms=plain,
        dattri_ms=dattri,
        speedup_plain=plain and plain / ours,
        speedup_dattri=dattri and dattri / ours,
        gemm_fraction=fraction,
    )


def medians(calls: Mapping[tuple[Case, str], Call], repeats: int) -> dict[tuple[Case, str], float]:
    """Median seconds of each call. The calls run in turn, `repeats` times, after a first round that is not counted."""
    seconds: dict[tuple[Case, str], list[float]] = {key: [] for key in calls}
    for _ in range(1 + repeats):
        for key, call in calls.items():
            start = perf_counter()
            call()
            seconds[key].append(perf_counter() - start)
    return {key: median(of_call[1:]) for key, of_call in seconds.items()}


def plain_loop(trainer: Trainer, seed: int, batches: Sequence[Tensor], *, left_out: int) -> Tensor:
    """Losses (n_test,) of the network trained without one example, in ordinary PyTorch code."""
    train, test = trainer.data.train, trainer.data.test
    weights = torch.ones(len(train), dtype=trainer.dtype)
    weights[left_out] = 0
    module = _initial(trainer, seed)
    optimizer = _optimizer(trainer.recipe, module)
    for rows, learning_rate in zip(batches, trainer.learning_rates, strict=True):
        optimizer.param_groups[0]["lr"] = learning_rate
        optimizer.zero_grad()
        losses = trainer.model.loss(module(train.inputs[rows]), train.labels[rows])
        (losses * weights[rows]).mean().backward()
        optimizer.step()
    with torch.no_grad():
        return trainer.model.loss(module(test.inputs), test.labels)


def _dattri(trainer: Trainer, folder: Path) -> Call | None:
    """dattri's retraining of as many models as the plain loop trains; None if dattri is not installed."""
    try:
        from dattri.model_util.retrain import retrain_loo
    except ImportError:
        return None

    def train(loader: DataLoader[tuple[Tensor, ...]], seed: int) -> nn.Module:
        module = _initial(trainer, seed)
        optimizer = _optimizer(trainer.recipe, module)
        rates = iter(trainer.learning_rates)
        for _ in range(trainer.recipe.epochs):
            for inputs, labels in loader:
                optimizer.param_groups[0]["lr"] = next(rates)
                optimizer.zero_grad()
                trainer.model.loss(module(inputs), labels).mean().backward()
                optimizer.step()
        return module

    split = trainer.data.train
    loader = DataLoader(TensorDataset(split.inputs, split.labels), batch_size=trainer.recipe.batch_size)

    def retrain() -> None:
        with redirect_stderr(StringIO()):  # its progress bar
            retrain_loo(train, loader, str(folder), indices=list(range(N_LOOPED)), seed=SEED)

    return retrain


def flops_per_model(trainer: Trainer) -> float:
    """Floating-point operations of one training and its evaluation on the test set, forward and backward.

    They are counted for one step and scaled by examples, so that a smaller last batch counts for less.
    """
    train, test = trainer.data.train, trainer.data.test
    batch = train.rows(slice(0, trainer.recipe.batch_size))
    module = _initial(trainer, SEED)
    with FlopCounterMode(display=False) as step:
        trainer.model.loss(module(batch.inputs), batch.labels).mean().backward()
    with FlopCounterMode(display=False) as evaluation, torch.no_grad():
        module(test.inputs)
    n_steps = trainer.recipe.epochs * len(train) / len(batch)
    return float(step.get_total_flops() * n_steps + evaluation.get_total_flops())


def _initial(trainer: Trainer, seed: int) -> nn.Module:
    """The network before training: the same parameters as `Trainer.initial_parameters` of this seed."""
    torch.manual_seed(derive(seed, "init"))
    return trainer.model.build(trainer.data).to(trainer.dtype)


def _optimizer(recipe: Recipe, module: nn.Module) -> torch.optim.Optimizer:
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(
            module.parameters(), recipe.learning_rate, momentum=recipe.momentum, weight_decay=recipe.weight_decay
        )
    kind = torch.optim.Adam if recipe.optimizer == "adam" else torch.optim.AdamW
    return kind(
        module.parameters(),
        recipe.learning_rate,
        betas=recipe.betas,
        eps=recipe.epsilon,
        weight_decay=recipe.weight_decay,
    )


@contextmanager
def _threads(n: int | None) -> Iterator[None]:
    """Let torch use `n` threads within the context; None changes nothing."""
    before = torch.get_num_threads()
    torch.set_num_threads(n or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _table(outcomes: Sequence[Outcome], *, torch_threads: object) -> Table:
    table = Table(
        title=f"milliseconds per retrained model, {torch_threads} threads",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        title_justify="left",
    )
    table.add_column("case", no_wrap=True)
    for heading in ("ours", "one process", "plain loop", "dattri", "plain / ours", "dattri / ours", "of GEMM"):
        table.add_column(heading, justify="right")
    for o in outcomes:
        table.add_row(
            o.name,
            _written(o.ours_ms, "{:.2f}"),
            _written(o.ours_one_process_ms, "{:.2f}"),
            _written(o.plain_loop_ms, "{:.1f}"),
            _written(o.dattri_ms, "{:.1f}"),
            _written(o.speedup_plain, "{:.1f}x"),
            _written(o.speedup_dattri, "{:.1f}x"),
            _written(o.gemm_fraction, "{:.0%}"),
        )
    return table


def _written(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)


if __name__ == "__main__":
    speed()
