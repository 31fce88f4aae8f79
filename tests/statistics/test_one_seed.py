"""The agreement of one seed with the mean of the others, against scipy and a jackknife written out."""

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import Tensor

from influbench.statistics.between_seeds import deleted_seed_contributions
from influbench.statistics.correlation import whole_table, within_classes
from influbench.statistics.one_seed import correlation_of_one_seed
from influbench.statistics.yardsticks import Yardstick, correlations, flags


def truth(n_seeds: int, n: int = 20, m: int = 4) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    effects = torch.randn(n, m, generator=generator, dtype=torch.float64)
    return effects + torch.randn(n_seeds, n, m, generator=generator, dtype=torch.float64)


def scipys(effects: Tensor) -> float:
    """Each seed with the mean of the others, over the seeds and the columns."""
    found = []
    for seed, one in enumerate(effects):
        others = torch.stack([other for number, other in enumerate(effects) if number != seed]).mean(0)
        found += [spearmanr(one[:, j], others[:, j]).statistic for j in range(one.shape[1])]
    return float(np.mean(found))


@pytest.mark.parametrize("n_seeds", [3, 4, 6])
def test_it_is_scipys_and_its_seeds_share_is_the_jackknifes(n_seeds: int) -> None:
    effects = truth(n_seeds)
    found = correlation_of_one_seed(effects, whole_table(20, 4))
    assert found is not None
    assert found.value == pytest.approx(scipys(effects), rel=1e-12)
    without = [scipys(effects[[seed for seed in range(n_seeds) if seed != left_out]]) for left_out in range(n_seeds)]
    expected = deleted_seed_contributions(torch.tensor(without, dtype=torch.float64))
    torch.testing.assert_close(found.by_seed, expected, rtol=1e-9, atol=1e-12)


def test_within_classes_only_the_own_rows_count() -> None:
    effects, labels, test_labels = truth(4), torch.arange(20) % 2, torch.tensor([0, 1, 0, 1])
    found = correlation_of_one_seed(effects, within_classes(labels, test_labels))
    of_classes = [scipys(effects[:, labels == label][:, :, test_labels == label]) for label in (0, 1)]
    assert found is not None
    assert found.value == pytest.approx(np.mean(of_classes), rel=1e-12)


def test_the_captured_effect_of_one_seed_is_at_most_1() -> None:
    effects = truth(4)
    yardstick = correlations(effects.mean(0) + 0.01 * effects, statistic="captured")
    found = yardstick.one_seed
    assert found is not None
    whole, cut = found.interval(), yardstick.measurement.interval(found)
    assert whole.high is not None
    assert whole.high > 1
    assert cut.high == 1.0
    assert cut.low == whole.low


def test_it_is_unknown_for_two_seeds_for_constant_effects_and_for_known_flags() -> None:
    assert correlation_of_one_seed(truth(2), whole_table(20, 4)) is None
    constant = truth(3)
    constant[1] = 1.0
    assert correlation_of_one_seed(constant, whole_table(20, 4)) is None
    assert correlations(truth(3)).one_seed is not None
    assert Yardstick(truth(3), whole_table(20, 4), noisy=False).one_seed is None
    assert flags(torch.arange(20) % 2 == 0).one_seed is None
