"""The contract suite finds what is wrong, says how to fix it, and passes correct plugins."""

import random
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import ClassVar
from unittest import SkipTest

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from influbench.api import Data, Dataset, Estimate, Estimator, Model, Problem, Recipe, Split
from influbench.errors import PluginError
from influbench.estimators.leave_one_out import LeaveOneOut
from influbench.process import changes
from influbench.registry import installed
from influbench.results import CheckOutcome
from influbench.testing import (
    Check,
    ContractError,
    blobs,
    dataset_checks,
    estimator_checks,
    group_means,
    judge_checks,
    least_squares,
    model_checks,
)


def outcomes(checks: list[Check]) -> dict[str, CheckOutcome]:
    return {str(check): check.outcome() for check in checks}


def failed(checks: list[Check]) -> list[str]:
    return [name for name, outcome in outcomes(checks).items() if outcome.status == "failed"]


def scores(problem: Problem) -> Tensor:
    """Inner products of inputs: about the points, and nothing else."""
    train, test = (split.inputs.flatten(1).double() for split in (problem.data.train, problem.data.test))
    return train @ test.T


def shown(problem: Problem) -> str:
    """All that the scores depend on."""
    return str(problem.data.train.inputs.tolist() + problem.data.test.inputs.tolist())


def running_sum(problem: Problem) -> Iterator[Estimate]:
    """Half of the scores, and then all of them, in the same memory."""
    total = torch.zeros_like(scores(problem))
    for _ in range(2):
        total += scores(problem) / 2
        yield Estimate(total)


@dataclass(frozen=True)
class Good(Estimator):
    scores_duplicates_alike = True
    draws = False

    def estimate(self, problem: Problem) -> Estimate:
        return Estimate(scores(problem))


@dataclass(frozen=True)
class Faulty(Good):
    """Has one fault."""

    fault: str
    memory: list[int] = field(default_factory=list, hash=False)
    kept: dict[str, Tensor] = field(default_factory=dict, hash=False)

    def unsupported(self, problem: Problem) -> str | None:
        if self.fault == "unsupported":
            problem.train(replicates=[0])
        return "" if self.fault == "empty reason" else None

    def trace(self, problem: Problem, steps: object) -> Iterable[Estimate] | None:
        match self.fault:
            case "trace":
                return [Estimate(scores(problem)), Estimate(-scores(problem))]
            case "trace of one step":
                return [Estimate(scores(problem))]
            case "trace without end":
                return (Estimate(scores(problem)) for _ in count())
            case "running sum":
                return running_sum(problem)
            case "steps in one buffer":
                return list(running_sum(problem))
        return None

    def estimate(self, problem: Problem) -> Estimate:
        influence, data = scores(problem), problem.data
        match self.fault:
            case "estimate":
                influence = influence.T
            case "regression only":
                if data.n_classes is None:
                    raise RuntimeError("no classes")
            case "determinism":
                self.memory.append(1)
                influence = influence * len(self.memory)
            case "draws":
                influence = influence * problem.seed
            case "bank":
                influence = influence + problem.bank(n_models=2, ratio=0.5).on_test.sum()
            case "permutation":
                influence = influence + 9 * torch.arange(len(influence))[:, None]
            case "columns":
                influence = influence - influence.mean(1, keepdim=True)
            case "duplicates":
                influence = influence + data.train.ids[:, None]
            case "data":
                data.train.inputs.add_(1)
            case "model":
                object.__setattr__(problem.model, "hidden", (1,))
            case "torch":
                torch.manual_seed(1)
            case "numpy":
                np.random.seed(1)
            case "random":
                random.seed(1)
            case "gradients":
                torch.set_grad_enabled(False)
            case "threads":
                torch.set_num_threads(torch.get_num_threads() + 1)
            case "sign":
                influence = -truthful(problem)
            case "kept":
                influence = self.kept.setdefault(shown(problem), influence)
            case "one buffer":
                influence = self.kept.setdefault(str(influence.shape), influence).copy_(influence)
            case "one number":
                influence = influence.new_ones(()).expand(influence.shape)
        return Estimate(influence)


def truthful(problem: Problem) -> Tensor:
    influence = LeaveOneOut(n_seeds=1).estimate(problem).influence
    assert influence is not None
    return influence


