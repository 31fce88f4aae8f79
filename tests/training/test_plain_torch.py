"""Leaving an example out of a stack is training without it in plain torch: ordinary modules, autograd, real removal.

The oracle knows nothing of stacks. Its batch norm is torch's own on a smaller batch; its dropout multiplies by factors
that are written out here from the published hash.
"""

from collections.abc import Callable
from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn

from influbench.api import Data, Split
from influbench.seeds import derive, hash_integers
from influbench.training.loop import Trainer
from tests.problems import ModuleModel, problem, trainer

SEED, LEFT_OUT = 3, 4


def pictures(n: int = 20) -> Data:
    generator = torch.Generator().manual_seed(5)
    inputs = torch.rand(n + 6, 2, 4, 4, generator=generator, dtype=torch.float64)
    everything = Split(inputs, torch.arange(n + 6) % 3, 100 + 7 * torch.arange(n + 6))
    return Data(everything.rows(slice(0, n)), everything.rows(slice(n, n + 6)), 3)


class Residual(nn.Module):
    """No sequence of layers, with a batch norm in each branch, and dropout that is used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(2, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)
        self.branch, self.branch_norm = nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4, momentum=None)
        self.dropout, self.head = nn.Dropout2d(0.4), nn.Linear(4, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = self.norm(self.stem(inputs)).relu()
        hidden = hidden + self.dropout(self.branch_norm(self.branch(hidden)))
        outputs: Tensor = self.head(self.dropout(hidden).relu().mean((2, 3)))
        return outputs


class Attention(nn.Module):
    """Transformer-like: layer norm, softmax over positions, dropout on (n, positions, features), stochastic depth."""

    def __init__(self) -> None:
        super().__init__()
        from torchvision.ops import StochasticDepth

        self.embed, self.norm = nn.Linear(4, 6), nn.LayerNorm(6)
        self.query, self.value = nn.Linear(6, 6), nn.Linear(6, 6)
        self.depth, self.dropout, self.head = StochasticDepth(0.3, "row"), nn.Dropout(0.2), nn.Linear(6, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        tokens = self.dropout(self.embed(inputs.flatten(1, 2)))
        normed = self.norm(tokens)
        weights = (self.query(normed) @ normed.mT).softmax(2)
        tokens = tokens + self.depth(self.dropout(weights @ self.value(normed)))
        outputs: Tensor = self.head(tokens.mean(1))
        return outputs


MAKERS: dict[str, Callable[[], nn.Module]] = {
    "multilayer perceptron": lambda: nn.Sequential(
        nn.Flatten(), nn.Linear(32, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 3)
    ),
    "convolutions": lambda: nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(0.5),
        nn.Linear(16, 3),
    ),
    "residual": Residual,
    "attention": Attention,
    "alpha dropout": lambda: nn.Sequential(
        nn.Flatten(), nn.Linear(32, 8), nn.SELU(), nn.AlphaDropout(0.3), nn.Linear(8, 3)
    ),
    "norm alone": lambda: nn.Sequential(nn.Flatten(), nn.BatchNorm1d(32, affine=False), nn.Linear(32, 3)),
}  # fmt: skip


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", MAKERS)
def test_leaving_out_in_a_stack_is_training_without_in_plain_torch(name: str, dtype: torch.dtype) -> None:
    of = small(MAKERS[name], dtype)
    weights = torch.stack([torch.ones(20), torch.arange(20) != LEFT_OUT, torch.arange(20) != 11])
    stacked = of.train(of.course(weights, seeds=[SEED] * 3))
    for replica, left_out in enumerate((None, LEFT_OUT, 11)):
        plain = plainly_trained(of, left_out)
        expected = plain(of.data.test.to(dtype).inputs)
        found = stacked.outputs(of.data.test)[replica]
        tolerance = 1e-10 if dtype == torch.float64 else 1e-5
        torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)
        for statistic, values in plain.named_buffers():
            if "tracked" not in statistic:
                torch.testing.assert_close(
                    stacked.parameters()[statistic][replica], values, rtol=tolerance, atol=tolerance
                )


@pytest.mark.parametrize("name", MAKERS)
def test_what_left_out_examples_hold_reaches_no_network(name: str) -> None:
    weights = torch.stack([torch.ones(20), torch.arange(20) != LEFT_OUT])
    kept = []
    for garbage in (0.5, 1e3):
        of = small(MAKERS[name], torch.float64)
        of.data.train.inputs[LEFT_OUT] = garbage
        kept.append(of.train(of.course(weights, seeds=[SEED, SEED])).parameters())
    for parameter in kept[0]:
        assert torch.equal(kept[0][parameter][1], kept[1][parameter][1])
    assert any(not torch.equal(kept[0][parameter][0], kept[1][parameter][0]) for parameter in kept[0])


@pytest.mark.parametrize("name", MAKERS)
def test_networks_of_several_seeds_are_what_each_is_alone(name: str) -> None:
    of = small(MAKERS[name], torch.float64)
    together = of.train(of.course(seeds=[SEED, 8, SEED])).outputs(of.data.test)
    for replica, seed in enumerate((SEED, 8, SEED)):
        alone = of.train(of.course(seeds=[seed])).outputs(of.data.test)[0]
        torch.testing.assert_close(together[replica], alone, rtol=1e-10, atol=1e-10)
    assert not torch.allclose(together[0], together[1])


def test_kept_in_the_statistics_a_left_out_example_still_normalizes_the_others() -> None:
    of = small(MAKERS["norm alone"], torch.float64, batch_norm="kept", epochs=1, batch_size=20)
    weights = torch.stack([torch.ones(20), torch.arange(20) != LEFT_OUT])
    with_all, without = of.train(of.course(weights, seeds=[SEED, SEED])).parameters()["1.running_mean"]
    torch.testing.assert_close(with_all, without)
    torch.testing.assert_close(with_all, 0.1 * of.data.train.inputs.flatten(1).mean(0))


def test_independent_trainings_draw_for_themselves_whatever_the_stack() -> None:
    make = MAKERS["multilayer perceptron"]
    weights = torch.stack([torch.ones(20), torch.arange(20) != LEFT_OUT, torch.arange(20) != 11])
    distances = {}
    for noise in ("paired", "independent"):
        of = small(make, torch.float64, noise=noise)
        outputs = of.train(of.course(weights, seeds=[SEED] * 3)).outputs(of.data.test)
        alone = of.train(of.course(weights[1:2], seeds=[SEED])).outputs(of.data.test)
        torch.testing.assert_close(outputs[1], alone[0], rtol=1e-10, atol=1e-10)
        distances[noise] = (outputs[0] - outputs[1]).norm()
    assert distances["independent"] > distances["paired"] > 0


@pytest.mark.parametrize("noise", ["paired", "independent"])
def test_an_update_draws_what_the_training_on_all_examples_draws(noise: str) -> None:
    view = problem(small(MAKERS["multilayer perceptron"], torch.float64, noise=noise))
    runs = view.train(replicates=[4], checkpoints=[0, 1, 2])
    parameters, state = runs.parameters(step=0), None
    for step in (1, 2):
        parameters, state = view.update(parameters, state, runs.batches[step - 1][0], replicate=4)  # type: ignore[assignment]
        for name, expected in runs.parameters(step=step).items():
            torch.testing.assert_close(parameters[name], expected, rtol=1e-12, atol=1e-12)


def small(make: Callable[[], nn.Module], dtype: torch.dtype, **settings: object) -> Trainer:
    recipe = {"batch_size": 7, "epochs": 3, "learning_rate": 0.05, **settings}
    return trainer(pictures(), ModuleModel(make), dtype=dtype, **recipe)


def plainly_trained(of: Trainer, left_out: int | None) -> nn.Module:
    """The module after training by torch's own SGD on batches from which the example is removed."""
    train, recipe = of.data.train.to(of.dtype), of.recipe
    torch.manual_seed(derive(SEED, "init"))
    module = of.model.build(of.data).to(of.dtype)
    for name, part in list(module.named_modules()):
        if replaced := drawn_as_published(name, part):
            parent, _, child = name.rpartition(".")
            setattr(module.get_submodule(parent), child, replaced)
    optimizer = torch.optim.SGD(module.parameters(), recipe.learning_rate, recipe.momentum)
    for step, rows in enumerate(of.course(seeds=[SEED]).batches):
        kept = rows[rows != left_out] if left_out is not None else rows
        Published.bits = hash_integers(derive(SEED, "dropout", step), train.ids[kept])
        Published.uses.clear()
        losses = nn.functional.cross_entropy(module(train.inputs[kept]), train.labels[kept], reduction="none")
        optimizer.zero_grad()
        (losses.sum() / len(rows)).backward()
        optimizer.step()
    return module.eval()


