"""Scores taken apart: the terms add up, and each is what its definition says."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import Tensor

from influbench.errors import UsageError
from influbench.estimators.turn_over_dropout.estimator import TurnOverDropout
from influbench.models.mlp import Mlp
from influbench.plan import Plan
from influbench.problem import TrainingProblem
from influbench.resources import Resources
from influbench.statistics.correlation import whole_table
from influbench.statistics.yardsticks import Yardstick
from influbench.store.cache import Cache
from influbench.studies.decomposition.record import DecompositionRecord
from influbench.studies.decomposition.retraining import MaskedRetraining
from influbench.studies.decomposition.terms import TERMS, Halves, Parts, against_effects, in_halves, in_shares, of_mask
from influbench.studies.running import ask
from tests.engine.test_run import plan
from tests.plugins import registry
from tests.problems import ResidualModel, blobs, line, problem, stored_in, trainer


def decompose(problem: TrainingProblem, estimator: TurnOverDropout) -> tuple[Halves, Halves | None]:
    """Influence and memorization (None for regression), averaged over halves of the estimator's masks."""
    found = [of_mask(problem, estimator, number) for number in range(estimator.n_masks)]
    memorization = [parts for _, parts in found if parts is not None]
    return in_halves([influence for influence, _ in found]), in_halves(memorization) if memorization else None


@pytest.mark.parametrize(
    ("model", "n_masks", "options"),
    [
        (Mlp(hidden=(8,)), 3, {}),
        (Mlp(hidden=(8, 6)), 2, {"antithetic": True, "p": 0.5}),
        (Mlp(hidden=(8, 6)), 1, {"sealed": True, "p": 0.3}),
        (ResidualModel(), 2, {"balanced": True}),
    ],
)
def test_the_terms_add_up_to_the_scores_of_the_estimator(model, n_masks: int, options: dict[str, object]) -> None:  # type: ignore[no-untyped-def]
    estimator = TurnOverDropout(n_masks=n_masks, **options)  # type: ignore[arg-type]
    influence, memorization = decompose(problem(trainer(model=model)), estimator)
    expected = estimator.estimate(problem(trainer(model=model)))
    assert expected.influence is not None
    assert memorization is not None
    for halves, scores in ((influence, expected.influence), (memorization, expected.memorization[:, None])):  # type: ignore[index]
        parts = halves.all
        total = sum(parts.terms().values(), torch.zeros_like(parts.score))
        torch.testing.assert_close(total, parts.score, rtol=0, atol=1e-12)
        torch.testing.assert_close(parts.score, scores, rtol=1e-9, atol=1e-12)
        for term in parts.terms().values():
            assert term.abs().max() > 1e-6


def test_each_term_is_measured_by_leaving_the_point_out() -> None:
    """One point, with forward passes of its own."""
    view, estimator, row = problem(), TurnOverDropout(n_masks=1), 7
    influence, memorization = decompose(view, estimator)
    masks = estimator.masks(view)
    weights = torch.ones(2, len(view.data.train))
    weights[1, row] = 0
    doubled = replace(masks, seeds=[masks.seeds[0]] * 2)
    runs = view.train(weights, replicates=[0, 0], masks=doubled)
    point, test = view.data.train.rows(slice(row, row + 1)), view.data.test

    def measured(replica: int, half: object, split, measure: str) -> Tensor:  # type: ignore[no-untyped-def]
        factors = {
            site: half(site, point.ids, slice(0, 1))[0].double().expand(len(split), -1)  # type: ignore[operator]
            for site in masks.sites
        }
        outputs = view.forward(
            {name: p[replica] for name, p in runs.parameters().items()}, split.inputs, factors=factors
        )
        return view.measured(outputs, split.labels, measure=measure)  # type: ignore[arg-type]

    own, flipped = masks, masks.flipped()
    for halves, split, measure in ((influence, test, "neg_loss"), (memorization, point, "p_correct")):
        assert halves is not None
        assert halves.second is None
        parts = halves.all
        for found, (a, b) in (
            (parts.signal, ((0, own), (1, own))),
            (parts.mask_noise, ((1, own), (1, flipped))),
            (parts.leakage, ((1, flipped), (0, flipped))),
        ):
            torch.testing.assert_close(found[row], measured(*a, split, measure) - measured(*b, split, measure))
    whole = runs.measured(test)
    torch.testing.assert_close(influence.all.whole_network[row], whole[0] - whole[1])


def test_a_sealed_network_leaks_nothing_in_one_step() -> None:
    view = problem(trainer(blobs(n_train=6), epochs=1, batch_size=6, momentum=0.0))
    sealed, _ = decompose(view, TurnOverDropout(n_masks=2, sealed=True))
    unsealed, _ = decompose(view, TurnOverDropout(n_masks=2))
    assert sealed.all.leakage.abs().max() < 1e-15
    assert unsealed.all.leakage.abs().max() > 1e-6


