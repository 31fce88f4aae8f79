"""Plugins of strangers: working ones, and every kind of broken one."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from influbench.api import (
    Data,
    Dataset,
    Estimate,
    Estimator,
    Model,
    Optimizer,
    OptimizerState,
    Problem,
    Recipe,
    Schedule,
    Spec,
    Split,
)
from influbench.models.mlp import Mlp
from influbench.registry import Distribution, Entry, Registry, installed
from influbench.registry.entries import kind_of
from influbench.seeds import derive
from tests.problems import blobs, line

Tensors = Mapping[str, Tensor]


@dataclass(frozen=True)
class Blobs(Dataset):
    n_train: int = 20
    n_test: int = 8

    def load(self, seed: int) -> Data:
        return blobs(self.n_train, self.n_test, seed=seed % 1000)


@dataclass(frozen=True)
class Line(Dataset):
    n_train: int = 20

    def load(self, seed: int) -> Data:
        return line(self.n_train, seed=seed % 1000)


@dataclass(frozen=True)
class NotFinite(Dataset):
    def load(self, seed: int) -> Data:
        data = blobs()
        data.train.inputs[3, 1] = torch.nan
        return data


@dataclass(frozen=True)
class Crashing(Dataset):
    def load(self, seed: int) -> Data:
        raise RuntimeError("the disk is gone")


@dataclass(frozen=True)
class Raises(Estimator):
    def estimate(self, problem: Problem) -> Estimate:
        raise RuntimeError("no luck today")


@dataclass(frozen=True)
class Leaves(Estimator):
    """Ends the process."""

    def estimate(self, problem: Problem) -> Estimate:
        raise SystemExit(3)


@dataclass(frozen=True)
class Skips(Estimator):
    """Raises what is no Exception."""

    def estimate(self, problem: Problem) -> Estimate:
        pytest.skip("not today")


class MuteError(Exception):
    def __str__(self) -> str:
        raise ValueError("no words")


@dataclass(frozen=True)
class Mute(Estimator):
    def estimate(self, problem: Problem) -> Estimate:
        raise MuteError


@dataclass(frozen=True)
class Wordy(Estimator):
    def estimate(self, problem: Problem) -> Estimate:
        raise RuntimeError("\n" + 3 * ("long" * 1000 + "\n") + "and the end")


@dataclass(frozen=True)
class NoType(Estimator):
    k = 3

    def estimate(self, problem: Problem) -> Estimate:
        return Estimate()


@dataclass(frozen=True)
class OddType(Estimator):
    k: "nowhere" = 3  # type: ignore[name-defined] # noqa: F821

    def estimate(self, problem: Problem) -> Estimate:
        return Estimate()


@dataclass(frozen=True)
class Chatty(Estimator):
    """Prints, and leaves new tensors on another device."""

    def estimate(self, problem: Problem) -> Estimate:
        print("done soon")  # noqa: T201
        torch.set_default_device("meta")
        return Estimate(torch.rand(len(problem.data.train), len(problem.data.test), device="cpu"))


@dataclass(frozen=True)
class ChattyBlobs(Blobs):
    def load(self, seed: int) -> Data:
        data = super().load(seed)
        print("loaded")  # noqa: T201
        torch.set_default_device("meta")
        return data


class Murmur(nn.Linear):
    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        print("forward")  # noqa: T201
        return super().forward(inputs)


@dataclass(frozen=True)
class ChattyNet(Model):
    """Prints wherever it is called; with `leaves`, ends the process when it is trained in a stack."""

    leaves: bool = False

    @property
    def recipe(self) -> Recipe:
        return Recipe(epochs=1, batch_size=10)

    def build(self, data: Data) -> nn.Module:
        print("built")  # noqa: T201
        assert data.n_classes
        network = Murmur(data.train.inputs.shape[1], data.n_classes)
        torch.set_default_device("meta")
        return network

    def loss(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        if self.leaves and len(labels) > 40:
            raise SystemExit(3)
        return super().loss(outputs, labels)


@dataclass(frozen=True)
class Shrinks(Estimator):
    """Writes into the model and the recipe."""

    def estimate(self, problem: Problem) -> Estimate:
        object.__setattr__(problem.model, "hidden", (1,))
        object.__setattr__(problem.recipe, "epochs", 1)
        return Estimate(torch.zeros(len(problem.data.train), len(problem.data.test)))


@dataclass(frozen=True)
class NotANumber(Estimator):
    def estimate(self, problem: Problem) -> Estimate:
        scores = torch.zeros(len(problem.data.train), len(problem.data.test))
        scores[0, 1] = torch.nan
        return Estimate(scores)


@dataclass(frozen=True)
class WrongShape(Estimator):
    def estimate(self, problem: Problem) -> Estimate:
        return Estimate(torch.zeros(3, 4))


@dataclass(frozen=True)
class Transposed(Estimator):
    def estimate(self, problem: Problem) -> Estimate:
        return Estimate(torch.zeros(len(problem.data.test), len(problem.data.train)))


@dataclass(frozen=True)
class Empty(Estimator):
    def estimate(self, problem: Problem) -> Estimate:
        return Estimate()


@dataclass(frozen=True)
class NoEstimate(Estimator):
    def estimate(self, problem: Problem) -> Estimate:
        return None  # type: ignore[return-value]


@dataclass(frozen=True)
class NotesAlone(Estimator):
    draws = False

    def estimate(self, problem: Problem) -> Estimate:
        n_train, n_test = len(problem.data.train), len(problem.data.test)
        return Estimate(torch.arange(n_train * n_test).reshape(n_train, n_test).double(), notes="did not converge")


@dataclass(frozen=True)
class NotesANumber(Estimator):
    def estimate(self, problem: Problem) -> Estimate:
        return Estimate(torch.zeros(len(problem.data.train), len(problem.data.test)), notes=(3,))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Vandal(Estimator):
    """Writes into the data."""

    def estimate(self, problem: Problem) -> Estimate:
        problem.data.train.inputs.zero_()
        return Estimate(torch.zeros(len(problem.data.train), len(problem.data.test)))


@dataclass(frozen=True)
class OnlyMemorization(Estimator):
    def estimate(self, problem: Problem) -> Estimate:
        return Estimate(memorization=torch.arange(len(problem.data.train)).float())


@dataclass(frozen=True)
class Elsewhere(Estimator):
    """Has its scores from where nobody counted what they cost."""

    cost_is_counted = False

    def estimate(self, problem: Problem) -> Estimate:
        problem.train(replicates=[0])
        train, test = problem.data.train.ids, problem.data.test.ids
        return Estimate(influence=(7.0 * train[:, None] + test).sin(), memorization=train.double().cos())


@dataclass(frozen=True)
class ElsewhereInVain(Elsewhere):
    def estimate(self, problem: Problem) -> Estimate:
        raise RuntimeError("nothing there")


@dataclass(frozen=True)
class Presumptuous(Estimator):
    """Makes the problem one that it supports."""

    def unsupported(self, problem: Problem) -> str | None:
        object.__setattr__(problem.recipe, "epochs", 1)
        problem.data.train.inputs.zero_()
        return None

    def estimate(self, problem: Problem) -> Estimate:
        return Estimate(torch.zeros(len(problem.data.train), len(problem.data.test)))


@dataclass(frozen=True)
class Wordless(Presumptuous):
    """Has a reason and does not tell it."""

    def unsupported(self, problem: Problem) -> str | None:
        return " "


@dataclass(frozen=True)
class Garbled(Presumptuous):
    """Speaks in halves of characters."""

    where: str = "notes"

    def unsupported(self, problem: Problem) -> str | None:
        return "not \ud800 here" if self.where == "unsupported" else None

    def estimate(self, problem: Problem) -> Estimate:
        if self.where == "error":
            raise ValueError("\ud800 bad")
        return Estimate(torch.zeros(len(problem.data.train), len(problem.data.test)), notes=("\ud800",))


@dataclass(frozen=True)
class Undecided(Estimator):
    """Cannot even say whether it is supported."""

    def unsupported(self, problem: Problem) -> str | None:
        raise RuntimeError("boom")

    def estimate(self, problem: Problem) -> Estimate:
        return Estimate()


@dataclass(frozen=True)
class Careless(Estimator):
    """Seeds every global generator and turns every global knob."""

    draws = False

    def estimate(self, problem: Problem) -> Estimate:
        torch.manual_seed(3)
        np.random.seed(3)
        random.seed(3)
        torch.set_grad_enabled(False)
        torch.set_default_dtype(torch.float64)
        torch.set_num_threads(torch.get_num_threads() + 1)
        return Estimate(torch.randn(len(problem.data.train), len(problem.data.test)))


@dataclass(frozen=True)
class Drawing(Estimator):
    """Draws from the global generator without seeding it."""

    def estimate(self, problem: Problem) -> Estimate:
        return Estimate(torch.randn(len(problem.data.train), len(problem.data.test)))


@dataclass(frozen=True)
class Needy(Estimator):
    """Has a hyperparameter without a default."""

    power: int

    def estimate(self, problem: Problem) -> Estimate:
        return Estimate(torch.full((len(problem.data.train), len(problem.data.test)), float(self.power)))


class NoDataclass(Estimator):
    def estimate(self, problem: Problem) -> Estimate:
        return Estimate()


@dataclass(frozen=True)
class SwappedSplit(Dataset):
    """Loads data with one fault."""

    fault: str = ""

    def load(self, seed: int) -> Data:
        data = blobs()
        train, test = data.train, data.test
        if self.fault == "huge":
            inputs = train.inputs.double()
            inputs[0, 0] = 1e300
            return Data(Split(inputs, train.labels, train.ids), test, 3)
        if self.fault == "arrays":
            return Data(Split(train.inputs.numpy(), train.labels, train.ids), test, 3)  # type: ignore[arg-type]
        if self.fault == "ids":
            return Data(Split(train.inputs, train.labels, torch.zeros(20, dtype=torch.int64)), test, 3)
        if self.fault == "labels":
            return Data(Split(train.inputs, train.labels + 1, train.ids), test, 3)
        if self.fault == "length":
            return Data(Split(train.inputs, train.labels[:-1], train.ids), test, 3)
        if self.fault == "integers":
            return Data(Split(train.inputs.long(), train.labels, train.ids), test, 3)
        if self.fault == "widths":
            return Data(train, Split(test.inputs[:, :-1], test.labels, test.ids), 3)
        if self.fault == "classes":
            return Data(train, test, 1)
        if self.fault == "regression":
            return Data(train, test, None)
        if self.fault == "floats":
            return Data(Split(train.inputs, train.labels.float(), train.ids), test, 3)
        if self.fault == "train as test":
            return Data(train, train, 3)
        if self.fault == "train as test, renumbered":
            return Data(train, Split(train.inputs, train.labels, train.ids + 1000), 3)
        if self.fault == "one twice":
            return Data(
                train,
                Split(
                    *(torch.cat([x, y[3:4]]) for x, y in zip(vars(test).values(), vars(train).values(), strict=True))
                ),
                3,
            )
        if self.fault == "tiny":
            return Data(train.rows(slice(0, 1)), test, 3)
        return "data"  # type: ignore[return-value]


@dataclass(frozen=True)
class Nesterov(Optimizer):
    """torch's SGD with nesterov=True, and moments that no parameter needs: the first parameters, and a constant."""

    beta: float = 0.9

    def __post_init__(self) -> None:
        if not 0 < self.beta < 1:
            raise ValueError(f"beta must be in (0, 1), got {self.beta}")

    def initial_moments(self, recipe: Recipe, parameters: Tensors) -> Mapping[str, Tensors]:
        zeros = {name: torch.zeros_like(p) for name, p in parameters.items()}
        return {"velocity": zeros, "start": {name: p.clone() for name, p in parameters.items()}, "zero": zeros}

    def step(
        self,
        recipe: Recipe,
        parameters: Tensors,
        gradients: Tensors,
        state: OptimizerState,
        *,
        learning_rate: float,
        in_place: bool = False,
    ) -> tuple[Tensors, Mapping[str, Tensors]]:
        velocity = {name: self.beta * state.moments["velocity"][name] + g for name, g in gradients.items()}
        stepped = {
            name: p - learning_rate * (gradients[name] + self.beta * velocity[name]) for name, p in parameters.items()
        }
        zero = {name: torch.zeros_like(p) for name, p in parameters.items()}
        return stepped, {"velocity": velocity, "start": state.moments["start"], "zero": zero}