@pytest.mark.parametrize("check", estimator_checks(Good()), ids=str)
def test_a_good_estimator_passes(check: Check) -> None:
    check()


@pytest.mark.parametrize(
    ("fault", "check", "seen"),
    [
        ("unsupported", "unsupported", "unsupported trains networks on classes"),
        ("empty reason", "unsupported", "unsupported returned '' on classes, expected one sentence or None"),
        ("estimate", "estimate", "it is transposed"),
        ("regression only", "estimate", "on regression: RuntimeError: no classes"),
        ("determinism", "determinism", "two runs with one seed: influence is off by"),
        ("draws", "draws", "runs with two seeds, though it declares draws = False: influence is off by"),
        ("bank", "draws", "runs with two seeds, though it declares draws = False: influence is off by"),
        ("permutation", "permutation", "scores of train points in another order"),
        ("columns", "columns", "scores for some of the test points, alone"),
        ("duplicates", "duplicates", "score differently, but it declares that they score alike"),
        ("data", "data", "it wrote into the data"),
        ("torch", "process", "it changed torch's random state"),
        ("numpy", "process", "it changed numpy's random state"),
        ("random", "process", "it changed Python's random state"),
        ("gradients", "process", "it changed the gradient mode"),
        ("threads", "process", "it changed the number of threads"),
        ("sign", "sign", "influence has a rank correlation of -"),
        ("trace", "trace", "the last step of a trace and the estimate"),
        ("trace of one step", "trace", "traced 1 of 2 steps"),
        ("trace without end", "trace", "traced more than the 2 steps that it was asked for"),
        ("kept", "new tensors", "scores after the earlier ones were overwritten by the caller: influence is off by"),
        ("one buffer", "new tensors", "scores before and after a further estimate: influence is off by"),
        ("running sum", "new tensors in traces", "each step is overwritten by the caller: influence is off by"),
        ("steps in one buffer", "new tensors in traces", "each step is overwritten by the caller: influence is off by"),
    ],
)
def test_each_fault_of_an_estimator_is_found_and_reported_and_leaves_no_mark(fault: str, check: str, seen: str) -> None:
    before = torch.get_rng_state(), np.random.get_state()[1].sum(), random.getstate()  # type: ignore[union-attr]
    with changes() as changed:
        found = outcomes(estimator_checks(Faulty(fault)))[check]
    assert found.status == "failed"
    assert seen in found.detail
    assert found.remedy
    assert not changed
    assert torch.equal(before[0], torch.get_rng_state())


def test_scores_that_share_one_number_are_overwritten_without_harm() -> None:
    assert outcomes(estimator_checks(Faulty("one number")))["new tensors"].status == "passed"


def test_one_cause_is_reported_once_with_where_it_is() -> None:
    found = outcomes(estimator_checks(Faulty("regression only")))
    assert found["estimate"].detail.startswith("on regression: RuntimeError: no classes (test_checks.py, line ")
    assert found["estimate"].remedy.startswith("fix it, or say in `unsupported`")
    rest = [outcome for name, outcome in found.items() if name not in ("unsupported", "estimate")]
    assert {(outcome.status, outcome.detail) for outcome in rest} == {("not checked", "because `estimate` fails")}


def test_an_estimator_that_changes_the_model_is_found() -> None:
    found = outcomes(estimator_checks(Faulty("model")))["model"]
    assert (found.status, found.detail) == ("failed", "it changed the fields of the model it was given")


def test_the_remedy_is_in_the_error_of_a_test() -> None:
    check = next(check for check in estimator_checks(Faulty("columns")) if str(check) == "columns")
    with pytest.raises(ContractError, match=r"alone: influence is off by .*; treat each test point by itself"):
        check()


@dataclass(frozen=True)
class Declared(Good):
    exempt: ClassVar[Mapping[str, str]] = {"columns": "centres its rows"}

    def estimate(self, problem: Problem) -> Estimate:
        return Estimate(scores(problem) - scores(problem).mean(1, keepdim=True))


@dataclass(frozen=True)
class Overcautious(Good):
    exempt: ClassVar[Mapping[str, str]] = {"columns": "no reason at all"}


