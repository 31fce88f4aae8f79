"""Measures, against sums of exponentials in Python's own numbers."""

from dataclasses import dataclass
from math import exp, log

import pytest
import torch
from torch import Tensor, nn

from influbench.api import Data, Model, Recipe
from influbench.measures import available, example_losses, measure_of
from influbench.models.linear import Linear
from influbench.models.mlp import Mlp

LOGITS = [[2.0, -1.0, 0.5, 0.25], [0.0, 3.0, 3.0, -2.0], [-0.5, -0.5, -0.5, -0.5]]
LABELS = [0, 2, 3]


def of(name: str, outputs: Tensor, labels: Tensor) -> Tensor:
    return measure_of(name, Mlp())(outputs, labels)


def probability(logits: list[float], label: int) -> float:
    """Softmax of one class."""
    return exp(logits[label]) / sum(exp(logit) for logit in logits)


def margin(logits: list[float], label: int) -> float:
    """The logit of one class minus the logarithm of the sum of the others' exponentials."""
    return logits[label] - log(sum(exp(logit) for number, logit in enumerate(logits) if number != label))


def test_p_correct_is_the_softmax_probability_of_the_true_class() -> None:
    found = of("p_correct", torch.tensor(LOGITS), torch.tensor(LABELS))
    expected = [probability(logits, label) for logits, label in zip(LOGITS, LABELS, strict=True)]
    assert found.tolist() == pytest.approx(expected, rel=1e-12)


def test_margin_is_against_the_logsumexp_of_the_others() -> None:
    found = of("margin", torch.tensor(LOGITS), torch.tensor(LABELS))
    expected = [margin(logits, label) for logits, label in zip(LOGITS, LABELS, strict=True)]
    assert found.tolist() == pytest.approx(expected, rel=1e-12)


def test_neg_loss_is_the_logarithm_of_the_probability() -> None:
    found = of("neg_loss", torch.tensor(LOGITS), torch.tensor(LABELS))
    expected = [log(probability(logits, label)) for logits, label in zip(LOGITS, LABELS, strict=True)]
    assert found.tolist() == pytest.approx(expected, rel=1e-12)


def test_margin_is_the_log_odds_of_p_correct() -> None:
    outputs = torch.randn(50, 7, dtype=torch.float64)
    labels = torch.arange(50) % 7
    probabilities = of("p_correct", outputs, labels)
    torch.testing.assert_close(of("margin", outputs, labels), (probabilities / (1 - probabilities)).log())


def test_of_two_classes_the_margin_is_the_difference_of_the_logits() -> None:
    outputs = torch.tensor([[1.5, -0.25], [0.0, 4.0]], dtype=torch.float64)
    assert of("margin", outputs, torch.tensor([0, 0])).tolist() == pytest.approx([1.75, -4.0], rel=1e-12)


def test_large_logits_neither_overflow_nor_vanish() -> None:
    outputs = torch.tensor([[1000.0, 0.0, 999.0], [-2000.0, -1000.0, -1000.0]], dtype=torch.float64)
    labels = torch.tensor([0, 0])
    assert of("margin", outputs, labels).tolist() == pytest.approx([1.0, -1000 - log(2)], rel=1e-12)
    assert of("p_correct", outputs, labels).tolist() == pytest.approx([1 / (1 + exp(-1)), 0.0], rel=1e-12)


@pytest.mark.parametrize("name", ["neg_loss", "margin", "p_correct"])
def test_labels_of_one_row_serve_every_replica_and_the_result_is_float64(name: str) -> None:
    outputs, labels = torch.randn(4, 5, 3), torch.tensor([0, 2, 1, 1, 0])
    found = of(name, outputs, labels[None])
    assert (found.shape, found.dtype) == ((4, 5), torch.float64)
    for replica in range(4):
        torch.testing.assert_close(found[replica], of(name, outputs[replica], labels), rtol=1e-12, atol=0)


@pytest.mark.parametrize("name", ["neg_loss", "margin", "p_correct"])
def test_an_answer_has_the_same_bits_alone_and_among_others(name: str) -> None:
    outputs, labels = torch.randn(300, 10), torch.arange(300) % 10
    together = of(name, outputs, labels)
    alone = torch.cat([of(name, outputs[row : row + 1], labels[row : row + 1]) for row in range(300)])
    assert torch.equal(together, alone)


@dataclass(frozen=True)
class Absolute(Model):
    """A model with a loss of its own: the distance of the first output from the label, times 3."""

    @property
    def recipe(self) -> Recipe:
        return Recipe()

    def build(self, data: Data) -> nn.Module:
        return nn.Linear(1, 1)

    def loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
        return 3 * (outputs[:, 0] - labels).abs()


def test_neg_loss_is_taken_from_the_models_own_loss() -> None:
    outputs, labels = torch.tensor([[[1.0], [4.0]], [[0.0], [7.0]]]), torch.tensor([[2.0, 2.0]])
    found = measure_of("neg_loss", Absolute())(outputs, labels)
    assert found.tolist() == [[-3.0, -6.0], [-6.0, -15.0]]
    assert example_losses(Absolute(), outputs, labels).tolist() == [[3.0, 6.0], [6.0, 15.0]]


def test_the_loss_of_regression_is_the_squared_error() -> None:
    outputs, labels = torch.tensor([[1.0], [4.0]], dtype=torch.float64), torch.tensor([3.0, 4.5], dtype=torch.float64)
    assert measure_of("neg_loss", Linear())(outputs, labels).tolist() == [-4.0, -0.25]
    assert example_losses(Linear(), outputs, labels).tolist() == [4.0, 0.25]


def test_example_losses_are_cross_entropies_on_any_leading_shape() -> None:
    outputs, labels = torch.randn(2, 3, 4, dtype=torch.float64), torch.tensor([[1, 0, 3]])
    found = example_losses(Mlp(), outputs, labels)
    assert found.shape == (2, 3)
    for replica in range(2):
        for row, label in enumerate([1, 0, 3]):
            expected = -log(probability(outputs[replica, row].tolist(), label))
            assert found[replica, row].item() == pytest.approx(expected, rel=1e-12)
    torch.testing.assert_close(example_losses(Mlp(), outputs[0], labels[0]), found[0])


class Smoothed(Mlp):
    """Classes with a loss of its own."""

    def loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
        return 2 * super().loss(outputs, labels) + 1


def test_a_loss_of_ones_own_for_classes_is_used() -> None:
    outputs, labels = torch.randn(2, 3, 4, dtype=torch.float64), torch.tensor([[1, 0, 3]])
    torch.testing.assert_close(
        example_losses(Smoothed(), outputs, labels), 2 * example_losses(Mlp(), outputs, labels) + 1
    )


def test_classes_have_three_measures_and_regression_one() -> None:
    assert available(3) == ("neg_loss", "margin", "p_correct")
    assert available(None) == ("neg_loss",)


def test_an_unknown_measure_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"^measure must be one of neg_loss, margin, p_correct, got 'accuracy'$"):
        measure_of("accuracy", Mlp())
