"""What every estimator owes: scores follow the points, and nothing else changes.

Exceptions are listed with their reason.
"""

from dataclasses import replace

import pytest
import torch

from influbench.api import Data, Estimate, Estimator, Split
from influbench.models.mlp import Mlp
from influbench.problem import TrainingProblem
from influbench.registry import installed, parse_selector
from tests.problems import blobs, permuted, problem, trainer

ESTIMATORS = [
    "turn_over_dropout[n_masks=3]",
    "turn_over_dropout[n_masks=12,units=member,p=0.5]",
    "subset[n_models=24]",
    "datamodel[n_models=24]",
    "leave_one_out",
    "tracin",
    "grad_dot",
    "grad_cos",
    "influence_function[solver=explicit]",
    "influence_function[solver=cg,tolerance=1e-10]",
    "influence_function[solver=ekfac]",
    "metagradient[n_seeds=1]",
    "trak[n_projected=8]",
    "representer",
    "learning_time",
    "cumulative_loss",
    "forgetting",
    "el2n",
    "grad_norm",
    "curvature",
    "random",
    "train_loss",
    "same_label",
    "input_similarity",
]
KNOWS_NO_POINTS = {"random": "draws noise by row"}
ITERATES = {"influence_function[solver=cg,tolerance=1e-10]": 1e-5}  # until the residuals are small


def created(selector: str) -> Estimator:
    estimator = installed().create("estimator", parse_selector(selector))
    assert isinstance(estimator, Estimator)
    return estimator


def view_of(data: Data) -> TrainingProblem:
    return problem(trainer(data, Mlp(hidden=(8,))))


def assert_same(first: Estimate, second: Estimate, *, selector: str) -> None:
    tolerance = ITERATES.get(selector, 1e-8)
    for x, y in ((first.influence, second.influence), (first.memorization, second.memorization)):
        assert (x is None) == (y is None)
        if x is not None and y is not None:
            torch.testing.assert_close(x.double(), y.double(), rtol=tolerance, atol=tolerance * float(x.abs().max()))


def rows(estimate: Estimate, order: torch.Tensor) -> Estimate:
    influence, memorization = estimate.influence, estimate.memorization
    return replace(
        estimate,
        influence=None if influence is None else influence[order],
        memorization=None if memorization is None else memorization[order],
    )


def test_every_estimator_that_is_installed_is_checked() -> None:
    names = {entry.spec.name for entry in installed().entries if entry.kind == "estimator"}
    assert {selector.partition("[")[0] for selector in ESTIMATORS} == names


@pytest.mark.parametrize("selector", [name for name in ESTIMATORS if name not in KNOWS_NO_POINTS])
def test_permuting_train_points_permutes_scores(selector: str) -> None:
    data, order = blobs(), torch.randperm(20, generator=torch.Generator().manual_seed(3))
    expected = rows(created(selector).estimate(view_of(data)), order)
    found = created(selector).estimate(view_of(permuted(data, order)))
    assert_same(expected, found, selector=selector)


@pytest.mark.parametrize("selector", [name for name in ESTIMATORS if name not in KNOWS_NO_POINTS])
def test_some_of_the_test_points_have_the_same_columns(selector: str) -> None:
    data, some = blobs(), torch.tensor([5, 1, 2])
    whole = created(selector).estimate(view_of(data))
    part = created(selector).estimate(view_of(Data(data.train, data.test.rows(some), data.n_classes)))
    expected = replace(whole, influence=None if whole.influence is None else whole.influence[:, some])
    assert_same(expected, part, selector=selector)


@pytest.mark.parametrize("selector", ESTIMATORS)
def test_duplicates_score_alike_where_the_estimator_says_so(selector: str) -> None:
    """Points 0 and 1 differ in nothing but their id."""
    data = blobs()
    twice = Split(data.train.inputs.clone(), data.train.labels.clone(), data.train.ids)
    twice.inputs[1], twice.labels[1] = twice.inputs[0], twice.labels[0]
    estimator = created(selector)
    estimate = estimator.estimate(view_of(Data(twice, data.test, 3)))
    alike = []
    for scores in (estimate.influence, estimate.memorization):
        if scores is not None:
            off, scale = (scores[0] - scores[1]).abs().max(), scores.abs().max()
            alike.append(bool(off <= ITERATES.get(selector, 1e-8) * scale))
    assert all(alike) == estimator.scores_duplicates_alike


@pytest.mark.parametrize("selector", ESTIMATORS)
def test_the_same_seed_gives_the_same_bytes_and_nothing_else_is_changed(selector: str) -> None:
    data = blobs()
    inputs, labels = data.train.inputs.clone(), data.train.labels.clone()
    first_view = view_of(data)
    torch.manual_seed(11)
    before = (torch.get_rng_state(), torch.is_grad_enabled(), torch.get_num_threads(), torch.get_default_dtype())
    first = created(selector).estimate(first_view)
    after = (torch.get_rng_state(), torch.is_grad_enabled(), torch.get_num_threads(), torch.get_default_dtype())
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]
    assert torch.equal(inputs, data.train.inputs)
    assert torch.equal(labels, data.train.labels)
    second = created(selector).estimate(view_of(data))
    for x, y in ((first.influence, second.influence), (first.memorization, second.memorization)):
        assert (x is None) == (y is None)
        assert x is None or y is None or torch.equal(x, y)
