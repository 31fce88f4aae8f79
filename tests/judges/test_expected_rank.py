"""The expected rank, against the mean of scipy's ranks over seeds."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import rankdata, spearmanr

from influbench.judges.expected_rank import ExpectedRank
from influbench.models.linear import Linear
from tests.judges.tables import N_TEST, N_TRAIN, scores, truth_with_signal, value_of
from tests.problems import blobs, judged, line, trainer

PROBLEM = judged(trainer(blobs(N_TRAIN, N_TEST)))
TRUTH = truth_with_signal()


def test_scores_are_compared_with_the_mean_over_seeds_of_scipys_ranks() -> None:
    ranks = np.mean([rankdata(effect, axis=0) for effect in TRUTH.influence.numpy()], axis=0)
    expected = np.mean([spearmanr(scores()[:, j], ranks[:, j]).statistic for j in range(N_TEST)])
    assert value_of(ExpectedRank(), PROBLEM, TRUTH, "rank", [scores()]) == pytest.approx(expected, abs=1e-12)
    of_mean_effect = np.mean(
        [spearmanr(scores()[:, j], TRUTH.influence.mean(0)[:, j]).statistic for j in range(N_TEST)]
    )
    assert abs(expected - of_mean_effect) > 1e-3  # another estimand


def test_ranks_within_a_class_are_among_the_train_points_of_the_class() -> None:
    labels, values = PROBLEM.data.train.labels, []
    for j, label in enumerate(PROBLEM.data.test.labels):
        rows = labels == label
        ranks = np.mean([rankdata(effect[rows, j]) for effect in TRUTH.influence.numpy()], axis=0)
        values.append(spearmanr(scores()[rows, j], ranks).statistic)
    found = value_of(ExpectedRank(), PROBLEM, TRUTH, "rank_within_class", [scores()])
    assert found == pytest.approx(np.mean(values), abs=1e-12)


def test_one_large_effect_decides_the_mean_effect_and_not_the_mean_rank() -> None:
    """The scores are the ranks of all seeds but one, in which effects are turned around and a thousand times larger."""
    effect = torch.arange(float(N_TRAIN), dtype=torch.float64)[:, None].expand(N_TRAIN, N_TEST)
    truth = replace(TRUTH, influence=torch.stack([effect, effect, effect, -1000 * effect]))
    assert value_of(ExpectedRank(), PROBLEM, truth, "rank", [effect]) == pytest.approx(1)


def test_a_seed_in_which_all_effects_are_equal_does_not_change_the_order() -> None:
    truth = replace(TRUTH, influence=torch.cat([TRUTH.influence, torch.zeros(1, N_TRAIN, N_TEST).double()]))
    expected = value_of(ExpectedRank(), PROBLEM, TRUTH, "rank", [scores()])
    assert value_of(ExpectedRank(), PROBLEM, truth, "rank", [scores()]) == pytest.approx(expected, abs=1e-12)


def test_the_truth_is_that_of_leave_one_out_after_each_step() -> None:
    (work,) = ExpectedRank().trainings(PROBLEM)
    assert work.folder == PROBLEM.leave_one_out.folder
    other = replace(TRUTH, influence=TRUTH.influence.flip(1))
    found = ExpectedRank().yardsticks(PROBLEM, [replace(TRUTH, earlier={2: other})], step=2)
    torch.testing.assert_close(
        found["rank"].effects, ExpectedRank().yardsticks(PROBLEM, [other], step=PROBLEM.n_steps)["rank"].effects
    )


def test_regression_has_no_column_within_classes() -> None:
    problem = judged(trainer(line(N_TRAIN, N_TEST), Linear()))
    assert [column.key for column in ExpectedRank().columns(problem)] == ["rank"]
    assert list(ExpectedRank().yardsticks(problem, [TRUTH], step=problem.n_steps)) == ["rank"]
    assert [column.key for column in ExpectedRank().columns(PROBLEM)] == ["rank", "rank_within_class"]


def test_the_estimand_counts_the_seeds() -> None:
    words = ExpectedRank().estimand(PROBLEM, [TRUTH])
    assert words == "mean over 4 seeds of ranks by neg_loss with and without a train point"