def test_shares_add_up_and_equal_the_covariances() -> None:
    view = problem()
    influence = decompose(view, TurnOverDropout(n_masks=2))[0].all
    truth = torch.randn(influence.score.shape, dtype=torch.float64)
    terms = {term.name: term for term in in_shares(influence, whole_table(*truth.shape), truth)}
    assert list(terms) == [*TERMS, "score", "whole network"]
    values = [terms[name].share_of_variance.value for name in TERMS]
    assert sum(value for value in values if value is not None) == pytest.approx(1)
    score = influence.score - influence.score.mean(0)
    signal = influence.signal - influence.signal.mean(0)
    assert values[0] == pytest.approx(float((score * signal).sum() / score.square().sum()))
    assert terms["whole network"].share_of_variance.value is None
    assert all(term.spearman.value is not None for term in terms.values())


def decomposed(of: Plan, resources: Resources) -> DecompositionRecord:
    record = ask("decomposition", of, resources=resources, registry=registry())
    assert isinstance(record, DecompositionRecord)
    return record


def test_the_study_covers_every_problem_and_estimator(tmp_path: Path) -> None:
    names = ["turn_over_dropout[n_masks=2]", "turn_over_dropout[n_masks=2,sealed=true]"]
    of = plan(names, dataset='["blobs", "line"]', model='"mlp[hidden=[8]]"')
    study = decomposed(of, stored_in(tmp_path / "cache"))
    assert [(one.problem.split(",")[0], one.sealed_share == 1) for one in study.decomposed] == [
        ("blobs", False),
        ("blobs", True),
        ("line", False),
        ("line", True),
    ]
    assert all(one.n_trainings == 2 * 21 for one in study.decomposed)
    assert [bool(one.memorization) for one in study.decomposed] == [True, True, False, False]
    fits = [one.fit for one in study.decomposed]
    assert [fit.statistic for fit in fits if fit is not None] == ["accuracy", "accuracy", "R2", "R2"]
    assert fits[0] == fits[1]
    for name, reason in (
        ("random", "random has no masks of units"),
        ("turn_over_dropout[units=member]", "has no masks"),
    ):
        with pytest.raises(UsageError, match=reason):
            decomposed(of.changed(estimators=(name,)), stored_in(tmp_path / "cache"))


def test_a_study_goes_on_from_the_masks_that_are_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = Cache(tmp_path / "cache")
    few, more = (
        plan([f"turn_over_dropout[n_masks={n}]"], dataset='"blobs"', model='"mlp[hidden=[8]]"') for n in (2, 3)
    )
    decomposed(few, Resources(cache=cache))
    computed: list[str] = []
    compute = MaskedRetraining.compute

    def counted(self: MaskedRetraining, name: str) -> dict[str, Tensor]:
        computed.append(name)
        return compute(self, name)

    monkeypatch.setattr(MaskedRetraining, "compute", counted)
    resumed = decomposed(more, Resources(cache=cache))
    assert computed == ["mask-00002"]
    assert resumed == decomposed(more, stored_in(tmp_path / "other"))


def test_a_problem_that_cannot_be_trained_is_named_before_anything_is(tmp_path: Path) -> None:
    of = plan(["turn_over_dropout"], model='["mlp[hidden=[8]]", "cnn"]')
    with pytest.raises(UsageError, match="blobs, cnn cannot be studied: cnn: inputs have shape"):
        decomposed(of, stored_in(tmp_path / "cache"))
    assert not (tmp_path / "cache").exists()


def test_regression_has_no_memorization() -> None:
    assert decompose(problem(trainer(line())), TurnOverDropout(n_masks=1))[1] is None


def test_scores_of_half_the_masks_are_held_against_effects_of_the_other_half() -> None:
    torch.manual_seed(0)
    first, second = (Parts(*torch.randn(5, 12, 4, dtype=torch.float64)) for _ in range(2))
    effects = torch.randn(6, 12, 4, dtype=torch.float64)
    truth = Yardstick(effects, whole_table(12, 4))
    masked, whole, plain = against_effects(Halves(first, second, 1, 1), whole_table(12, 4), truth)

    def correlation(x: Tensor, y: Tensor) -> float:
        return float(np.mean([spearmanr(a, b).statistic for a, b in zip(x.T.numpy(), y.T.numpy(), strict=True)]))

    for found, name in ((masked, "signal"), (whole, "whole_network")):
        one, other = getattr(first, name), getattr(second, name)
        expected = (correlation(first.score, other) + correlation(second.score, one)) / 2
        assert found.spearman.value == pytest.approx(expected)
        reliability = correlation(one, other)
        assert found.ceiling.value == (pytest.approx(reliability**0.5) if reliability > 0 else None)
    against_truth = [correlation(half.score, effects.mean(0)) for half in (first, second)]
    assert plain.spearman.value == pytest.approx(sum(against_truth) / 2)


def test_one_mask_has_no_other_half() -> None:
    halves = decompose(problem(), TurnOverDropout(n_masks=1))[0]
    truth = Yardstick(
        torch.randn(3, *halves.all.score.shape, dtype=torch.float64), whole_table(*halves.all.score.shape)
    )
    (plain,) = against_effects(halves, truth.blocks, truth)
    assert plain.name == "plain training"


@pytest.mark.parametrize(("n_masks", "expected"), [(1, (1, 0)), (2, (1, 1)), (6, (4, 2)), (8, (4, 4))])
def test_antithetic_masks_stay_in_one_half(n_masks: int, expected: tuple[int, int]) -> None:
    halves = decompose(problem(trainer(epochs=1)), TurnOverDropout(n_masks=n_masks))[0]
    assert (halves.n_first, halves.n_second) == expected
