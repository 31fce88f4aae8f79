"""dattri's TracIn is TracIn, except for the random projection that it uses by default."""

import pytest
import torch
from influbench.errors import UsageError
from influbench.testing import line, small_problem
from oracles import estimate, gradients, off

STEPS = [1, 3, 4, 6, 8]  # five evenly spaced ones of eight


def by_hand(problem) -> tuple[torch.Tensor, torch.Tensor]:
    """TracIn from one call of autograd for each example, and the lengths of gradients multiplied and summed alike."""
    runs = problem.train(replicates=[0], checkpoints=STEPS)
    scores, lengths = 0, 0
    for step in STEPS:
        parameters = {name: p[0] for name, p in runs.parameters(step=step).items()}
        of_loss, of_measure = (gradients(problem, parameters, of=of) for of in ("train", "test"))
        rate = runs.learning_rates[step - 1]
        scores = scores - rate * of_loss @ of_measure.T
        lengths = lengths + (rate * of_loss.norm(dim=1)[:, None] * of_measure.norm(dim=1)) ** 2
    return scores, lengths.sqrt()


@pytest.mark.parametrize(
    "settings", [{}, {"measure": "margin"}, {"measure": "p_correct"}, {"data": line(), "learning_rate": 0.01}], ids=str
)
def test_without_projection_it_is_influbenchs_tracin(settings) -> None:
    found = estimate("dattri_tracin[n_projected=0]", small_problem(**settings)).influence
    assert off(found, estimate("tracin", small_problem(**settings)).influence) < 1e-13


def test_in_float32_too() -> None:
    settings = {"dtype": torch.float32}
    found = estimate("dattri_tracin[n_projected=0]", small_problem(**settings)).influence
    assert off(found, estimate("tracin", small_problem(**settings)).influence) < 1e-5


def test_without_projection_it_is_what_the_formula_says() -> None:
    problem = small_problem(batch_size=5)
    expected, _ = by_hand(problem)
    assert problem.n_steps == 8
    assert off(estimate("dattri_tracin[n_projected=0]", small_problem(batch_size=5)).influence, expected) < 1e-13


def test_dattris_default_projection_costs_a_few_percent_of_the_largest_score() -> None:
    expected, _ = by_hand(small_problem(batch_size=5))
    assert 0.02 < off(estimate("dattri_tracin", small_problem(batch_size=5)).influence, expected) < 0.08


@pytest.mark.parametrize("n_projected", [32, 512, 2048])
def test_the_noise_is_the_lengths_of_the_gradients_over_the_root_of_the_width(n_projected) -> None:
    """There are 75 parameters: a larger width is not more exact. The variance is (1 + cos^2) / width."""
    expected, lengths = by_hand(small_problem(batch_size=5))
    found = estimate(f"dattri_tracin[n_projected={n_projected}]", small_problem(batch_size=5)).influence
    noise = ((found - expected) / lengths).square().mean().sqrt() * n_projected**0.5
    assert 0.7 < float(noise) < 1.6


def test_the_examples_may_pass_in_several_batches(monkeypatch) -> None:
    from influbench_dattri import boundary

    whole = estimate("dattri_tracin", small_problem()).influence
    monkeypatch.setattr(boundary, "_NUMBERS", 3 * 75)
    assert off(estimate("dattri_tracin", small_problem()).influence, whole) < 1e-12


def test_dattris_own_defaults_are_unchanged() -> None:
    """Its constructors write their arguments into these defaults, for every later attributor."""
    from dattri.algorithm import TracInAttributor, tracin, trak

    before = dict(tracin.DEFAULT_PROJECTOR_KWARGS), dict(trak.DEFAULT_PROJECTOR_KWARGS)
    estimate("dattri_tracin[n_projected=7]", small_problem())
    estimate("dattri_trak[n_projected=7]", small_problem())
    assert before == (tracin.DEFAULT_PROJECTOR_KWARGS, trak.DEFAULT_PROJECTOR_KWARGS)
    try:
        TracInAttributor(
            some_task(), weight_list=torch.ones(1), normalized_grad=False, projector_kwargs={"proj_dim": 7}
        )
        assert tracin.DEFAULT_PROJECTOR_KWARGS["proj_dim"] == 7
        later = TracInAttributor(some_task(), weight_list=torch.ones(1), normalized_grad=False)
        assert later.projector_kwargs["proj_dim"] == 7
    finally:
        tracin.DEFAULT_PROJECTOR_KWARGS.update(before[0])


def test_no_projector_kwargs_means_dattris_default_projection() -> None:
    from dattri.algorithm import TracInAttributor

    unasked = TracInAttributor(some_task(), weight_list=torch.ones(1), normalized_grad=False, projector_kwargs=None)
    assert unasked.projector_kwargs["proj_dim"] == 512


def some_task():
    from dattri.task import AttributionTask

    module = torch.nn.Linear(1, 1)
    return AttributionTask(loss_func=lambda _, data: data[0], model=module, checkpoints=module.state_dict())


def test_more_checkpoints_than_steps_are_refused() -> None:
    from influbench_dattri.tracin import TracIn

    assert TracIn(n_checkpoints=100).unsupported(small_problem()) == (
        "100 checkpoints asked for, the training has 8 steps"
    )


@pytest.mark.parametrize("wrong", ["n_checkpoints=0", "n_projected=-1"])
def test_values_that_make_no_sense_are_refused(wrong) -> None:
    with pytest.raises(UsageError, match="must be"):
        estimate(f"dattri_tracin[{wrong}]", small_problem())
