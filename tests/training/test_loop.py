"""The meaning of leaving an example out, and the inputs that a step depends on."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from influbench.api import Data, Model
from influbench.errors import ModelError
from influbench.networks.replicas import Replicas
from influbench.training.course import Batch
from influbench.truth.leave_one_out import leave_out
from tests.problems import ResidualModel, blobs, line, permuted, problem, trainer


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("normalizer", ["batch", "kept"])
@pytest.mark.parametrize("garbage", [1e6, torch.finfo(torch.float32).max])
def test_what_stands_in_a_left_out_point_cannot_matter(dtype: torch.dtype, normalizer: str, garbage: float) -> None:
    """Bit for bit, at every checkpoint."""
    clean, dirty = blobs(), blobs()
    dirty.train.inputs[4] = garbage
    dirty.train.inputs[9] = -garbage
    weights = torch.ones(1, 20)
    weights[0, [4, 9]] = 0
    checkpoints = [0, 1, 3]
    kept = []
    for data in (clean, dirty):
        of = trainer(data, dtype=dtype)
        kept.append(of.train(of.course(weights, seeds=[1, 2], checkpoints=checkpoints, normalizer=normalizer)))  # type: ignore[arg-type]
    for step in kept[0].steps:
        for name in kept[0].parameters(step=step):
            assert torch.equal(kept[0].parameters(step=step)[name], kept[1].parameters(step=step)[name])


def test_garbage_in_a_point_left_out_of_one_replica_of_a_shared_stack_cannot_matter_to_it() -> None:
    clean, dirty = blobs(), blobs()
    dirty.train.inputs[4] = 1e4
    weights = torch.ones(3, 20)
    weights[1, 4] = 0
    with_clean, with_dirty = (of.train(of.course(weights, seeds=[1, 1, 1])) for of in (trainer(clean), trainer(dirty)))
    for name in with_clean.parameters():
        assert torch.equal(with_clean.parameters()[name][1], with_dirty.parameters()[name][1])
        assert not torch.equal(with_clean.parameters()[name][0], with_dirty.parameters()[name][0])


def test_leaving_out_moves_nothing_else_in_the_batch_and_nothing_before_it() -> None:
    of = trainer()
    weights = torch.stack([torch.ones(20), torch.arange(20) != 4]).double()
    runs = of.train(of.course(weights, seeds=[1, 1], checkpoints=range(9)))
    first = next(step for step, rows in enumerate(runs.batches) if 4 in rows)
    for step in range(first + 1):
        assert torch.equal(*runs.parameters(step=step)["1.weight"])
    assert not torch.equal(*runs.parameters(step=first + 1)["1.weight"])


def test_normalizers_divide_by_the_batch_or_by_what_is_kept() -> None:
    """One full-batch step: with a quarter kept, the kept normalizer steps four times as far."""
    of = trainer(epochs=1, batch_size=20, momentum=0.0)
    weights = (torch.arange(20) < 5).double()[None]
    start = of.initial_parameters(1)["1.weight"]
    by_batch, by_kept = (
        of.train(of.course(weights, seeds=[1], normalizer=normalizer)).parameters()["1.weight"][0] - start  # type: ignore[arg-type]
        for normalizer in ("batch", "kept")
    )
    torch.testing.assert_close(4 * by_batch, by_kept, rtol=1e-12, atol=1e-14)


def test_a_batch_of_which_nothing_is_kept_takes_no_step() -> None:
    of = trainer(momentum=0.0)
    runs = of.train(of.course(torch.zeros(1, 20), seeds=[1], normalizer="kept", checkpoints=[0]))
    assert torch.equal(runs.parameters(step=0)["1.weight"], runs.parameters()["1.weight"])


def test_permuting_the_train_points_changes_nothing() -> None:
    order = torch.randperm(20, generator=torch.Generator().manual_seed(3))
    before, after = (of.train(of.course(seeds=[1, 2])) for of in (trainer(blobs()), trainer(permuted(blobs(), order))))
    for name in before.parameters():
        assert torch.equal(before.parameters()[name], after.parameters()[name])


def test_wide_stacks_are_trained_in_parts_without_a_seam() -> None:
    of = trainer(epochs=1)
    of.__dict__["stack_width"] = 4
    whole = of.train(of.course(seeds=range(7), checkpoints=[0, 2]))
    for replica in (0, 3, 4, 6):
        alone = of.train(of.course(seeds=[replica], checkpoints=[0, 2]))
        for step in (0, 2, 4):
            torch.testing.assert_close(
                whole.parameters(step=step)["1.weight"][replica], alone.parameters(step=step)["1.weight"][0]
            )
    alone = of.train(of.course(seeds=[5]))
    torch.testing.assert_close(whole.outputs(of.data.test)[5], alone.outputs(of.data.test)[0], rtol=1e-10, atol=1e-10)
    assert whole.n_replicas == 7
    assert whole.batches[0].shape == (7, 6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_width_of_a_stack_does_not_change_a_byte_of_an_mlp_on_one_thread(dtype: torch.dtype) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        effects = []
        for width in (2, 3, 8, 65):
            of = trainer(dtype=dtype)
            of.__dict__["stack_width"] = width
            effects.append(leave_out(of, 1, range(20)))
    finally:
        torch.set_num_threads(threads)
    for other in effects[1:]:
        assert all(torch.equal(other[name], effect) for name, effect in effects[0].items())


def test_a_failed_allocation_halves_the_stack_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    of = trainer()
    expected = of.train(of.course(seeds=range(9))).parameters()["1.weight"]
    of.__dict__["stack_width"] = 8
    original = Replicas.training_outputs

    def too_much(self: Replicas, parameters: dict[str, torch.Tensor], *rest: object, **kinds: bool) -> object:
        if len(parameters["1.weight"]) > 2:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")
        return original(self, parameters, *rest, **kinds)  # type: ignore[arg-type]

    monkeypatch.setattr(Replicas, "training_outputs", too_much)
    torch.testing.assert_close(of.train(of.course(seeds=range(9))).parameters()["1.weight"], expected)
    assert of.stack_width == 2


def test_other_errors_are_not_taken_for_a_lack_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> torch.Tensor:
        raise RuntimeError("shapes cannot be multiplied")

    of = trainer()
    of.__dict__["stack_width"] = 8
    monkeypatch.setattr(Replicas, "training_outputs", broken)
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        of.train(of.course(seeds=range(9)))


def test_an_update_is_the_step_of_the_loop() -> None:
    of = problem()
    runs = of.train(replicates=[0, 1], checkpoints=[0, 1, 2])
    parameters, state = runs.parameters(step=0), None
    for step in (1, 2):
        parameters, state = of.update(parameters, state, runs.batches[step - 1])  # type: ignore[assignment]
        for name, expected in runs.parameters(step=step).items():
            assert torch.equal(parameters[name], expected)


@pytest.mark.parametrize("model", [None, ResidualModel()])
@pytest.mark.parametrize("data", [blobs(), line().to(torch.float32)], ids=["classes", "regression"])
def test_an_update_computes_in_the_dtype_of_its_parameters(data: Data, model: Model | None) -> None:
    """On data in float32, parameters in float64 take the same step as on the data in float64."""
    stepped = []
    for dtype in (torch.float32, torch.float64):
        of = problem(trainer(data, model, dtype=dtype))
        start = {name: p.double()[None] for name, p in of.initial_parameters(0).items()}
        parameters, state = of.update(start, None, torch.arange(6))
        stepped.append(of.update(parameters, state, torch.arange(3, 9), torch.full((1, 6), 0.5, dtype=dtype))[0])
    for name, expected in stepped[1].items():
        torch.testing.assert_close(stepped[0][name], expected, rtol=1e-13, atol=1e-15)
        assert stepped[0][name].dtype == torch.float64


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_an_update_is_differentiable_in_weights_through_steps(optimizer: str) -> None:
    """The derivative of a parameter after three steps by one example's weight, against a finite difference."""
    of = trainer(optimizer=optimizer, learning_rate=0.05)
    rows = of.course(seeds=[1]).batches[0]
    start = {name: p[None] for name, p in of.initial_parameters(1).items()}

    def after(weight: torch.Tensor) -> torch.Tensor:
        weights = torch.cat([weight[None], torch.ones(len(rows) - 1, dtype=torch.float64)])[None]
        parameters, state = start, of.initial_state(start)
        for _ in range(3):
            parameters, state = of.update(parameters, state, Batch(rows, weights))  # type: ignore[assignment]
        return parameters["3.weight"].sum()

    weight = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
    (exact,) = torch.autograd.grad(after(weight), weight)
    with torch.no_grad():
        step = 1e-6
        difference = (after(weight + step) - after(weight - step)) / (2 * step)
    torch.testing.assert_close(exact, difference, rtol=1e-5, atol=1e-9)