def test_exemptions_are_reported_with_their_reason_and_end_with_it() -> None:
    declared = outcomes(estimator_checks(Declared()))["columns"]
    assert declared.status == "exempt"
    assert declared.detail.startswith("centres its rows (scores for some of the test points")
    check = next(check for check in estimator_checks(Declared()) if str(check) == "columns")
    with pytest.raises(SkipTest, match="centres its rows"):
        check()
    overcautious = outcomes(estimator_checks(Overcautious()))["columns"]
    assert (overcautious.status, overcautious.detail) == (
        "failed",
        "is declared exempt and passes; remove it from `exempt`",
    )


@dataclass(frozen=True)
class Points(Dataset):
    """Draws from a source of 60, with one fault."""

    fault: str = ""

    def load(self, seed: int) -> Data:
        source = blobs(60, 2, seed=0).train
        ids = torch.arange(60)
        if self.fault == "process":
            np.random.seed(seed)
        order = torch.randperm(60, generator=torch.Generator().manual_seed(seed))
        if self.fault == "determinism":
            order = order.roll(len(_LOADED))
            _LOADED.append(1)
        drawn = source.rows(order)
        drawn = Split(drawn.inputs, drawn.labels, ids if self.fault == "ids" else ids[order])
        train, test = drawn.rows(slice(0, 40)), drawn.rows(slice(40, 60))
        if self.fault == "splits":
            test = Split(test.inputs, test.labels, test.ids.clone())
            test.ids[0] = train.ids[0]
        if self.fault == "classes":
            train = train.rows(train.labels != 2)
        if self.fault == "load":
            train.inputs[0, 0] = torch.nan
        if self.fault == "loads":
            return _KEPT.setdefault("data", Data(train, test, 3))
        return Data(train, test, 3)


_LOADED: list[int] = []
_KEPT: dict[str, Data] = {}


@pytest.mark.parametrize("check", dataset_checks(Points()), ids=str)
def test_a_good_data_set_passes(check: Check) -> None:
    check()


@pytest.mark.parametrize("fault", [str(check) for check in dataset_checks(Points())])
def test_each_fault_of_a_data_set_is_found(fault: str) -> None:
    assert fault in failed(dataset_checks(Points(fault)))


@pytest.mark.parametrize(
    ("exempt", "sentence"),
    [
        ({"determinisms": "draws"}, "names 'determinisms', which is not a check; did you mean 'determinism'?"),
        ({"nonsense": "x"}, "names 'nonsense', which is not a check; there are load, determinism, "),
        (["determinism"], "is a list; write {NAME_OF_CHECK: 'the reason'}"),
        ({"determinism": ""}, "gives '' for 'determinism'; write the reason as a text"),
    ],
)
def test_exemptions_that_do_not_fit_are_reported_in_a_sentence(exempt: object, sentence: str) -> None:
    wrong = type("Wrong", (Points,), {"exempt": exempt})
    with pytest.raises(PluginError, match=f"^Wrong.exempt {re.escape(sentence)}"):
        dataset_checks(wrong())


class Noisy(nn.Module):
    """Two layers, with one fault."""

    def __init__(self, n_inputs: int, n_outputs: int, fault: str) -> None:
        super().__init__()
        self.first, self.act, self.last = nn.Linear(n_inputs, 4), nn.Tanh(), nn.Linear(4, n_outputs)
        self.fault, self.calls = fault, 0

    def forward(self, inputs: Tensor) -> Tensor:
        if self.fault == "inputs":
            inputs.mul_(0.5)
        hidden = self.act(self.first(inputs))
        if self.fault == "training":  # gradients of an example depend on the others, and outputs do not
            centered = hidden - hidden.mean(0)
            hidden = hidden + centered - centered.detach()
        if self.fault == "examples":
            hidden = hidden - hidden.mean(0)
        if self.fault == "sites":
            hidden = self.act(hidden)
        if self.fault == "stack" and not self.training:
            hidden = 2 * hidden
        if self.fault == "calls":
            self.calls += 1
            hidden = hidden * (1 + 0.01 * self.calls)
        if self.fault == "gradients":
            hidden, outputs = hidden.detach(), self.last(hidden).detach()
            return outputs + 0 * self.last(hidden)
        outputs = self.last(hidden)
        return outputs[:, :1].expand(-1, 5) if self.fault == "outputs" else outputs


