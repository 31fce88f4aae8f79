"""Labels that are known to be wrong, against scikit-learn's area under the ROC curve."""

import pytest
import torch
from sklearn.metrics import roc_auc_score

from influbench.api import Estimate
from influbench.judges.wrong_labels import WRONG_LABELS, WrongLabels
from influbench.results import UNKNOWN
from influbench.statistics.yardsticks import Yardstick
from tests.problems import judged, trainer

WRONG = torch.tensor([0, 3, 4, 7, 8, 11, 12, 15, 16, 19])
FLAGS = torch.zeros(20, dtype=torch.bool).index_fill(0, WRONG, value=True)


def yardstick() -> Yardstick:
    problem = judged(trainer(), wrong=FLAGS)
    found = WrongLabels().yardsticks(problem, [], step=problem.n_steps)
    assert found.keys() == {WRONG_LABELS.key}
    return found["wrong_labels"]


def area(memorization: torch.Tensor) -> float:
    scores = WrongLabels().scores(Estimate(memorization=memorization), WRONG_LABELS)
    assert scores is not None
    found = yardstick().agreement([yardstick().held(scores)])
    assert found.value is not None
    assert found.of_ceiling == UNKNOWN
    return found.value.value


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("rounded", [False, True], ids=["", "with ties"])
def test_the_area_is_scikit_learns(seed: int, rounded: bool) -> None:
    scores = torch.randn(20, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    scores = scores.round() if rounded else scores
    assert area(scores) == pytest.approx(roc_auc_score(FLAGS, scores), abs=1e-12)


def test_high_scores_find_wrong_labels() -> None:
    assert area(FLAGS.double() + torch.arange(20) / 100) == pytest.approx(1, abs=1e-12)
    assert area(-FLAGS.double() - torch.arange(20) / 100) == pytest.approx(0, abs=1e-12)


def test_known_labels_have_no_noise() -> None:
    held = yardstick()
    assert (held.noisy, held.has_reliability, held.reliability.ceiling, held.n_pairs) == (False, False, None, 20)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (torch.zeros(20, dtype=torch.bool), "no train label is known to be wrong; ask with random_labels above 0 and"),
        (torch.ones(20, dtype=torch.bool), "every train label is known to be wrong; ask with random_labels above 0 a"),
    ],
)
def test_without_both_kinds_of_labels_there_is_nothing_to_find(wrong: torch.Tensor, reason: str) -> None:
    told = WrongLabels().unsupported(judged(trainer(), wrong=wrong))
    assert told is not None
    assert told.startswith(reason)
    assert WrongLabels().unsupported(judged(trainer(), wrong=FLAGS)) is None


@pytest.mark.parametrize(
    ("n_wrong", "n", "reason"),
    [
        (1, 30, "only 1 of 30 train labels is wrong; an AUROC needs ten on either side"),
        (9, 30, "only 9 of 30 train labels are wrong; an AUROC needs ten on either side"),
        (10, 30, None),
        (20, 30, None),
        (26, 30, "only 4 of 30 train labels are right; an AUROC needs ten on either side"),
    ],
)
def test_an_area_needs_ten_labels_of_each_kind(n_wrong: int, n: int, reason: str | None) -> None:
    assert WrongLabels().unsupported(judged(trainer(), wrong=torch.arange(n) < n_wrong)) == reason


def test_an_estimate_without_memorization_has_nothing_to_find_them_by() -> None:
    assert WrongLabels().scores(Estimate(torch.zeros(20, 8)), WRONG_LABELS) is None


def test_the_estimand_counts_them() -> None:
    told = WrongLabels().estimand(judged(trainer(), wrong=FLAGS), [])
    assert told == "10 of 20 train labels, which were drawn at random"
