"""A stack of networks equals the networks one by one, whichever path runs it."""

import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from torch import nn
from torchvision.ops import StochasticDepth

from influbench.api import Data, Split
from influbench.errors import ModelError
from influbench.models.cnn import Cnn
from influbench.models.mlp import Mlp
from influbench.models.resnet import Resnet
from influbench.networks.convolution import in_onednn_layout
from influbench.networks.replicas import Parameters, Replicas
from influbench.training.course import Batch
from influbench.training.loop import Trainer
from influbench.training.runs import StackedRuns
from tests.problems import ModuleModel, Residual, ResidualModel, blobs, trainer

CPU = torch.device("cpu")


def test_chains_are_stacked_and_the_rest_is_not() -> None:
    shared = nn.ReLU()
    for chain in (
        nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)),
        nn.Sequential(nn.Sequential(nn.Linear(4, 3), nn.Tanh()), nn.Linear(3, 2)),
    ):
        assert Replicas(chain).path(CPU) == "stacked"
    for other in (
        Residual(4, 2),
        nn.Sequential(nn.Linear(4, 4), shared, nn.Linear(4, 4), shared),
        nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4)),
    ):
        assert Replicas(other).path(CPU) == "vmap"
    assert Replicas(nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 2))).path(CPU) == "loop"


def test_fallbacks_of_vmap_do_not_warn() -> None:
    script = """
import torch
from torch.func import grad, vmap
from influbench.networks.replicas import Replicas
layer = torch.nn.TransformerEncoderLayer(4, 2, 4, dropout=0.0, batch_first=True)
def loss(weight, inputs):
    query = (inputs @ weight)[None, None]
    return torch.nn.functional.scaled_dot_product_attention(query, query, query).sum()
Replicas(layer).outputs({name: p.detach()[None] for name, p in layer.named_parameters()}, torch.ones(1, 3, 2, 4))
vmap(grad(loss), in_dims=(None, 0))(torch.eye(4), torch.ones(2, 3, 4))
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True)
    assert ran.stderr == ""


class Branching(nn.Module):
    """Decides by values, which vmap cannot follow."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(5, 3)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        outputs: torch.Tensor = self.linear(inputs)
        return outputs if self.linear.weight.sum() > 0 else -outputs


IMAGES = [Cnn(channels=(3, 4)), Resnet(width=4, blocks=(1, 1)), Resnet(width=8, blocks=(2,))]


def pictures(n_train: int = 12, n_test: int = 4) -> Data:
    generator = torch.Generator().manual_seed(0)
    n = n_train + n_test
    everything = Split(torch.rand(n, 2, 8, 8, generator=generator), torch.arange(n) % 3, torch.arange(n))
    return Data(everything.rows(slice(0, n_train)), everything.rows(slice(n_train, n)), 3)


@pytest.mark.parametrize("model", [*IMAGES, ModuleModel(Branching)])
@pytest.mark.parametrize("same_seed", [True, False])
def test_a_loop_equals_one_by_one_and_vmap(model, same_seed: bool) -> None:  # type: ignore[no-untyped-def]
    """Convolutions on a CPU and what vmap cannot follow; the plain module is the oracle."""
    of = trainer(blobs() if isinstance(model, ModuleModel) else pictures(), model)
    assert of.network.path(CPU) == "loop"
    seeds = [7, 7] if same_seed else [7, 8]
    runs = of.train(of.course(seeds=seeds))
    for replica, seed in enumerate(seeds):
        module = of.built(seed)
        optimizer = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9)
        train = of.data.train
        for rows in runs.batches:
            optimizer.zero_grad()
            batch = rows[replica]
            nn.functional.cross_entropy(module(train.inputs[batch]), train.labels[batch]).backward()
            optimizer.step()
        for name, parameter in module.named_parameters():
            torch.testing.assert_close(runs.parameters()[name][replica], parameter.detach(), rtol=1e-9, atol=1e-10)
    if not isinstance(model, ModuleModel):
        inputs = of.data.test.inputs[None]
        torch.testing.assert_close(
            of.network.outputs(runs.parameters(), inputs), of.network._by_vmap(runs.parameters(), inputs, {}, None)[0]
        )


@pytest.mark.parametrize("model", IMAGES)
def test_a_loop_in_float32_equals_one_in_float64(model) -> None:  # type: ignore[no-untyped-def]
    """In float32 the leading convolutions run in another memory layout."""
    float32, float64 = (trainer(pictures(), model, dtype=dtype) for dtype in (torch.float32, torch.float64))
    rows, weights = float32.train(float32.course(seeds=[3])).batches[0][0], torch.ones(1, 6)

    def stepped(of: Trainer) -> Parameters:
        start = {name: p[None].to(of.dtype) for name, p in float32.initial_parameters(3).items()}
        return of.update(start, of.initial_state(start), Batch(rows, weights.to(of.dtype)))[0]

    for name, p in stepped(float64).items():
        torch.testing.assert_close(stepped(float32)[name].double(), p, rtol=1e-4, atol=1e-6)


