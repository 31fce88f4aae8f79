"""Kronfluence itself: where it is right, and where it is silently wrong and the estimator is unsupported."""

import copy
import gc
from collections.abc import Callable, Iterator
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import torch
from kronfluence.analyzer import Analyzer, prepare_model
from kronfluence.arguments import FactorArguments, ScoreArguments
from kronfluence.task import Task
from kronfluence.utils.state import State
from networks import ByHand, Positions, Tied, Twice, convolution, normed, perceptron, subclassed
from torch import Tensor, nn
from torch.utils.data import TensorDataset

# the estimator silences it, but these tests call kronfluence itself
pytestmark = pytest.mark.filterwarnings("ignore:`torch.cuda.amp.GradScaler:FutureWarning")


@pytest.fixture(autouse=True)
def _quick_collections() -> Iterator[None]:
    """kronfluence calls the garbage collector a dozen times in each analysis."""
    gc.freeze()
    yield
    gc.unfreeze()


DOUBLE: dict[str, Any] = {f"{part}_dtype": torch.float64 for part in ("per_sample_gradient", "precondition", "score")}
VECTORS, IMAGES = (6, 4), (6, 1, 5, 5)
RIGHT: dict[str, tuple[Callable[[int, int], nn.Module], tuple[int, ...]]] = {
    "perceptron": (perceptron, VECTORS),
    "positions": (Positions, VECTORS),
    "convolution": (convolution(), IMAGES),
    "strides, dilation": (convolution(stride=2, padding=1, dilation=2), IMAGES),
    "padding valid": (convolution(kernel_size=2, padding="valid"), IMAGES),
    "padding same, odd kernel": (convolution(padding="same"), IMAGES),
}
WRONG: dict[str, tuple[Callable[[int, int], nn.Module], tuple[int, ...]]] = {
    "a layer that runs twice": (Twice, VECTORS),
    "weights that are used outside of their layer": (ByHand, VECTORS),
    "shared weights": (Tied, VECTORS),
    "a layer norm": (normed, VECTORS),
    "groups": (convolution(groups=2), IMAGES),
    "padding that is not zero": (convolution(padding=1, padding_mode="circular"), IMAGES),
}


class Squares(Task):  # type: ignore[misc]
    """A task whose loss and measure are the sum of squared outputs."""

    def compute_train_loss(self, batch: list[Tensor], model: nn.Module, sample: bool = False) -> Tensor:
        return model(batch[0]).square().sum()

    def compute_measurement(self, batch: list[Tensor], model: nn.Module) -> Tensor:
        return model(batch[0]).square().sum()


def products(make: Callable[[int, int], nn.Module], shape: tuple[int, ...], **settings: Any) -> tuple[Tensor, Tensor]:
    """Inner products of gradients, (n, n): kronfluence's with strategy identity, and autograd's."""
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        module, inputs = make(shape[1], 2).double(), torch.randn(shape).double()
    rows = [
        torch.cat([g.flatten() for g in torch.autograd.grad(module(x[None]).square().sum(), list(module.parameters()))])
        for x in inputs
    ]
    task, data = Squares(), TensorDataset(inputs)
    model = prepare_model(copy.deepcopy(module), task)
    with TemporaryDirectory() as folder:
        analyzer = Analyzer("test", model, task, cpu=True, disable_tqdm=True, output_dir=folder)
        analyzer.fit_all_factors("factors", data, 6, factor_args=FactorArguments(strategy="identity", **settings))
        analyzer.compute_pairwise_scores("pairs", "factors", data, data, 6, 6, score_args=ScoreArguments(**DOUBLE))
        return analyzer.load_pairwise_scores("pairs")["all_modules"], torch.stack(rows) @ torch.stack(rows).T


@pytest.mark.parametrize("name", RIGHT)
def test_right(name: str) -> None:
    found, expected = products(*RIGHT[name])
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("name", WRONG)
def test_wrong(name: str) -> None:
    """Products are wrong by 2% to 35% of the largest product."""
    found, expected = products(*WRONG[name])
    assert (found - expected).abs().max() > 0.02 * expected.abs().max()


def test_wrong_for_a_layer_that_runs_twice_even_if_declared() -> None:
    """Its pairwise scores include only the last use of a layer; self-influence adds up all uses."""
    found, expected = products(Twice, VECTORS, has_shared_parameters=True)
    assert (found - expected).abs().max() > 0.02 * expected.abs().max()


def test_a_class_that_inherits_linear_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        products(subclassed, VECTORS)


def test_a_network_of_one_layer_is_a_recursion_error() -> None:
    with pytest.raises(RecursionError):
        products(nn.Linear, VECTORS)


def test_the_device_of_the_first_analysis_stays() -> None:
    State._reset_state()
    first, second = State(cpu=True), State(cpu=False)
    assert second.cpu is first.cpu is True


def test_torch_deprecates_what_it_calls() -> None:
    with pytest.warns(FutureWarning, match="GradScaler"):
        products(perceptron, VECTORS)