def test_cost_counts_example_gradients() -> None:
    of = problem()
    of.train(replicates=[0, 1, 2])
    assert of.meter.trainings == 3
    assert of.meter.spent == of.meter.announced
    of.bank(n_models=2, ratio=0.5)
    assert of.meter.trainings == 4
    of.update({name: p[None] for name, p in trainer().initial_parameters(0).items()}, None, torch.arange(10))
    assert of.meter.trainings == 4.25


@pytest.mark.parametrize("replicates", [[0, 0, 0], [0, 1, 2]])
@pytest.mark.parametrize("width", [2, 64])
def test_examples_of_weight_0_cost_nothing(replicates: list[int], width: int) -> None:
    """Whether the networks share their batches or not, and in however many stacks they are trained."""
    of = problem(wide := trainer(epochs=3, batch_size=7))
    wide.__dict__["stack_width"] = width
    weights = torch.ones(3, 20)
    weights[0, 3], weights[1, :] = 0, 0
    weights[1, 4:9], weights[2, 5] = 0.1, 2
    of.train(weights, replicates=replicates)
    assert of.meter.spent == of.meter.announced == 3 * (19 + 5 + 20)
    of.train(weights[:1], replicates=replicates)  # one row for all
    assert of.meter.spent == of.meter.announced == 3 * (19 + 5 + 20) + 3 * 3 * 19


