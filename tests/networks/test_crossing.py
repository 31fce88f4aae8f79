"""Every input under every mask and its complement: the shortcuts equal two plain forward passes for each pair."""

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn

from influbench.api import Data, Split
from influbench.models.cnn import Cnn
from influbench.models.mlp import Mlp
from influbench.models.resnet import Resnet
from influbench.networks.crossing import sequence
from influbench.networks.replicas import Replicas
from tests.problems import ResidualModel, blobs

N_MASKS = 5
WIDE = nn.Sequential(
    nn.Flatten(),
    nn.Linear(5, 200),
    nn.ReLU(),
    nn.Linear(200, 180, bias=False),
    nn.Tanh(),
    nn.Linear(180, 40),
    nn.ReLU(),
    nn.Linear(40, 3),
)
SIGMOID = nn.Sequential(
    nn.Linear(5, 200),
    nn.Sigmoid(),
    nn.Linear(200, 180),
    nn.Sigmoid(),
    nn.Linear(180, 190),
    nn.Sigmoid(),
    nn.Linear(190, 3),
)
NESTED = nn.Sequential(nn.Flatten(), nn.Sequential(nn.Linear(5, 8), nn.ReLU()), nn.Linear(8, 3))
ONE_CONVOLUTION = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(36, 3))
STRIDED = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Conv2d(4, 6, 3, stride=2, dilation=2), nn.Flatten())
GROUPED = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Conv2d(4, 6, 3, groups=2), nn.Flatten())


def pictures() -> Data:
    generator = torch.Generator().manual_seed(0)
    split = Split(torch.rand(7, 2, 8, 8, generator=generator), torch.arange(7) % 3, torch.arange(7))
    return Data(split, split, 3)


def halves_of(replicas: Replicas, sites: list[str], inputs: Tensor, p: float) -> tuple[dict[str, Tensor], ...]:
    """Random factors of each site, and the factors of the complement."""
    generator = torch.Generator().manual_seed(1)
    units = replicas.site_units(sites, inputs)
    kept = {site: torch.rand(N_MASKS, n, generator=generator) < p for site, n in units.items()}
    return (
        {site: of_site.double() / p for site, of_site in kept.items()},
        {site: (~of_site).double() / (1 - p) for site, of_site in kept.items()},
    )


def by_hooks(module: nn.Module, inputs: Tensor, factors: Mapping[str, Tensor], mask: int) -> Tensor:
    """The plain module, with the outputs of each site multiplied."""

    def gate(of_mask: Tensor):  # type: ignore[no-untyped-def]
        return lambda _module, _inputs, out: out * of_mask.reshape(-1, *[1] * (out.ndim - 2))

    handles = [module.get_submodule(site).register_forward_hook(gate(factors[site][mask])) for site in factors]
    try:
        with torch.no_grad():
            outputs: Tensor = module(inputs)
    finally:
        for handle in handles:
            handle.remove()
    return outputs


FLAT, IMAGES = blobs().test.inputs, pictures().test.inputs


@pytest.mark.parametrize("p", [0.5, 0.3])
@pytest.mark.parametrize(
    ("module", "sites", "inputs"),
    [
        (Mlp(hidden=(8,)).build(blobs()), ["2"], FLAT),
        (Mlp(hidden=(8, 7)).build(blobs()), ["2", "4"], FLAT),
        (Mlp(hidden=(8, 7)).build(blobs()), ["1", "5"], FLAT),  # a linear layer as a site, and the outputs themselves
        (WIDE, ["2"], FLAT),
        (WIDE, ["2", "6"], FLAT),
        (WIDE, ["2", "4", "6"], FLAT),
        (WIDE, ["1", "3"], FLAT),  # an activation behind the site
        (WIDE, ["6"], FLAT),
        (WIDE, ["2", "7"], FLAT),  # the outputs themselves
        (SIGMOID, ["1", "3", "5"], FLAT),  # what is not kept is not 0
        (SIGMOID, ["3", "5"], FLAT),
        (NESTED, ["1"], FLAT),  # a container
        (NESTED, ["1.1"], FLAT),
        (Cnn(channels=(3, 4)).build(pictures()), ["1", "4"], IMAGES),
        (Cnn(channels=(3, 4)).build(pictures()), ["4"], IMAGES),
        (ONE_CONVOLUTION, ["1"], IMAGES),
        (STRIDED, ["1", "2"], IMAGES),
        (GROUPED, ["1", "2"], IMAGES),
        (Resnet(width=4, blocks=(1, 1)).build(pictures()), None, IMAGES),
        (ResidualModel().build(blobs()), None, FLAT),
    ],
)
def test_pairs_equal_the_plain_module_under_each_mask(
    module: nn.Module, sites: list[str] | None, inputs: Tensor, p: float
) -> None:
    module, inputs = module.double(), inputs.double()
    replicas = Replicas(module)
    if sites is None:
        sites = [name for name, part in module.named_modules() if isinstance(part, nn.ReLU | nn.Tanh)]
    halves = halves_of(replicas, sites, inputs, p)
    parameters = {name: parameter.detach() for name, parameter in module.named_parameters()}
    with torch.no_grad():
        parts = list(replicas.crossed(parameters, inputs, halves[0], p))
    assert [row for rows, _ in parts for row in range(N_MASKS)[rows]] == list(range(N_MASKS))
    for half, factors in enumerate(halves):
        crossed = torch.cat([pairs[half] for _, pairs in parts])
        for mask in range(N_MASKS):
            torch.testing.assert_close(crossed[mask], by_hooks(module, inputs, factors, mask), rtol=1e-9, atol=1e-11)


def test_a_sequence_is_distinguished_from_a_module_that_contains_one() -> None:
    assert list(sequence(NESTED) or {}) == ["0", "1.0", "1.1", "2"]
    assert sequence(ResidualModel().build(blobs())) is None
    hooked = nn.Sequential(nn.Linear(5, 3), nn.ReLU())
    hooked[1].register_forward_hook(lambda module, inputs, output: None)
    assert sequence(hooked) is None


def test_a_mask_that_keeps_nothing_or_everything() -> None:
    module = WIDE.double()
    parameters = {name: parameter.detach() for name, parameter in module.named_parameters()}
    own = {"2": torch.tensor([[0.0], [2.0]]).double().expand(2, 200)}
    with torch.no_grad():
        ((rows, (first, second)),) = Replicas(module).crossed(parameters, FLAT.double(), own, 0.5)
    assert rows == slice(0, 2)
    torch.testing.assert_close(first[0], second[1])
    torch.testing.assert_close(first[1], second[0])
    torch.testing.assert_close(first[0], by_hooks(module, FLAT.double(), own, 0))
