"""The columns of influence scores, against sums written out and scipy's correlations."""

import numpy as np
import pytest
import torch

from influbench.judges.influence import influence_columns, influence_yardsticks
from influbench.statistics.yardsticks import Yardstick
from tests.judges.tables import (
    N_TEST,
    N_TRAIN,
    largest_by_hand,
    of_each,
    of_each_class,
    scores,
    signal_by_hand,
    truth_with_signal,
    worth_of_highest,
)
from tests.problems import blobs, line

DATA = blobs(N_TRAIN, N_TEST)
EFFECTS = truth_with_signal().influence
K = 2  # 5% of 40 train points


def value(yardstick: Yardstick, *repeats: torch.Tensor) -> float:
    found = yardstick.agreement([yardstick.held(one) for one in repeats]).value
    assert found is not None
    return found.value


def by_key(**how: bool) -> dict[str, Yardstick]:
    return dict(influence_yardsticks(EFFECTS, DATA, **how))


def test_captured_is_the_worth_of_the_highest_scores_over_the_largest_possible() -> None:
    got = worth_of_highest(scores(), EFFECTS.mean(0), K)
    assert value(by_key()["captured"], scores()) == pytest.approx(got / largest_by_hand(EFFECTS, K), abs=1e-12)


def test_within_class_is_the_mean_of_correlations_over_the_train_points_of_the_class() -> None:
    expected = of_each_class(scores(), EFFECTS.mean(0), DATA.train.labels, DATA.test.labels).mean()
    assert value(by_key()["within_class"], scores()) == pytest.approx(expected, abs=1e-12)


def test_by_signal_weighs_test_points_by_their_squared_effects_without_noise() -> None:
    weights = signal_by_hand(EFFECTS)
    expected = np.average(of_each(scores(), EFFECTS.mean(0)), weights=weights)
    weighted = by_key()["weighted"]
    assert value(weighted, scores()) == pytest.approx(expected, abs=1e-12)
    assert weighted.n_effective == pytest.approx(weights.sum() ** 2 / (weights**2).sum())
    assert weights.max() / weights.min() > 1


def test_all_points_weighs_test_points_equally() -> None:
    assert value(by_key()["influence"], scores()) == pytest.approx(of_each(scores(), EFFECTS.mean(0)).mean(), abs=1e-12)


def test_known_effects_are_compared_as_they_are() -> None:
    """Effects without noise: the largest effect is that of the k best, and weights are squared effects."""
    effect = EFFECTS.mean(0)
    known = by_key(noisy=False)
    assert value(known["captured"], scores()) == pytest.approx(
        worth_of_highest(scores(), effect, K) / worth_of_highest(effect, effect, K), abs=1e-12
    )
    weights = effect.square().sum(0).numpy()
    assert value(known["weighted"], scores()) == pytest.approx(
        np.average(of_each(scores(), effect), weights=weights), abs=1e-12
    )
    assert not any(yardstick.has_reliability for yardstick in known.values())


def test_scores_that_recognize_only_the_class_have_no_value_within_it() -> None:
    same_label = (DATA.train.labels[:, None] == DATA.test.labels).double()
    found = by_key()["within_class"].agreement([same_label])
    assert (found.value, found.n_silent, found.n_undefined) == (None, N_TEST, 0)
    assert by_key()["influence"].agreement([same_label]).value is not None


def test_every_test_point_counts_in_the_captured_effect() -> None:
    captured = by_key()["captured"]
    found = captured.agreement([scores()])
    assert (found.n_undefined, found.n_silent) == (0, 0)
    constant = captured.agreement([torch.ones(N_TRAIN, N_TEST, dtype=torch.float64)])
    assert (constant.value, constant.n_undefined, constant.n_silent) == (None, 0, N_TEST)


@pytest.mark.parametrize("n_seeds", [1, 2])
def test_two_of_the_columns_need_three_seeds(n_seeds: int) -> None:
    found = influence_yardsticks(EFFECTS[:n_seeds], DATA)
    silent = {key: yardstick.silence for key, yardstick in found.items() if yardstick.silence}
    assert silent == dict.fromkeys(("captured", "weighted"), "it needs the truth of at least 3 seeds")
    for key in silent:
        assert found[key].agreement([scores()]).value is None
    assert found["influence"].agreement([scores()]).value is not None


def test_a_truth_of_noise_is_silent_in_two_of_the_columns() -> None:
    noise = torch.randn(5, N_TRAIN, N_TEST, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    found = influence_yardsticks(noise, DATA)
    silent = {key: yardstick.silence for key, yardstick in found.items() if yardstick.silence}
    assert silent == dict.fromkeys(("captured", "weighted"), "the truth cannot be distinguished from noise; add seeds")
    for key in silent:
        assert found[key].agreement([scores()]).value is None


def test_columns_have_the_keys_of_the_yardsticks_and_a_prefix() -> None:
    columns = influence_columns(DATA, prefix="run_", of="this run")
    assert [column.key for column in columns] == ["run_captured", "run_within_class", "run_weighted", "run_influence"]
    assert {column.key for column in columns} == influence_yardsticks(EFFECTS, DATA, prefix="run_").keys()
    assert [column.title.split("\n")[0] for column in columns] == 4 * ["this run"]
    assert [column.headline for column in columns] == [True, True, True, False]
    assert [column.chart for column in columns] == [True, True, False, False]
    assert {column.quantity for column in columns} == {"influence"}


def test_regression_has_no_column_within_classes() -> None:
    data = line(N_TRAIN, N_TEST)
    columns = influence_columns(data)
    assert [(column.key, column.chart) for column in columns] == [
        ("captured", True),
        ("weighted", True),
        ("influence", False),
    ]
    assert {column.key for column in columns} == influence_yardsticks(EFFECTS, data).keys()