def test_the_gradients_of_a_step_are_those_of_its_batch() -> None:
    of = trainer(epochs=2, batch_size=6)
    weights = (torch.rand(4, 20, generator=torch.Generator().manual_seed(1)) < 0.5).double()
    for seeds in ([1, 2, 3, 4], [1, 1, 1, 1]):
        course = of.course(weights, seeds=seeds)
        expected = [int((course.at(step).weights > 0).sum()) for step in range(of.n_steps)]
        assert course.example_gradients == expected
        assert sum(expected) == 2 * weights.sum()


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"replicates": [0.5]}, "replicates must be whole numbers (int), got 0.5"),
        ({"replicates": [True]}, "replicates must be whole numbers (int), got True"),
        ({"replicates": [-1]}, "replicate -1 is below 0; give whole numbers from 0"),
        ({"replicates": "01"}, "replicates must be a list of whole numbers (int), got '01'"),
        ({"replicates": 0}, "replicates must be a list of whole numbers (int), got 0"),
        (
            {"replicates": torch.arange(2)},
            "replicates must be a list of whole numbers (int), got a tensor of torch.int64",
        ),
        ({"checkpoints": [1.5]}, "checkpoints must be whole numbers (int), got 1.5"),
        ({"checkpoints": 3}, "checkpoints must be a list of whole numbers (int), got 3"),
        ({"frozen": "1.weight"}, "frozen is the text '1.weight'; give a list of names: ['1.weight']"),
        (
            {"weights": torch.full((1, 20), torch.nan)},
            "weights must be finite and not negative; 0 leaves an example out",
        ),
        ({"weights": -torch.ones(1, 20)}, "weights must be finite and not negative; 0 leaves an example out"),
        ({"weights": [[1.0] * 20]}, "weights must be a torch.Tensor of real numbers, got a list"),
        (
            {"weights": torch.ones(20)},
            "weights have shape (20,), expected (n_replicas, n_train) = (1, 20) or one row for all",
        ),
    ],
    ids=str,
)
def test_arguments_of_train_that_do_not_fit_are_one_sentence(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        problem().train(**{"replicates": [0], **given})
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"ratio": 1.5}, "ratio must be a number above 0 and at most 1, got 1.5"),
        ({"ratio": -0.5}, "ratio must be a number above 0 and at most 1, got -0.5"),
        ({"ratio": torch.nan}, "ratio must be a number above 0 and at most 1, got nan"),
        ({"ratio": "half"}, "ratio must be a number above 0 and at most 1, got 'half'"),
        ({"ratio": 0.01}, "ratio 0.01 keeps none of 20 train points; give a larger one"),
        ({"n_models": 0}, "n_models must be at least 1, got 0"),
        ({"n_models": 1.5}, "n_models must be whole numbers (int), got 1.5"),
    ],
    ids=str,
)
def test_arguments_of_bank_that_do_not_fit_are_one_sentence(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        problem().bank(**{"n_models": 2, "ratio": 0.5, **given})
    assert str(caught.value) == sentence


def test_numbers_of_numpy_are_the_same_trainings() -> None:
    of = problem()
    first, second = (of.train(replicates=[number]).parameters() for number in (1, np.int64(1)))  # type: ignore[list-item]
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("on", ["the problem", "the runs"])
def test_a_measure_that_is_none_is_one_sentence(on: str) -> None:
    of = problem()
    runs, test = of.train(replicates=[0]), of.data.test
    outputs = runs.outputs(test)[0]
    measured = partial(runs.measured, test) if on == "the runs" else partial(of.measured, outputs, test.labels)
    with pytest.raises(ValueError, match="measure must be one of neg_loss, margin, p_correct, got 'loss'"):
        measured(measure="loss")


@pytest.mark.parametrize(("returned", "shown"), [(None, "None"), ("1", "a str"), ([1], "a list")])
def test_sites_that_are_no_names_are_one_sentence(returned: object, shown: str) -> None:
    @dataclass(frozen=True)
    class Sites(ResidualModel):
        def mask_sites(self, module: nn.Module) -> Any:
            return returned

    with pytest.raises(
        ModelError, match=rf"^Sites\.mask_sites returned {shown}; return a list of names of submodules$"
    ):
        problem(trainer(model=Sites())).sites  # noqa: B018


def test_what_cannot_be_trained_is_refused_in_a_sentence() -> None:
    of = problem()
    with pytest.raises(ValueError, match="replicates is empty"):
        of.train(replicates=[])
    with pytest.raises(ValueError, match="checkpoint 99 is not a step from 0 to 8"):
        of.train(replicates=[0], checkpoints=[99])
    with pytest.raises(ValueError, match=r"weights have shape \(2, 20\), expected"):
        of.train(torch.ones(2, 20), replicates=[0])
    with pytest.raises(ValueError, match="no parameters were kept after step 1; they were kept after 8"):
        of.train(replicates=[0]).parameters(step=1)
    with pytest.raises(ValueError, match="normalizer must be 'batch' or 'kept', got 'Batch'"):
        of.train(replicates=[0], normalizer="Batch")  # type: ignore[arg-type]
    state = trainer().initial_state(of.train(replicates=[0]).parameters())
    with pytest.raises(ValueError, match="a training has 8 steps, and this would be one more"):
        of.update(of.train(replicates=[0]).parameters(), replace(state, step=8), torch.arange(2))
    with pytest.raises(TypeError, match="state must be None"):
        of.update(of.train(replicates=[0]).parameters(), 3, torch.arange(2))