@dataclass(frozen=True)
class Decoupled(Nesterov):
    """The same step, with a weight decay that is the gradient of nothing."""

    decay_is_in_objective = False


@dataclass(frozen=True)
class Shrinking(Nesterov):
    """Gives a parameter back in another shape."""

    def step(self, *args: Any, **options: Any) -> Any:
        stepped, moments = super().step(*args, **options)
        return {name: p[:1] for name, p in stepped.items()}, moments


@dataclass(frozen=True)
class Stumbling(Nesterov):
    def step(self, *args: Any, **options: Any) -> Any:
        raise RuntimeError("no luck today")


@dataclass(frozen=True)
class Backwards(Schedule):
    """A learning rate below 0 at the last step."""

    def learning_rate(self, recipe: Recipe, step: int, n_steps: int) -> float:
        return recipe.learning_rate if step < n_steps - 1 else -1.0


@dataclass(frozen=True)
class OddRecipe(Mlp):
    """A perceptron whose recipe names what nobody has."""

    @property
    def recipe(self) -> Recipe:
        return Recipe("nesterof")


@dataclass(frozen=True)
class Meddler(Estimator):
    """Writes into the optimizer."""

    def estimate(self, problem: Problem) -> Estimate:
        object.__setattr__(problem.optimizer, "beta", 0.1)
        return Estimate(torch.zeros(len(problem.data.train), len(problem.data.test)))


