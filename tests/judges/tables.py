"""Effects with a signal, and what statistics of them are when every sum is written out."""

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor

from influbench.api import Estimate, Judge, JudgedProblem, Truth

N_TRAIN, N_TEST = 40, 6


def truth_with_signal(*, n_seeds: int = 4, n_train: int = N_TRAIN, n_test: int = N_TEST, noise: float = 0.5) -> Truth:
    """Expected effects that differ in size between test points, with noise in each seed."""
    generator = torch.Generator().manual_seed(5)

    def drawn(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    expected = drawn(n_train, n_test) * torch.linspace(0.3, 2, n_test, dtype=torch.float64)
    return Truth(
        influence=expected + noise * drawn(n_seeds, n_train, n_test),
        memorization=drawn(n_train) + noise * drawn(n_seeds, n_train),
    )


def scores(seed: int = 9, *, n_train: int = N_TRAIN, n_test: int = N_TEST) -> Tensor:
    return torch.randn(n_train, n_test, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def value_of(judge: Judge, problem: JudgedProblem, truth: Truth, key: str, repeats: list[Tensor]) -> float:
    """The value of these scores of influence in one column of a judge."""
    (column,) = (column for column in judge.columns(problem) if column.key == key)
    yardstick = judge.yardsticks(problem, [truth], step=problem.n_steps)[key]
    held = [judge.scores(Estimate(one), column) for one in repeats]
    found = yardstick.agreement([yardstick.held(one) for one in held if one is not None]).value
    assert found is not None
    return found.value


def of_each(found: Tensor, effects: Tensor) -> np.ndarray:
    """Scipy's correlation for each test point."""
    return np.array([spearmanr(found[:, j], effects[:, j]).statistic for j in range(effects.shape[1])])


def of_each_class(found: Tensor, effects: Tensor, labels: Tensor, test_labels: Tensor) -> np.ndarray:
    """Scipy's correlation for each test point, over the train points of its class."""
    values = []
    for j, label in enumerate(test_labels):
        rows = labels == label
        values.append(spearmanr(found[rows, j], effects[rows, j]).statistic)
    return np.array(values)


def worth_of_highest(found: Tensor, worth: Tensor, k: int) -> float:
    """The sum, over test points, of the worth of the k train points with the highest scores."""
    return sum(float(worth[np.argsort(-found[:, j].numpy())[:k], j].sum()) for j in range(worth.shape[1]))


def largest_by_hand(effects: Tensor, k: int) -> float:
    """The largest effect of k train points: what seeds choose, valued by themselves and the others, without bias."""
    n_seeds, by_others, by_one = len(effects), [], []
    for r in range(n_seeds):
        others = effects[[s for s in range(n_seeds) if s != r]].mean(0)
        worth = (others + effects[r]) / 2
        by_others.append(worth_of_highest(others, worth, k))
        by_one.append(worth_of_highest(effects[r], worth, k))
    bias = (np.mean(by_one) - np.mean(by_others)) / (n_seeds - 2)
    return float(np.mean(by_others) - bias)


def signal_by_hand(effects: Tensor) -> np.ndarray:
    """For each test point, the sum over train points of the mean product of two different seeds; at least 0."""
    n_seeds = len(effects)
    pairs = [(r, s) for r in range(n_seeds) for s in range(n_seeds) if r != s]
    sums = np.mean([(effects[r] * effects[s]).sum(0).numpy() for r, s in pairs], axis=0)
    return np.maximum(sums, 0)
