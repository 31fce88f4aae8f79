"""Kronfluence's analysis of one trained network: fits the factors, then computes products through them."""

import gc
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import Any

import torch
from influbench import Problem, Split
from influbench.api import MeasureName
from influbench.seeds import derive
from kronfluence.analyzer import Analyzer, prepare_model
from kronfluence.arguments import FactorArguments, ScoreArguments
from kronfluence.task import Task
from kronfluence.utils.state import State
from torch import Tensor, nn
from torch.utils.data import Dataset

from influbench_kronfluence.draws import drawn_labels
from influbench_kronfluence.layers import tracked_layers

_NUMBERS = 2**24  # entries of per-example gradients held at a time
_EXAMPLES = 128  # in a batch: convolutions hold the patches of all of its images


@dataclass(frozen=True)
class Curvature:
    """The approximation. `damping` None is kronfluence's heuristic; `n_draws` 0 uses the labels of the data."""

    strategy: str
    damping: float | None
    n_draws: int
    seed: int


class Analysis:
    """A network with fitted factors. Its products are (test, train), as in kronfluence, without sign and 1/n."""

    def __init__(self, problem: Problem, module: nn.Module, curvature: Curvature, *, folder: str) -> None:
        self._problem, self._curvature = problem, curvature
        self._n_parameters = sum(p.numel() for p in module.parameters())
        # in a container, because kronfluence cannot replace a network that is itself a layer
        self._task = _Task(problem, [f"0.{name}".rstrip(".") for name in tracked_layers(problem, module)])
        self._model = prepare_model(nn.Sequential(module), self._task)
        self._analyzer = Analyzer(
            "influbench",
            self._model,
            self._task,
            cpu=problem.device.type == "cpu",
            disable_tqdm=True,
            output_dir=folder,
        )
        self._train, self._test = _Examples(problem.data.train), _Examples(problem.data.test)
        self._fit()

    @classmethod
    @contextmanager
    def of(cls, problem: Problem, parameters: Mapping[str, Tensor], curvature: Curvature) -> "Iterator[Analysis]":
        """An analysis of a private copy of the network, in float64. All side effects are undone afterwards."""
        with _undisturbed(problem.device), TemporaryDirectory() as folder:
            yield cls(problem, problem.module(parameters).double(), curvature, folder=folder)

    def products(self) -> Tensor:
        """Gradients of the problem's measure, through the curvature, times loss gradients, (n_test, n_train)."""
        self._task.measure = self._problem.measure
        self._analyzer.compute_pairwise_scores(
            "pairs",
            "factors",
            query_dataset=self._test,
            train_dataset=self._train,
            per_device_query_batch_size=self._batch_size(self._test),
            per_device_train_batch_size=self._batch_size(self._train),
            score_args=self._score_arguments(),
        )
        return _loaded(self._analyzer.load_pairwise_scores("pairs"))

    def own_products(self, measure: MeasureName) -> Tensor:
        """The products of each train point with itself, (n_train,)."""
        self._task.measure = measure
        self._analyzer.compute_self_scores(
            "own",
            "factors",
            train_dataset=self._train,
            per_device_train_batch_size=self._batch_size(self._train),
            score_args=self._score_arguments(use_measurement_for_self_influence=True),
        )
        return _loaded(self._analyzer.load_self_scores("own"))

    def _fit(self) -> None:
        """Fit as `fit_all_factors` does, with labels drawn for each factor, by id instead of by place in a batch."""
        arguments = FactorArguments(
            strategy=self._curvature.strategy,
            use_empirical_fisher=self._curvature.n_draws == 0,
            covariance_max_examples=None,
            lambda_max_examples=None,
            activation_covariance_dtype=torch.float64,
            gradient_covariance_dtype=torch.float64,
            per_sample_gradient_dtype=torch.float64,
            lambda_dtype=torch.float64,
        )
        size = self._batch_size(self._train)
        self._analyzer.fit_covariance_matrices("factors", self._fitted_on("covariance"), size, factor_args=arguments)
        self._analyzer.perform_eigendecomposition("factors", factor_args=arguments)
        self._analyzer.fit_lambda_matrices("factors", self._fitted_on("lambda"), size, factor_args=arguments)

    def _fitted_on(self, factor: str) -> "_Examples":
        n_draws, train = self._curvature.n_draws, self._problem.data.train
        if n_draws == 0:
            return self._train
        with torch.no_grad():
            outputs = torch.cat(
                [self._model(rows) for rows in train.inputs.double().split(self._batch_size(self._train))]
            )
        labels = drawn_labels(
            outputs,
            train.ids,
            n_classes=self._problem.data.n_classes,
            n_draws=n_draws,
            seed=derive(self._curvature.seed, factor),
        )
        return _Examples(train, labels)

    def _batch_size(self, examples: "_Examples") -> int:
        return max(1, min(len(examples), _EXAMPLES, _NUMBERS // self._n_parameters))

    def _score_arguments(self, **more: Any) -> ScoreArguments:
        return ScoreArguments(
            damping_factor=self._curvature.damping,
            per_sample_gradient_dtype=torch.float64,
            precondition_dtype=torch.float64,
            score_dtype=torch.float64,
            **more,
        )


class _Examples(Dataset[tuple[Tensor, Tensor]]):
    """Inputs in float64 with their labels, or with drawn labels (n, n_draws), and then once for each draw."""

    def __init__(self, split: Split, drawn: Tensor | None = None) -> None:
        split = split.to(torch.float64)
        self._inputs = split.inputs
        self._labels = split.labels[:, None] if drawn is None else drawn

    def __len__(self) -> int:
        return self._labels.numel()

    def __getitem__(self, k: int) -> tuple[Tensor, Tensor]:
        draw, row = divmod(k, len(self._inputs))
        return self._inputs[row], self._labels[row, draw]


class _Task(Task):  # type: ignore[misc]  # kronfluence is not typed
    """The problem's losses and measure, summed over a batch. Labels are drawn beforehand, so `sample` is unused."""

    def __init__(self, problem: Problem, layers: list[str]) -> None:
        self._problem, self._layers = problem, layers
        self.measure: MeasureName = problem.measure

    def compute_train_loss(self, batch: tuple[Tensor, Tensor], model: nn.Module, sample: bool = False) -> Tensor:  # noqa: ARG002
        inputs, labels = batch
        return self._problem.loss(model(inputs), labels).sum()

    def compute_measurement(self, batch: tuple[Tensor, Tensor], model: nn.Module) -> Tensor:
        inputs, labels = batch
        return self._problem.measured(model(inputs), labels, measure=self.measure).sum()

    def get_influence_tracked_modules(self) -> list[str]:
        return self._layers


def _loaded(scores: Mapping[str, Tensor] | None) -> Tensor:
    assert scores is not None
    return scores["all_modules"].double()


@contextmanager
def _undisturbed(device: torch.device) -> Iterator[None]:
    """A context in which kronfluence runs on this device; restores generators, warnings and kronfluence's state."""
    with (
        _own_state(),
        _quick_collections(),
        warnings.catch_warnings(),
        torch.random.fork_rng([device] if device.type == "cuda" else []),  # its data loaders draw from the global one
        torch.cuda.device(device) if device.type == "cuda" else nullcontext(),
        torch.enable_grad(),
    ):
        # it creates a scaler by the interface of torch before 2.4, and does not use it
        warnings.filterwarnings("ignore", "`torch.cuda.amp.GradScaler", FutureWarning)
        yield


@contextmanager
def _own_state() -> Iterator[None]:
    """A context in which kronfluence chooses its device anew; otherwise, the first device remains for the process."""
    state = dict(State._shared_state)
    State._shared_state.clear()
    try:
        yield
    finally:
        State._shared_state.clear()
        State._shared_state.update(state)


@contextmanager
def _quick_collections() -> Iterator[None]:
    """A context in which the garbage collector ignores older objects; kronfluence calls it twice per test batch."""
    if gc.get_freeze_count():  # frozen by somebody else, which must not be undone
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
