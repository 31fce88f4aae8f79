"""Every input under every mask and under its complement: the pairs that turn-over dropout's scores are made of.

For I masks and n inputs these are 2 I n forward passes. A network that is a sequence of layers needs far less:

* What stands before the first site runs once for each input.
* A linear map of masked units is linear in the mask. For a narrow layer, all masks are one matrix product with masked
  weights; a convolution is first taken channel by channel, and masks only combine what the channels contribute.
* The complement is free after that map: with own factors s and keep probability p, the flipped factors are
  (1 - p s) / (1 - p), so that `W(h * flipped) = (W h - p W(h * s)) / (1 - p)`.
* In wide layers, masks are taken one at a time and only the units that a mask keeps are multiplied.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn
from torch.func import functional_call

Layers = Mapping[str, nn.Module]  # by name, in the order they run
OfNetwork = Mapping[str, Tensor]  # the parameters of one network, by name
Factors = Mapping[str, Tensor]  # site -> factors (I, n_units)
Pairs = tuple[Tensor, Tensor]  # (I, n, ...) under each mask, and under its complement
OfMasks = Callable[[Factors], Pairs]

ELEMENTWISE = (nn.ReLU, nn.GELU, nn.SiLU, nn.ELU, nn.LeakyReLU, nn.Tanh, nn.Sigmoid, nn.Softplus, nn.Identity)

_WIDE = 2**15  # weights of a layer from which on gathering the kept units pays
_NUMBERS = 2**21  # activations held at a time


@dataclass(frozen=True, eq=False)
class _Site:
    """The first site: what arrives there, the same for all masks."""

    name: str
    activations: Tensor  # (n, n_units, ...)
    p: float


def sequence(module: nn.Module, name: str = "") -> dict[str, nn.Module] | None:
    """The layers in the order they run, by name; None if the module is no sequence of them."""
    if module._forward_hooks or module._forward_pre_hooks:
        return None
    if type(module) is not nn.Sequential:
        return {name: module} if name else None
    parts = [sequence(child, f"{name}.{key}" if name else key) for key, child in module._modules.items() if child]
    return None if None in parts else {name: layer for part in parts if part for name, layer in part.items()}


def crossed(
    layers: Layers, parameters: OfNetwork, inputs: Tensor, own: Factors, p: float
) -> Iterator[tuple[slice, Pairs]]:
    """Outputs on inputs (n, ...) under each mask of `own` and its complement, some masks at a time.

    Factors are 0 or 1 / p; those of the complement are 1 / (1 - p) or 0.
    """
    names = list(layers)
    first = next(place for place, name in enumerate(names) if name in own)
    before, after = ({name: layers[name] for name in part} for part in (names[: first + 1], names[first + 1 :]))
    site = _Site(names[first], _in_turn(before, parameters, inputs, {}), p)
    of_masks = (
        _one_mask_at_a_time(after, parameters, site, own.keys())
        or _by_linear_map(after, parameters, site)
        or partial(_half_by_half, after, parameters, site)
    )
    at_a_time = max(1, _NUMBERS // (len(inputs) * _largest(after, parameters, site.activations)))
    for start in range(0, len(own[site.name]), at_a_time):
        rows = slice(start, min(start + at_a_time, len(own[site.name])))
        yield rows, of_masks({name: factors[rows] for name, factors in own.items()})


def _half_by_half(after: Layers, parameters: OfNetwork, site: _Site, own: Factors) -> Pairs:
    """The layers behind the site run once for each pair and half."""
    own_half, flipped = (
        _of_pairs(after, parameters, site.activations[None], half, gate=site.name) for half in halves(own, site.p)
    )
    return own_half, flipped


def _by_linear_map(after: Layers, parameters: OfNetwork, site: _Site) -> OfMasks | None:
    """The first layer behind the site runs for one half only. None if it is not linear in the factors."""
    name = next(iter(after), "")
    linear = _linear_in_factors(after[name], name, parameters, site.activations) if name else None
    if linear is None:
        return None
    masked_by, p = linear, site.p
    whole = masked_by(site.activations.new_ones(1, site.activations.shape[1])) / (1 - p)
    rest = {key: layer for key, layer in after.items() if key != name}

    def of_masks(own: Factors) -> Pairs:
        masked = masked_by(own[site.name])
        pairs = (masked, torch.sub(whole, masked, alpha=p / (1 - p)))
        own_half, flipped = (
            _of_pairs(rest, parameters, pair, half, gate=name) for pair, half in zip(pairs, halves(own, p), strict=True)
        )
        return own_half, flipped

    return of_masks


def _linear_in_factors(
    layer: nn.Module, name: str, parameters: OfNetwork, at_site: Tensor
) -> Callable[[Tensor], Tensor] | None:
    """The layer as a function of factors (I, n_units) to (I, n, ...); None if it does not act on the units.

    Its bias is a unit more, of factor 1.
    """
    if type(layer) is nn.Linear and at_site.ndim == 2:
        weight, bias = parameters[f"{name}.weight"], parameters.get(f"{name}.bias")
        units = at_site if bias is None else torch.cat([at_site, at_site.new_ones(len(at_site), 1)], dim=1)

        def by_masked_weights(factors: Tensor) -> Tensor:
            weights = factors[:, None] * weight  # (I, n_out, n_units)
            if bias is not None:
                weights = torch.cat([weights, bias[:, None].expand(len(factors), -1, 1)], dim=2)
            products: Tensor = units @ weights.flatten(0, 1).T
            return products.reshape(len(at_site), len(factors), -1).transpose(0, 1)

        return by_masked_weights
    if type(layer) is nn.Conv2d and layer.groups == 1 and layer.padding_mode == "zeros" and at_site.ndim == 4:
        kernels, bias = parameters[f"{name}.weight"].transpose(0, 1), parameters.get(f"{name}.bias")
        channel_by_channel = nn.functional.conv2d(
            at_site,
            kernels.flatten(0, 1)[:, None],
            stride=layer.stride,
            padding=layer.padding,
            dilation=layer.dilation,
            groups=len(kernels),
        )
        contributions = channel_by_channel.unflatten(1, kernels.shape[:2]).permute(1, 0, 3, 4, 2)
        if bias is not None:
            contributions = torch.cat([contributions, bias.expand(1, *contributions.shape[1:])])
        by_unit, shape = contributions.flatten(1), contributions.shape[1:]  # (n_units, n height width n_out)

        def by_contributions(factors: Tensor) -> Tensor:
            own = factors if bias is None else torch.cat([factors, factors.new_ones(len(factors), 1)], dim=1)
            combined: Tensor = own @ by_unit
            return combined.reshape(-1, *shape).movedim(-1, 2)  # in channels-last layout, in which a CPU pools faster

        return by_contributions
    return None


def _of_pairs(layers: Layers, parameters: OfNetwork, pairs: Tensor, masks: Factors, *, gate: str) -> Tensor:
    """The remaining layers on (I or 1, n, ...), which the factors of `gate`, if it is a site, multiply first."""
    if gate in masks:
        pairs = pairs * aligned(masks[gate][:, None], pairs)
    of_pairs = {name: factors.repeat_interleave(pairs.shape[1], 0) for name, factors in masks.items() if name in layers}
    outputs = _in_turn(layers, parameters, pairs.flatten(0, 1), of_pairs)
    return outputs.reshape(*pairs.shape[:2], *outputs.shape[1:])


def _in_turn(layers: Layers, parameters: OfNetwork, activations: Tensor, masks: Factors) -> Tensor:
    """Layers one after the other on (n, ...), with masks of (n, n_units)."""
    for name, layer in layers.items():
        own = {key.removeprefix(f"{name}."): p for key, p in parameters.items() if key.startswith(f"{name}.")}
        activations = functional_call(layer, own, (activations,)) if own else layer(activations)
        if name in masks:
            activations = activations * aligned(masks[name], activations)
    return activations


def _largest(layers: Layers, parameters: OfNetwork, activations: Tensor) -> int:
    """Numbers of one example that the widest of the layers hands on, the site itself included."""
    example, widest = activations[:1], activations[:1].numel()
    for name, layer in layers.items():
        example = _in_turn({name: layer}, parameters, example, {})
        widest = max(widest, example.numel())
    return widest


def halves(own: Factors, p: float) -> tuple[Factors, Factors]:
    """The factors, and those of the complement."""
    return own, {site: (factors == 0).to(factors.dtype) / (1 - p) for site, factors in own.items()}


def aligned(factors: Tensor, activations: Tensor) -> Tensor:
    """Factors over units with axes of length 1 for whatever follows the unit axis (height and width)."""
    return factors[(...,) + (None,) * (activations.ndim - factors.ndim)]


@dataclass(frozen=True, eq=False)
class _Units:
    """Activations (n_kept, n) of the units that one half of a mask keeps (None: of all), without their scale."""

    values: Tensor
    kept: Tensor | None = None
    scale: float = 1.0


@dataclass(frozen=True, eq=False)
class _Block:
    """A linear layer with the activations behind it, and the site that they end in, if any. Units stand in rows."""

    weight: Tensor  # (n_out, n_in)
    by_input: Tensor  # (n_in, n_out), the same: what a mask keeps are rows of one or the other
    bias: Tensor  # (n_out, 1)
    activations: tuple[nn.Module, ...]
    site: str | None

    def linear(self, units: _Units, into: Tensor | None = None) -> Tensor:
        """The layer on what is kept of its inputs, for the output units `into` alone: (n_out, n)."""
        if units.kept is None:
            weight = self.weight if into is None else self.weight[into]
        else:
            weight = (self.by_input[units.kept] if into is None else self.by_input[units.kept][:, into]).T
        bias = self.bias if into is None else self.bias[into]
        return torch.addmm(bias.expand(-1, units.values.shape[1]), weight, units.values, alpha=units.scale)

    def activated(self, outputs: Tensor) -> Tensor:
        """The activations of outputs, which may be overwritten."""
        for activation in self.activations:
            outputs = outputs.relu_() if type(activation) is nn.ReLU else activation(outputs)
        return outputs


def _one_mask_at_a_time(after: Layers, parameters: OfNetwork, site: _Site, sites: Collection[str]) -> OfMasks | None:
    """Only what a mask keeps is multiplied. None unless linear and elementwise layers follow, some of them wide."""
    blocks = _blocks(after, parameters, sites)
    if not blocks or all(block.weight.numel() < _WIDE for block in blocks):
        return None
    at_site = site.activations.T.contiguous()  # (n_units, n)
    whole = blocks[0].linear(_Units(at_site)) / (1 - site.p)
    scales = (1 / site.p, 1 / (1 - site.p))

    def both_halves(factors: Factors) -> Iterator[Tensor]:
        """Of one mask, factors (n_units,): outputs (n_out, n)."""
        kept = {name: (own.nonzero()[:, 0], (own == 0).nonzero()[:, 0]) for name, own in factors.items()}

        def at_site_of(half: int) -> _Units:
            return _Units(at_site[kept[site.name][half]], kept[site.name][half], scales[half])

        if blocks[0].site is None:  # all outputs are needed of both halves, and the second follows from the first
            own = blocks[0].linear(at_site_of(0))
            outputs = (own, torch.sub(whole, own, alpha=site.p / (1 - site.p)))
            halves, rest = [_Units(blocks[0].activated(of_half)) for of_half in outputs], blocks[1:]
        else:
            halves, rest = [at_site_of(0), at_site_of(1)], blocks
        for half, reached in enumerate(halves):
            units = reached
            for block in rest:
                into = None if block.site is None else kept[block.site][half]
                values = block.activated(block.linear(units, into))
                units = _Units(values, into, 1.0 if into is None else scales[half])
            yield units.values if units.kept is None else _spread(units, len(blocks[-1].weight))

    def of_masks(own: Factors) -> Pairs:
        masks = range(len(own[site.name]))
        outputs = [tuple(both_halves({name: factors[mask] for name, factors in own.items()})) for mask in masks]
        own_half, flipped = (torch.stack(half).mT for half in zip(*outputs, strict=True))
        return own_half, flipped

    return of_masks


def _blocks(after: Layers, parameters: OfNetwork, sites: Collection[str]) -> list[_Block]:
    """Linear layers with the elementwise ones behind them; empty if there are others."""
    blocks: list[_Block] = []
    for name, layer in after.items():
        site = name if name in sites else None
        if type(layer) is nn.Linear:
            weight, bias = parameters[f"{name}.weight"], parameters.get(f"{name}.bias")
            column = weight.new_zeros(len(weight), 1) if bias is None else bias[:, None]
            blocks.append(_Block(weight, weight.T.contiguous(), column, (), site))
        elif type(layer) in ELEMENTWISE and blocks and blocks[-1].site is None:
            blocks[-1] = replace(blocks[-1], activations=(*blocks[-1].activations, layer), site=site)
        else:
            return []
    return blocks


def _spread(units: _Units, n_units: int) -> Tensor:
    """The activations of all units, with zeros for those that are not kept."""
    assert units.kept is not None
    everything = units.values.new_zeros(n_units, units.values.shape[1])
    everything[units.kept] = units.values * units.scale
    return everything
