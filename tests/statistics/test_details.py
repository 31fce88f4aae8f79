"""The other views of an agreement, against scipy, scikit-learn and sets."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.stats import kendalltau, pearsonr, spearmanr, ttest_1samp
from sklearn.metrics import roc_auc_score
from torch import Tensor

from influbench.results import UNKNOWN, Details, Statistic
from influbench.statistics.correlation import double_centered, whole_table, within_classes
from influbench.statistics.details import details as details_of
from influbench.statistics.yardsticks import Yardstick, flags, statistic

N_TRAIN, N_TEST, N_SEEDS = 40, 6, 5


def noise(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def effects() -> Tensor:
    """A truth (N_SEEDS, N_TRAIN, N_TEST) whose train points and test points differ in their means, too."""
    shared = noise(N_TRAIN, N_TEST, seed=0) + 2 * noise(N_TRAIN, 1, seed=1) + 2 * noise(1, N_TEST, seed=2)
    return shared + noise(N_SEEDS, N_TRAIN, N_TEST, seed=3)


def scored() -> list[Tensor]:
    """Scores of two repeats, correlated with the truth."""
    mean = effects().mean(0)
    return [0.5 * mean + noise(N_TRAIN, N_TEST, seed=seed) for seed in (4, 5)]


def details(truth: Tensor, repeats: list[Tensor]) -> Details:
    return details_of(Yardstick(truth, whole_table(*truth.shape[1:])), repeats)


def discoveries(p: NDArray[np.float64], rate: float = 0.05) -> NDArray[np.bool_]:
    """Benjamini and Hochberg: all up to the last of the ordered p that is at most its rank's share of the rate."""
    order = p.ravel().argsort()
    passing = [rank for rank, place in enumerate(order, start=1) if p.ravel()[place] <= rate * rank / p.size]
    found = np.zeros(p.size, dtype=bool)
    found[order[: max(passing, default=0)]] = True
    return found.reshape(p.shape)


def clear(truth: Tensor) -> NDArray[np.bool_]:
    return discoveries(ttest_1samp(truth.numpy(), 0).pvalue)


def of_columns(of, scores: Tensor, truth: Tensor) -> list[float]:  # type: ignore[no-untyped-def]
    return [of(scores[:, j].numpy(), truth[:, j].numpy()).statistic for j in range(truth.shape[1])]


def over_repeats(of, repeats: list[Tensor], truth: Tensor) -> float:  # type: ignore[no-untyped-def]
    return float(np.mean([of_columns(of, scores, truth) for scores in repeats]))


@pytest.mark.parametrize(("name", "of"), [("kendall", kendalltau), ("pearson", pearsonr)])
def test_other_correlations_are_scipys_over_test_points_and_repeats(name: str, of) -> None:  # type: ignore[no-untyped-def]
    truth = effects()
    found = getattr(details(truth, scored()), name)
    assert found.value == pytest.approx(over_repeats(of, scored(), truth.mean(0)), abs=1e-12)
    assert -1 < found.low < found.value < found.high < 1


def test_other_correlations_are_taken_within_their_blocks() -> None:
    truth, train_labels, test_labels = effects(), torch.arange(N_TRAIN) % 2, torch.arange(N_TEST) % 2
    found = details_of(Yardstick(truth, within_classes(train_labels, test_labels)), scored()[:1])
    (scores,) = scored()[:1]
    expected = []
    for j in range(N_TEST):
        of_class = train_labels == test_labels[j]
        expected.append(kendalltau(scores[of_class, j], truth.mean(0)[of_class, j]).statistic)
    assert found.kendall.value == pytest.approx(float(np.mean(expected)), abs=1e-12)


def test_top_k_counts_the_common_ones_of_one_in_twenty() -> None:
    truth = effects()
    found = details(truth, scored())
    assert found.top_k == 2  # of 40
    shares = []
    for scores in scored():
        for j in range(N_TEST):
            common = set(scores[:, j].topk(2).indices.tolist()) & set(truth.mean(0)[:, j].topk(2).indices.tolist())
            shares.append((len(common) / 2 - 2 / 40) / (1 - 2 / 40))
    assert found.top_k_overlap.value == pytest.approx(float(np.mean(shares)), abs=1e-12)
    assert details(truth[:, :8], [scores[:8] for scores in scored()]).top_k == 1