class Published(nn.Module):
    """Dropout of any kind, by factors from random bits of each example."""

    bits: ClassVar[Tensor]
    uses: ClassVar[dict[str, int]] = {}

    def __init__(self, name: str, kind: str, p: float) -> None:
        super().__init__()
        self.name, self.kind, self.p = name, kind, p

    def forward(self, inputs: Tensor) -> Tensor:
        if not self.training:
            return inputs
        use = Published.uses.get(self.name, 0)
        Published.uses[self.name] = use + 1
        units = {"Dropout2d": inputs.shape[1:2], "StochasticDepth": ()}.get(self.kind, inputs.shape[1:])
        kept = torch.tensor([self.kept(bits, use, units.numel() if units else 1) for bits in Published.bits.tolist()])
        kept = kept.reshape(len(inputs), *units, *[1] * (inputs.ndim - 1 - len(units))).to(inputs.dtype)
        if self.kind != "AlphaDropout":
            return inputs * kept / (1 - self.p)
        low = -1.0507009873554805 * 1.6732632423543772
        a = ((1 - self.p) * (1 + self.p * low**2)) ** -0.5
        return a * (inputs * kept + low * (1 - kept)) - a * low * self.p

    def kept(self, bits: int, use: int, n_units: int) -> list[bool]:
        of_layer = hash_integers(derive(0, "layer", self.name, use), torch.tensor([bits]))
        found = []
        for unit in range(n_units):
            word = int(hash_integers(of_layer, torch.tensor([unit // 4]))) % 2**64
            found.append((word >> 16 * (unit % 4)) % 2**16 < round((1 - self.p) * 2**16))
        return found


def drawn_as_published(name: str, part: nn.Module) -> Published | None:
    kind = type(part).__name__
    return (
        Published(name, kind, part.p) if kind in ("Dropout", "Dropout2d", "AlphaDropout", "StochasticDepth") else None
    )  # type: ignore[arg-type]
