"""Gradient similarity, against gradients that are written out."""

import pytest
import torch
from torch import nn

from influbench.estimators.gradient_similarity import GradCos, GradDot
from influbench.estimators.gradients import loss_gradients, measure_gradients
from influbench.estimators.tracin import TracIn
from tests.engine.models import Recurrent
from tests.problems import ModuleModel, ResidualModel, problem, trainer


@pytest.mark.parametrize(("estimator", "cosine"), [(GradDot(n_runs=2), False), (GradCos(n_runs=2), True)])
def test_scores_are_means_of_products_or_cosines(estimator: GradDot | GradCos, cosine: bool) -> None:
    view = problem(trainer(model=ResidualModel()))
    runs, expected = view.train(replicates=[0, 1]), []
    for run in range(2):
        parameters = {name: p[run] for name, p in runs.parameters().items()}
        of_loss = torch.cat(list(loss_gradients(view, parameters, view.data.train)))
        of_measure = torch.cat(list(measure_gradients(view, parameters, view.data.test)))
        if cosine:
            of_loss, of_measure = (g / g.norm(dim=1, keepdim=True) for g in (of_loss, of_measure))
        expected.append(-of_loss @ of_measure.T)
    fresh = problem(trainer(model=ResidualModel()))
    torch.testing.assert_close(estimator.estimate(fresh).influence, sum(expected) / 2, rtol=1e-9, atol=1e-12)
    assert fresh.meter.trainings == 2


def test_gradients_are_those_of_each_example_where_vmap_cannot_follow_the_module() -> None:
    view = problem(trainer(model=ModuleModel(lambda: Recurrent(nn.GRU, 5, 3))))
    parameters = {name: p.requires_grad_() for name, p in view.initial_parameters(0).items()}
    found = torch.cat(list(loss_gradients(view, parameters, view.data.train)))
    losses = view.model.loss(view.forward(parameters, view.data.train.inputs), view.data.train.labels)
    for row, loss in zip(found, losses, strict=True):
        expected = torch.autograd.grad(loss, list(parameters.values()), retain_graph=True)
        torch.testing.assert_close(row, torch.cat([gradient.flatten() for gradient in expected]))


def test_the_last_checkpoint_of_tracin_is_the_gradient_product() -> None:
    scores = GradDot().estimate(problem()).influence
    assert scores is not None
    torch.testing.assert_close(TracIn(n_checkpoints=1).estimate(problem()).influence, 0.1 * scores)


@pytest.mark.parametrize("estimator", [GradDot, GradCos])
def test_no_run_is_refused(estimator: type) -> None:
    with pytest.raises(ValueError, match="n_runs must be at least 1, got 0"):
        estimator(n_runs=0)