def test_clear_pairs_are_those_of_a_t_test_at_a_false_discovery_rate() -> None:
    truth = effects()
    expected = clear(truth)
    assert 0 < expected.sum() < expected.size
    found = details(truth, scored())
    assert found.n_clear == expected.sum()
    assert found.n_proponents == (expected & (truth.mean(0).numpy() > 0)).sum()


def test_signs_agree_in_a_share_of_the_clear_pairs() -> None:
    truth, among = effects(), clear(effects())
    expected = [
        float(np.mean(np.sign(scores.numpy())[among] == np.sign(truth.mean(0).numpy())[among])) for scores in scored()
    ]
    found = details(truth, scored()).sign_agreement
    assert found.value == pytest.approx(float(np.mean(expected)), abs=1e-12)
    assert found.low is not None
    assert found.high is not None
    assert 0 <= found.low < found.value < found.high <= 1


def test_proponents_are_found_as_by_scikit_learn() -> None:
    truth = effects()
    proponents = clear(truth) & (truth.mean(0).numpy() > 0)
    defined = [j for j in range(N_TEST) if 10 <= proponents[:, j].sum() <= N_TRAIN - 10]
    assert len(defined) < N_TEST
    assert defined
    areas = [[roc_auc_score(proponents[:, j], scores[:, j]) for j in defined] for scores in scored()]
    found = details(truth, scored()).proponents_auroc
    assert found.value == pytest.approx(float(np.mean(areas)), abs=1e-12)


def test_double_centring_takes_out_the_means_of_rows_and_columns() -> None:
    table = effects()[0]
    found = double_centered(table)
    for i in range(N_TRAIN):
        for j in range(N_TEST):
            expected = table[i, j] - table[i].mean() - table[:, j].mean() + table.mean()
            assert found[i, j].item() == pytest.approx(float(expected), abs=1e-12)
    assert found.mean(0).abs().max() < 1e-12
    assert found.mean(1).abs().max() < 1e-12


def test_the_double_centered_correlation_does_not_see_what_holds_for_all() -> None:
    """Scores that know only which train points matter to all correlate plainly, and not once they are centered."""
    truth = effects()
    rows = truth.mean((0, 2))[:, None]
    only_rows = rows + 1e-3 * noise(N_TRAIN, N_TEST, seed=6)
    found = details(truth, [only_rows]).double_centered_spearman
    plain = over_repeats(spearmanr, [only_rows], truth.mean(0))
    assert found.value is not None
    assert plain > 0.7
    assert abs(found.value) < 0.3
    both = [scores - scores.mean(0) - scores.mean(1, keepdim=True) for scores in scored()]
    mean = truth.mean(0)
    centered = mean - mean.mean(0) - mean.mean(1, keepdim=True)
    assert details(truth, scored()).double_centered_spearman.value == pytest.approx(
        over_repeats(spearmanr, both, centered), abs=1e-12
    )


def test_quartiles_are_numpys_over_the_test_points_that_have_a_value() -> None:
    truth, repeats = effects(), scored()
    truth[:, :, 2] = 1.0
    kept = [j for j in range(N_TEST) if j != 2]
    values = np.mean([of_columns(spearmanr, scores[:, kept], truth.mean(0)[:, kept]) for scores in repeats], axis=0)
    found = details(truth, repeats)
    assert found.quartiles is not None
    assert found.quartiles == pytest.approx(tuple(np.percentile(values, [25, 50, 75])), abs=1e-12)
    nothing = details(torch.ones_like(truth), repeats)
    assert (nothing.quartiles, nothing.share_significant) == (None, None)
    assert nothing.kendall == nothing.double_centered_spearman == UNKNOWN