@dataclass(frozen=True)
class Net(Model):
    fault: str = ""

    @property
    def recipe(self) -> Recipe:
        if self.fault == "recipe":
            _LOADED.append(1)
            return Recipe(epochs=len(_LOADED) + 1)
        return Recipe(epochs=1)

    def build(self, data: Data) -> nn.Module:
        if self.fault == "determinism":
            torch.manual_seed(0)
        if self.fault == "process":
            np.random.seed(5)
        if self.fault == "build":
            return Noisy  # type: ignore[return-value]
        if data.train.inputs.ndim > 2:
            raise ValueError("takes flat inputs")
        return Noisy(data.train.inputs.shape[1], data.n_classes or 1, self.fault)


@pytest.mark.parametrize("check", model_checks(Net()), ids=str)
def test_a_good_model_passes(check: Check) -> None:
    check()


@pytest.mark.parametrize("fault", [str(check) for check in model_checks(Net()) if str(check) != "batches"])
def test_each_fault_of_a_model_is_found(fault: str) -> None:
    assert failed(model_checks(Net(fault))) == [fault]


def test_what_cannot_be_checked_for_a_fault_is_said_to_be_so() -> None:
    found = outcomes(model_checks(Net("outputs")))
    assert found["outputs"].detail == (
        "forward gives outputs of shape (4, 5) for 4 examples, expected (n, n_classes) = (4, 3)"
    )
    assert found["outputs"].remedy.startswith("size the last layer")
    assert {name for name, outcome in found.items() if outcome.status == "passed"} == {
        "build", "determinism", "recipe", "process"
    }  # fmt: skip
    assert (found["stack"].status, found["stack"].detail) == ("not checked", "because `outputs` fails")
    with pytest.raises(SkipTest, match="because `outputs` fails"):
        next(check for check in model_checks(Net("outputs")) if str(check) == "stack")()


@dataclass(frozen=True)
class ForClasses(Net):
    def loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
        return -outputs.log_softmax(1).gather(1, labels[:, None])[:, 0]


def test_a_model_need_not_fit_all_kinds_of_data() -> None:
    assert failed(model_checks(ForClasses())) == []


@dataclass(frozen=True)
class Wide(Net):
    """Takes inputs of 13 numbers."""

    def build(self, data: Data) -> nn.Module:
        return Noisy(13, data.n_classes or 1, self.fault)


def test_a_model_for_data_of_its_own_is_checked_on_those() -> None:
    (seen,) = (one for one in outcomes(model_checks(Wide())).values() if one.status == "failed")
    assert seen.name == "outputs"
    assert seen.detail.startswith("it runs on none of classes, pictures, regression: on classes: RuntimeError: mat1")
    assert "-d DATA" in seen.remedy
    assert failed(model_checks(Wide(), dataset="wine")) == []
    assert failed(model_checks(Wide("examples"), dataset="wine")) == ["examples"]


def test_a_data_set_is_tried_with_a_model() -> None:
    assert failed(dataset_checks(Points(), model="mlp")) == []
    seen = outcomes(dataset_checks(Points(), model=Net("inputs")))["training"]
    assert seen.detail.startswith("forward writes into its inputs; work on a copy")
    assert outcomes(dataset_checks(Points("load"), model="mlp"))["training"].status == "not checked"


@pytest.mark.parametrize("oracle", [least_squares(), group_means()], ids=["least_squares", "group_means"])
def test_oracles_are_what_training_finds(oracle: object) -> None:
    problem, influence = oracle.problem, oracle.influence  # type: ignore[attr-defined]
    torch.testing.assert_close(truthful(problem).double(), influence, rtol=1e-6, atol=1e-8)


def test_groups_have_no_influence_on_each_other() -> None:
    oracle = group_means()
    train, test = oracle.problem.data.train.inputs, oracle.problem.data.test.inputs
    assert not oracle.influence[(train @ test.T) == 0].abs().max() > 1e-12


@pytest.mark.parametrize("name", installed().names("model"))
def test_the_models_that_come_with_influbench_keep_the_contract(name: str) -> None:
    assert failed(model_checks(name)) == []


@pytest.mark.parametrize("name", ["digits", "wine", "breast_cancer", "diabetes"])
def test_the_data_sets_that_come_with_influbench_keep_the_contract(name: str) -> None:
    assert failed(dataset_checks(name)) == []


@pytest.mark.parametrize("name", installed().names("judge"))
def test_the_judges_that_come_with_influbench_keep_the_contract(name: str) -> None:
    assert failed(judge_checks(name)) == []
