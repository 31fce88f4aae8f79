"""The spread of effects over runs, against variances and counts written out."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from influbench.api import Estimate
from influbench.judges.spread import SIGN, VARIANCE, Spread
from tests.judges.tables import N_TEST, N_TRAIN, of_each, scores, truth_with_signal, value_of
from tests.problems import blobs, judged, trainer

PROBLEM = judged(trainer(blobs(N_TRAIN, N_TEST)), n_seeds=5)
TRUTH = truth_with_signal(n_seeds=5)


def test_the_variance_is_the_mean_over_disjoint_pairs_of_seeds() -> None:
    """Each pair's is numpy's variance of two numbers; the fifth seed has no partner."""
    effects = TRUTH.influence.numpy()
    pairs = [np.var(effects[2 * pair : 2 * pair + 2], axis=0, ddof=1) for pair in range(2)]
    found = Spread().yardsticks(PROBLEM, [TRUTH], step=PROBLEM.n_steps)["variance"]
    np.testing.assert_allclose(found.effects.numpy(), pairs, atol=1e-12)
    expected = of_each(scores().abs(), torch.from_numpy(np.mean(pairs, axis=0))).mean()
    assert value_of(Spread(), PROBLEM, TRUTH, "variance", [scores()]) == pytest.approx(expected, abs=1e-12)


def test_the_variance_is_right_on_average() -> None:
    generator = torch.Generator().manual_seed(1)
    noise = torch.randn(400, N_TRAIN, N_TEST, generator=generator, dtype=torch.float64)
    size = torch.linspace(0.5, 2, N_TRAIN, dtype=torch.float64)[:, None]
    truth = replace(TRUTH, influence=3 + size * noise)
    found = Spread().yardsticks(PROBLEM, [truth], step=PROBLEM.n_steps)["variance"].mean.mean(1)
    # 200 pairs of 6 test points: the relative standard error of the mean is sqrt(2 / 1,200) = .04
    torch.testing.assert_close(found, size[:, 0].square(), rtol=0.2, atol=0)


def test_the_probability_is_the_share_of_seeds_with_a_positive_effect() -> None:
    effects = TRUTH.influence.clone()
    effects[0, 0] = 0.0  # half a positive one
    truth = replace(TRUTH, influence=effects)
    shares = (effects > 0).double().mean(0) + (effects == 0).double().mean(0) / 2
    assert shares[0, 0] - (effects[1:, 0, 0] > 0).sum() / 5 == pytest.approx(0.1)
    expected = of_each(scores(), shares).mean()
    assert value_of(Spread(), PROBLEM, truth, "sign", [scores()]) == pytest.approx(expected, abs=1e-12)


def test_scores_are_absolute_for_the_variance_alone() -> None:
    estimate = Estimate(influence=-scores().abs(), memorization=torch.ones(N_TRAIN))
    for column, expected in ((VARIANCE, scores().abs()), (SIGN, -scores().abs())):
        found = Spread().scores(estimate, column)
        assert found is not None
        assert torch.equal(found, expected)
        assert Spread().scores(Estimate(memorization=torch.ones(N_TRAIN)), column) is None


def test_two_seeds_are_the_fewest() -> None:
    assert Spread().unsupported(judged(n_seeds=2)) is None
    reason = "the variance over runs needs at least two seeds; raise [truth] seeds"
    assert Spread().unsupported(judged(n_seeds=1)) == reason


def test_the_truth_is_that_of_leave_one_out_after_each_step() -> None:
    (work,) = Spread().trainings(PROBLEM)
    assert work.folder == PROBLEM.leave_one_out.folder
    earlier = replace(TRUTH, influence=TRUTH.influence.flip(1))
    found = Spread().yardsticks(PROBLEM, [replace(TRUTH, earlier={2: earlier})], step=2)
    expected = Spread().yardsticks(PROBLEM, [earlier], step=PROBLEM.n_steps)
    for key in ("variance", "sign"):
        assert torch.equal(found[key].effects, expected[key].effects)


def test_the_estimand_counts_the_seeds() -> None:
    words = Spread().estimand(PROBLEM, [TRUTH])
    assert words == "variance and sign over 5 seeds of neg_loss with and without a train point"