def test_the_share_of_correlations_that_are_not_0_is_that_of_scipys_p_values() -> None:
    truth = effects()
    mean = truth.mean(0)
    strengths = torch.tensor([2.0, 0.0, 1.0, 0.0, 0.8, 0.1], dtype=torch.float64)
    scores = strengths * (mean - mean.mean(0)) + noise(N_TRAIN, N_TEST, seed=7)
    p = np.array([spearmanr(scores[:, j], mean[:, j]).pvalue for j in range(N_TEST)])
    expected = discoveries(p).mean()
    assert 0 < expected < 1
    assert details(truth, [scores]).share_significant == pytest.approx(expected, abs=1e-12)


def test_two_test_points_are_a_sample_and_have_quartiles() -> None:
    truth = effects()[:, :, :2]
    scores = scored()[0][:, :2]
    values = of_columns(spearmanr, scores, truth.mean(0))
    found = details(truth, [scores])
    assert found.quartiles == pytest.approx(tuple(np.percentile(values, [25, 50, 75])), abs=1e-12)


def test_intervals_of_shares_stay_below_1_and_those_of_correlations_reach_below_0() -> None:
    truth = effects()
    nearly = truth.mean(0).clone()
    among = torch.from_numpy(clear(truth)).nonzero()
    assert len(among) > 10
    nearly[tuple(among[0])] *= -1
    found = details(truth, [nearly])
    for share in (found.sign_agreement, found.proponents_auroc):
        assert share.value is not None
        assert 0.9 < share.value < 1
        assert share.high is not None
        assert share.value < share.high <= 1
    worst = details(truth, [-nearly])
    for share in (worst.sign_agreement, worst.proponents_auroc):
        assert share.low is not None
        assert share.value is not None
        assert 0 <= share.low < share.value
    random = [noise(N_TRAIN, N_TEST, seed=12)]
    nothing = details(truth, random)
    for correlation in (nothing.kendall, nothing.pearson, nothing.top_k_overlap, nothing.double_centered_spearman):
        assert correlation.low is not None
        assert correlation.low < 0
    pooled = details(truth, random).pooled
    assert pooled.low is not None
    assert pooled.low < 0


def test_with_two_seeds_no_effect_is_clear() -> None:
    found = details(effects()[:2], scored())
    assert (found.n_clear, found.n_proponents) == (None, None)
    assert found.sign_agreement == found.proponents_auroc == UNKNOWN


def memorization() -> tuple[Tensor, list[Tensor]]:
    """Scores that know the order of the upper half alone."""
    truth = effects()[:, :, :1]
    upper = truth.mean(0).clamp_min(float(truth.mean(0).median()))
    return truth, [upper + 0.2 * noise(N_TRAIN, 1, seed=seed) for seed in (8, 9)]


def test_the_most_memorized_are_the_fifth_with_the_highest_truth() -> None:
    truth, repeats = memorization()
    found = details(truth, repeats)
    assert found.n_most == 8  # of 40
    by_truth = sorted(range(N_TRAIN), key=lambda i: -float(truth.mean(0)[i, 0]))
    most, least = torch.tensor(by_truth[:8]), torch.tensor(by_truth[-8:])
    expected = over_repeats(spearmanr, [scores[most] for scores in repeats], truth.mean(0)[most])
    assert found.among_most.value == pytest.approx(expected, abs=1e-12)
    assert expected > 0.3 + over_repeats(spearmanr, [scores[least] for scores in repeats], truth.mean(0)[least])
    few = details(truth[:, :6], [scores[:6] for scores in repeats])
    assert (few.n_most, few.among_most) == (1, UNKNOWN)


def test_memorization_has_no_spread_over_test_points_and_influence_no_most_memorized() -> None:
    of_memorization, of_influence = details(*memorization()), details(effects(), scored())
    assert of_memorization.quartiles is None
    assert of_memorization.share_significant is None
    assert of_memorization.double_centered_spearman == UNKNOWN
    assert of_influence.n_most is None
    assert of_influence.among_most == UNKNOWN
    truth, repeats = memorization()
    assert of_memorization.kendall.value == pytest.approx(over_repeats(kendalltau, repeats, truth.mean(0)), abs=1e-12)