def test_leading_convolutions_keep_their_layout_until_something_else_follows() -> None:
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.MaxPool2d(2), nn.ReLU(), nn.GroupNorm(1, 2), nn.Conv2d(2, 2, 3))
    laid_out = in_onednn_layout(module)
    assert laid_out is not None
    assert list(laid_out._modules) == ["to_onednn", "0", "1", "2", "from_onednn", "3", "4"]
    images = torch.rand(3, 1, 10, 10)
    torch.testing.assert_close(laid_out(images), module(images))
    for other in (nn.Sequential(nn.Linear(3, 2)), nn.Sequential(nn.ReLU(), nn.Flatten()), nn.Conv2d(1, 2, 3)):
        assert in_onednn_layout(other) is None


def test_an_update_of_convolutions_is_differentiable_in_float32() -> None:
    of = trainer(pictures(), IMAGES[0], dtype=torch.float32)
    start = {name: p[None] for name, p in of.initial_parameters(1).items()}
    weights = torch.ones(1, 4, requires_grad=True)
    parameters, _ = of.update(start, of.initial_state(start), Batch(torch.arange(4), weights))
    (gradient,) = torch.autograd.grad(sum(p.sum() for p in parameters.values()), weights)
    assert gradient.abs().min() > 0


def trained_once(of: Trainer) -> StackedRuns:
    return of.train(of.course(seeds=[1]))


def test_batch_norm_is_replaced_where_that_is_asked_for() -> None:
    model = Resnet(width=8, blocks=(1,), norm="batch")
    assert "3.norm1.running_mean" in trained_once(trainer(pictures(), model)).parameters()
    runs = trained_once(replace(trainer(pictures(), model), replace_batch_norm=True))
    by_hand = trained_once(trainer(pictures(), Resnet(width=8, blocks=(1,))))
    for name, parameters in by_hand.parameters().items():
        assert torch.equal(runs.parameters()[name], parameters)


@pytest.mark.parametrize("part", ["weight", "bias"])
def test_tied_tensors_are_trained_as_one(part: str) -> None:
    def make() -> nn.Module:
        module = nn.Sequential(nn.Linear(5, 5), nn.Tanh(), nn.Linear(5, 5), nn.Tanh(), nn.Linear(5, 3))
        setattr(module[2], part, getattr(module[0], part))
        return module

    of = trainer(model=ModuleModel(make))
    runs = of.train(of.course(seeds=[3]))
    parameters = {name: p[0] for name, p in runs.parameters().items()}
    torch.testing.assert_close(
        runs.outputs(of.data.test)[0], of.network.single(parameters, of.data.test.inputs), rtol=1e-12, atol=1e-12
    )
    assert of.network.path(CPU) == "vmap"


def test_a_container_can_be_a_site() -> None:
    nested = nn.Sequential(nn.Flatten(), nn.Sequential(nn.Linear(5, 8), nn.ReLU()), nn.Linear(8, 3))
    flat = nn.Sequential(nn.Flatten(), nested[1][0], nested[1][1], nested[2])
    renamed = {"1.0.weight": "1.weight", "1.0.bias": "1.bias", "2.weight": "3.weight", "2.bias": "3.bias"}
    parameters = {name: p.detach()[None] for name, p in nested.named_parameters()}
    flat_parameters = {renamed[name]: p for name, p in parameters.items()}
    inputs, factors = torch.randn(1, 4, 5), torch.rand(1, 4, 8)
    torch.testing.assert_close(
        Replicas(nested).outputs(parameters, inputs, {"1": factors}),
        Replicas(flat).outputs(flat_parameters, inputs, {"2": factors}),
    )


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("model", [Mlp(hidden=(8,)), Mlp(hidden=(8, 7)), ResidualModel()])
@pytest.mark.parametrize("same_seed", [True, False])
def test_stack_equals_one_by_one(model, dtype: torch.dtype, same_seed: bool) -> None:  # type: ignore[no-untyped-def]
    of = trainer(model=model, dtype=dtype, optimizer="sgd", epochs=5)
    seeds = [7] * 4 if same_seed else [7, 8, 9, 10]
    weights = torch.ones(4, 20)
    weights[1, 3] = weights[2, 5] = 0
    weights[3, :10] = 0.5
    stack = of.train(of.course(weights, seeds=seeds))
    for replica, seed in enumerate(seeds):
        alone = of.train(of.course(weights[replica : replica + 1], seeds=[seed]))
        for name, parameters in stack.parameters().items():
            tolerance = 1e-10 if dtype == torch.float64 else 1e-5
            torch.testing.assert_close(parameters[replica], alone.parameters()[name][0], rtol=tolerance, atol=tolerance)


