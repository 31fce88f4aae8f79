"""Labels follow the network's predictions, and lead to the exact Fisher matrix."""

import pytest
import torch
from brute_force import Network, at_every_label
from influbench.testing import small_problem
from torch import Tensor

from influbench_kronfluence.draws import drawn_labels

OUTPUTS = torch.tensor([[0.0, 1.0, -1.0], [3.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
IDS = torch.tensor([7, 3, 900])


def test_classes_come_as_often_as_the_network_says() -> None:
    labels = drawn_labels(OUTPUTS, IDS, n_classes=3, n_draws=40_000, seed=1)
    found = torch.stack([(labels == c).double().mean(1) for c in range(3)], 1)
    torch.testing.assert_close(found, OUTPUTS.double().softmax(1), rtol=0, atol=0.01)


def test_float_labels_are_normal_with_half_a_unit_of_variance() -> None:
    labels = drawn_labels(OUTPUTS[:, :1].double(), IDS, n_classes=None, n_draws=40_000, seed=1)
    torch.testing.assert_close(labels.mean(1), OUTPUTS[:, 0].double(), rtol=0, atol=0.02)
    torch.testing.assert_close(labels.var(1), torch.full((3,), 0.5, dtype=torch.float64), rtol=0, atol=0.02)


def test_a_label_follows_the_id_of_its_example() -> None:
    order = torch.tensor([2, 0, 1])
    labels = drawn_labels(OUTPUTS, IDS, n_classes=3, n_draws=50, seed=1)
    assert torch.equal(drawn_labels(OUTPUTS[order], IDS[order], n_classes=3, n_draws=50, seed=1), labels[order])
    assert not torch.equal(drawn_labels(OUTPUTS, IDS, n_classes=3, n_draws=50, seed=2), labels)


def test_the_error_of_the_fisher_matrix_falls_with_the_root_of_the_draws() -> None:
    """The mean error of its diagonal is 71% of its norm with one draw, 19% with 16, 5% with 256."""
    errors = torch.stack([_errors(n_draws) for n_draws in (1, 16, 256)])
    assert errors.tolist() == pytest.approx([0.71, 0.19, 0.05], abs=0.01)


def _errors(n_draws: int) -> Tensor:
    """The mean error over 12 seeds, relative to the norm."""
    problem = small_problem()
    network = Network(problem)
    weights, rows = at_every_label(network)["1"]
    squares = rows.gradients.flatten(1).square()
    exact = weights @ squares
    outputs = network.module(problem.data.train.inputs).detach()
    errors = []
    for seed in range(12):
        labels = drawn_labels(outputs, problem.data.train.ids, n_classes=3, n_draws=n_draws, seed=seed)
        shares = torch.stack([(labels == c).double().mean(1) for c in range(3)]) / len(labels)
        errors.append((shares.flatten() @ squares - exact).norm() / exact.norm())
    return torch.stack(errors).mean()