def test_all_pairs_at_once_are_one_long_column() -> None:
    truth = effects()
    yardstick = Yardstick(truth, whole_table(N_TRAIN, N_TEST))
    expected = [spearmanr(scores.flatten(), truth.mean(0).flatten()).statistic for scores in scored()]
    assert details_of(yardstick, scored()).pooled.value == pytest.approx(float(np.mean(expected)), abs=1e-12)


def finding(positive: Tensor, repeats: list[Tensor]) -> Statistic:
    """The area under the ROC curve, as a column of flags shows it."""
    yardstick = flags(positive)
    return yardstick.measurement.interval(yardstick.agreement(repeats).value)


def test_points_that_are_known_to_be_positive_are_found_as_by_scikit_learn() -> None:
    positive = torch.arange(N_TRAIN) % 3 == 0
    repeats = [positive[:, None] + noise(N_TRAIN, 1, seed=seed) for seed in (10, 11)]
    found = finding(positive, repeats)
    areas = [roc_auc_score(positive, scores[:, 0]) for scores in repeats]
    assert found.value == pytest.approx(float(np.mean(areas)), abs=1e-12)
    assert found.low is not None
    assert found.high is not None
    assert 0 <= found.low < found.value < found.high <= 1
    assert finding(torch.zeros(N_TRAIN, dtype=torch.bool), repeats) == UNKNOWN


def test_a_share_and_its_interval_stay_between_0_and_1() -> None:
    few = torch.arange(40) < 10
    nearly = torch.arange(40, 0, -1, dtype=torch.float64)[:, None]
    nearly[9] -= 1.5  # the last of the ten changes places with the one below it
    found, opposite = finding(few, [nearly]), finding(few, [-nearly])
    assert found.value == pytest.approx(299 / 300)
    assert opposite.value == pytest.approx(1 / 300)
    for low, value, high in ((found.low, found.value, found.high), (opposite.low, opposite.value, opposite.high)):
        assert low is not None
        assert value is not None
        assert high is not None
        assert 0 <= low < value < high <= 1


def test_what_one_repeat_does_not_define_is_not_defined() -> None:
    truth, repeats = effects(), [scored()[0], torch.zeros(N_TRAIN, N_TEST)]
    yardstick = Yardstick(truth, whole_table(N_TRAIN, N_TEST))
    found = yardstick.agreement(repeats)
    assert (found.value, found.of_ceiling, found.n_undefined) == (None, UNKNOWN, 0)
    assert found.n_silent == N_TEST
    assert details_of(yardstick, repeats).pearson == details_of(yardstick, repeats).pooled == UNKNOWN


def test_the_agreement_is_scipys_and_the_share_of_the_ceiling_its_ratio() -> None:
    truth, repeats = effects(), scored()
    repeats[1][:, 0] = 2.0
    yardstick = Yardstick(truth, whole_table(N_TRAIN, N_TEST))
    found = yardstick.agreement(repeats)
    values = [
        of_columns(spearmanr, repeats[0], truth.mean(0)),
        of_columns(spearmanr, repeats[1][:, 1:], truth.mean(0)[:, 1:]),
    ]
    expected = (np.mean(values[0]) + np.sum(values[1]) / N_TEST) / 2
    ceiling = yardstick.reliability.ceiling
    assert found.value is not None
    assert ceiling is not None
    assert found.value.value == pytest.approx(float(expected), abs=1e-12)
    assert found.of_ceiling.value == pytest.approx(float(expected) / ceiling.value, abs=1e-12)
    assert (found.n_undefined, found.n_silent) == (0, 1)


def test_a_statistic_is_a_correlation_with_its_interval_or_unknown() -> None:
    found = Yardstick(effects(), whole_table(N_TRAIN, N_TEST)).agreement(scored()).value
    assert found is not None
    assert statistic(found) == found.correlation_interval()
    assert statistic(None) == UNKNOWN