def test_stack_equals_an_ordinary_torch_training() -> None:
    """The plainest PyTorch loop there is, on the same batches."""
    of = trainer(epochs=3)
    runs = of.train(of.course(seeds=[5]))
    module = of.built(5)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9)
    train = of.data.train
    for (rows,) in runs.batches:
        optimizer.zero_grad()
        nn.functional.cross_entropy(module(train.inputs[rows]), train.labels[rows]).backward()
        optimizer.step()
    for name, parameter in module.named_parameters():
        torch.testing.assert_close(runs.parameters()[name][0], parameter.detach(), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("hidden", [(8,), (8, 7)])
def test_stacked_and_vmap_agree_under_masks(hidden: tuple[int, ...]) -> None:
    """The same module, once as a chain and once with a hook that does nothing, which no chain may have."""
    data = blobs()
    plain, hooked = (Mlp(hidden=hidden).build(data) for _ in range(2))
    hooked.load_state_dict(plain.state_dict())
    hooked[0].register_forward_hook(lambda module, inputs, output: None)
    stacked, by_vmap = Replicas(plain), Replicas(hooked)
    assert (stacked.path(CPU), by_vmap.path(CPU)) == ("stacked", "vmap")
    generator = torch.Generator().manual_seed(0)
    parameters = {
        name: p.detach() + 0.1 * torch.randn(3, *p.shape, generator=generator) for name, p in plain.named_parameters()
    }
    sites = stacked.site_units(Mlp(hidden=hidden).mask_sites(plain), data.train.inputs)
    assert list(sites.values()) == list(hidden)
    factors = {site: torch.rand(3, 20, units, generator=generator) for site, units in sites.items()}
    inputs = data.train.inputs
    for given in (inputs[None], inputs.expand(3, -1, -1) + torch.arange(3)[:, None, None]):
        expected = by_vmap.outputs(parameters, given, factors)
        torch.testing.assert_close(stacked.outputs(parameters, given, factors), expected)


class OwnBatchNorm(nn.BatchNorm1d):
    """A batch norm that may do anything."""


class OwnDropout(nn.Dropout):
    """A dropout that may do anything."""


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (nn.BatchNorm1d(5, track_running_stats=False), "has no running statistics"),
        (OwnBatchNorm(5), "couples the examples"),
        (nn.InstanceNorm1d(5, track_running_stats=True), "keeps running statistics"),
        (nn.RReLU(), "draws random numbers"),
        (OwnDropout(0.5), "draws random numbers"),
        (nn.MultiheadAttention(5, 1, dropout=0.1), "draws random numbers"),
        (StochasticDepth(0.5, "batch"), "draws random numbers"),
    ],
)
def test_layers_that_break_the_pairing_are_refused_by_name(layer: nn.Module, reason: str) -> None:
    with pytest.raises(ModelError, match=rf"'1' \({type(layer).__name__}\) {reason}"):
        Replicas(nn.Sequential(nn.Linear(5, 5), layer))


def test_a_module_without_parameters_is_refused() -> None:
    with pytest.raises(ModelError, match="no parameter to train"):
        Replicas(nn.Sequential(nn.Flatten()))


def test_frozen_parameters_stay() -> None:
    def make() -> nn.Module:
        module = nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 3))
        module[0].requires_grad_(False)
        return module

    of = trainer(model=ModuleModel(make), weight_decay=0.1, optimizer="adamw")
    runs = of.train(of.course(seeds=[3, 4], checkpoints=[0]))
    before, after = runs.parameters(step=0), runs.parameters()
    assert torch.equal(before["0.weight"], after["0.weight"])
    assert not torch.equal(before["2.weight"], after["2.weight"])


def test_sites_that_do_not_exist_or_run_twice_are_named() -> None:
    data = blobs()
    shared = nn.ReLU()
    twice = Replicas(nn.Sequential(nn.Linear(5, 5), shared, nn.Linear(5, 5), shared))
    with pytest.raises(ModelError, match="'1' runs more than once"):
        twice.site_units(["1"], data.train.inputs)
    with pytest.raises(ModelError, match="'9' is not a submodule"):
        twice.site_units(["9"], data.train.inputs)