@dataclass(frozen=True)
class WarmUp(Schedule):
    """From 1 / n of the full learning rate to all of it in n steps."""

    n: int = 3

    def learning_rate(self, recipe: Recipe, step: int, n_steps: int) -> float:
        return recipe.learning_rate * min(1, (step + 1) / self.n)


@dataclass(frozen=True)
class Noting(Estimator):
    """Has a note that is the same in every repeat, and one that is not."""

    def estimate(self, problem: Problem) -> Estimate:
        scores = torch.arange(len(problem.data.train)).double() + problem.draw
        return Estimate(memorization=scores, notes=("always", f"seed {problem.seed}"))


@dataclass(frozen=True)
class Forgetful(Estimator):
    """Has a quantity in only one of its repeats: the first of a plan of seed 0, or the others."""

    first: bool = True
    quantity: str = "memorization"

    def estimate(self, problem: Problem) -> Estimate:
        n_train, n_test = len(problem.data.train), len(problem.data.test)
        given = {"influence": torch.rand(n_train, n_test), "memorization": torch.rand(n_train)}
        if (problem.seed == derive(0, "estimator", "forgetful")) != self.first:
            del given[self.quantity]
        return Estimate(**given)


STRANGERS = Distribution("strangers", "1.0")


def registry_with(*further: Entry, **names: str) -> Registry:
    """The registry below, with further entries."""
    return Registry((*registry(**names).entries, *further))


def registry(**names: str) -> Registry:
    """All that is installed, and the classes of this module that are given: `registry(raises="Raises")`."""
    entries = []
    for name, target in {"blobs": "Blobs", "line": "Line", **names}.items():
        kind = kind_of(globals()[target])
        assert kind is not None
        entries.append(Entry(kind, Spec(name, f"tests.plugins:{target}", target), STRANGERS))
    return Registry((*installed().entries, *entries))
