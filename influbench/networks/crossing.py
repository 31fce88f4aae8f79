"""Outputs on every input under every mask and its complement: the pairs from which turn-over dropout computes scores.

For I masks and n inputs these are 2 I n forward passes. A network that is a sequence of layers needs far less:

* The layers before the first site run once for each input.
* A linear map of masked units is linear in the mask. For a narrow layer, all masks are one matrix product with masked
  weights; a convolution is first computed channel by channel, and masks only combine the channels' contributions.
* The complement is free after that map: with own factors s and keep probability p, the flipped factors are
  (1 - p s) / (1 - p), so that `W(h * flipped) = (W h - p W(h * s)) / (1 - p)`.
* In wide layers, only the units that a mask keeps are multiplied, several masks as one stack.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn
from torch.func import functional_call

Layers = Mapping[str, nn.Module]  # by name, in the order they run
OfNetwork = Mapping[str, Tensor]  # the parameters of one network, by name
Factors = Mapping[str, Tensor]  # of each site, (..., n_units); here (I, n_units), a row for each mask
Pairs = tuple[Tensor, Tensor]  # (I, n, ...) under each mask, and under its complement
OfMasks = Callable[[Factors], Pairs]

ELEMENTWISE = (nn.ReLU, nn.GELU, nn.SiLU, nn.ELU, nn.LeakyReLU, nn.Tanh, nn.Sigmoid, nn.Softplus, nn.Identity)

_WIDE = 2**15  # a layer with at least this many weights runs faster if only the kept units are gathered
_NUMBERS = 2**21  # activations held in memory at a time
_WEIGHTS = 2**23  # masked weights of a layer held in memory at a time


@dataclass(frozen=True, eq=False)
class _Site:
    """The first site and the activations that arrive there, which are the same for all masks."""

    name: str
    activations: Tensor  # (n, n_units, ...)
    p: float


def sequence(module: nn.Module, name: str = "") -> dict[str, nn.Module] | None:
    """The layers in the order they run, by name; None if the module is not a sequence of layers."""
    if module._forward_hooks or module._forward_pre_hooks:
        return None
    if type(module) is not nn.Sequential:
        return {name: module} if name else None
    parts = [sequence(child, f"{name}.{key}" if name else key) for key, child in module._modules.items() if child]
    return None if None in parts else {name: layer for part in parts if part for name, layer in part.items()}


def crossed(
    layers: Layers, parameters: OfNetwork, inputs: Tensor, own: Factors, p: float
) -> Iterator[tuple[slice, Pairs]]:
    """Outputs on inputs (n, ...) under each mask of `own` and its complement, a few masks at a time.

    Factors are 0 or 1 / p; the factors of the complement are 1 / (1 - p) or 0.
    """
    names = list(layers)
    first = next(place for place, name in enumerate(names) if name in own)
    before, after = ({name: layers[name] for name in part} for part in (names[: first + 1], names[first + 1 :]))
    site = _Site(names[first], _in_turn(before, parameters, inputs, {}), p)
    of_masks = (
        _by_kept_units(after, parameters, site, own.keys())
        or _by_linear_map(after, parameters, site)
        or partial(_half_by_half, after, parameters, site)
    )
    weights = max(
        [weight.numel() for name, weight in parameters.items() if name.rpartition(".")[0] in after], default=1
    )
    of_pair = len(inputs) * _largest(after, parameters, site.activations)
    at_a_time = max(1, min(_NUMBERS // of_pair, _WEIGHTS // weights))
    for start in range(0, len(own[site.name]), at_a_time):
        rows = slice(start, min(start + at_a_time, len(own[site.name])))
        yield rows, of_masks({name: factors[rows] for name, factors in own.items()})


def _half_by_half(after: Layers, parameters: OfNetwork, site: _Site, own: Factors) -> Pairs:
    """The outputs of the layers after the site, which run once for each pair and half."""
    own_half, flipped = (
        _of_pairs(after, parameters, site.activations[None], half, gate=site.name) for half in halves(own, site.p)
    )
    return own_half, flipped


def _by_linear_map(after: Layers, parameters: OfNetwork, site: _Site) -> OfMasks | None:
    """The way to run the first layer after the site for one half only; None if it is not linear in the factors."""
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
    """The layer as a function from factors (I, n_units) to (I, n, ...); None if it does not act on the units.

    Its bias counts as one more unit, with factor 1.
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
            return combined.reshape(-1, *shape).movedim(-1, 2)  # a CPU pools faster in channels-last layout

        return by_contributions
    return None


def _of_pairs(layers: Layers, parameters: OfNetwork, pairs: Tensor, factors: Factors, *, gate: str) -> Tensor:
    """Outputs of the remaining layers on (I or 1, n, ...), after the factors of `gate` if it is a site."""
    if gate in factors:
        pairs = pairs * aligned(factors[gate][:, None], pairs)
    of_pairs = {name: own.repeat_interleave(pairs.shape[1], 0) for name, own in factors.items() if name in layers}
    outputs = _in_turn(layers, parameters, pairs.flatten(0, 1), of_pairs)
    return outputs.reshape(*pairs.shape[:2], *outputs.shape[1:])


def _in_turn(layers: Layers, parameters: OfNetwork, activations: Tensor, factors: Factors) -> Tensor:
    """Outputs of the layers, run one after the other on (n, ...), with factors (n, n_units)."""
    for name, layer in layers.items():
        own = {key.removeprefix(f"{name}."): p for key, p in parameters.items() if key.startswith(f"{name}.")}
        activations = functional_call(layer, own, (activations,)) if own else layer(activations)
        if name in factors:
            activations = activations * aligned(factors[name], activations)
    return activations


def _largest(layers: Layers, parameters: OfNetwork, activations: Tensor) -> int:
    """The size of one example's largest output among the layers, the site itself included."""
    example, widest = activations[:1], activations[:1].numel()
    for name, layer in layers.items():
        example = _in_turn({name: layer}, parameters, example, {})
        widest = max(widest, example.numel())
    return widest


def halves(own: Factors, p: float) -> tuple[Factors, Factors]:
    """The factors, and the factors of the complement."""
    return own, {site: (factors == 0).to(factors.dtype) / (1 - p) for site, factors in own.items()}


def aligned(factors: Tensor, activations: Tensor) -> Tensor:
    """Factors over units, with axes of length 1 for each axis after the unit axis (height and width)."""
    return factors[(...,) + (None,) * (activations.ndim - factors.ndim)]


@dataclass(frozen=True, eq=False)
class _Units:
    """Activations (I, n_kept, n) of the units that one half of each mask keeps (None: of all), without their scale.

    Masks that keep fewer units than others in the stack are padded with the number of units, which is not an index of
    any unit: no layer reads the values there.
    """

    values: Tensor
    kept: Tensor | None = None  # (I, n_kept)
    scale: float = 1.0


@dataclass(frozen=True, eq=False)
class _Block:
    """A linear layer with the activations after it, and the site at which they end, if any. Each unit is a row."""

    weight: Tensor  # (n_out, n_in)
    by_input: (
        Tensor  # (n_in + 1, n_out), the transpose and a row of 0 for no unit: the units that a mask keeps are rows
    )
    bias: Tensor  # (n_out, 1)
    activations: tuple[nn.Module, ...]
    site: str | None

    def linear(self, units: _Units, into: Tensor | None = None) -> Tensor:
        """The layer's outputs from the kept inputs, only for the output units `into` (I, n_into): (I, n_out, n)."""
        weight, bias = self.weight, self.bias
        if into is not None:
            bias = _rows(bias, into)
        if units.kept is not None:
            weight = _rows(self.by_input, units.kept).mT
            if into is not None:
                weight = weight.take_along_dim(into.clamp(max=len(self.weight) - 1)[:, :, None], 1)
        elif into is not None:
            weight = _rows(weight, into)
        n_masks, _, n = units.values.shape
        return torch.baddbmm(
            bias.expand(n_masks, -1, n), weight.expand(n_masks, -1, -1), units.values, alpha=units.scale
        )

    def activated(self, outputs: Tensor) -> Tensor:
        """The activations of outputs. `outputs` may be overwritten."""
        for activation in self.activations:
            outputs = outputs.relu_() if type(activation) is nn.ReLU else activation(outputs)
        return outputs


def _by_kept_units(after: Layers, parameters: OfNetwork, site: _Site, sites: Collection[str]) -> OfMasks | None:
    """The way to multiply only the kept units; None unless linear and elementwise layers follow, some of them wide."""
    blocks = _blocks(after, parameters, sites)
    if not blocks or all(block.weight.numel() < _WIDE for block in blocks):
        return None
    at_site = site.activations.T.contiguous()  # (n_units, n)
    whole = blocks[0].linear(_Units(at_site[None])) / (1 - site.p)
    scales = (1 / site.p, 1 / (1 - site.p))

    def of_masks(factors: Factors) -> Pairs:
        kept = {name: (_padded_indices(own != 0), _padded_indices(own == 0)) for name, own in factors.items()}
        at_site_of = [
            _Units(_rows(at_site, indices), indices, scale)
            for indices, scale in zip(kept[site.name], scales, strict=True)
        ]
        if blocks[0].site is None:  # both halves need all outputs, and the second half follows from the first
            own = blocks[0].linear(at_site_of[0])
            outputs = (own, torch.sub(whole, own, alpha=site.p / (1 - site.p)))
            reached, rest = [_Units(blocks[0].activated(of_half)) for of_half in outputs], blocks[1:]
        else:
            reached, rest = at_site_of, blocks
        own_half, flipped = (
            _through(rest, units, {name: indices[half] for name, indices in kept.items()}, scales[half])
            for half, units in enumerate(reached)
        )
        return own_half, flipped

    return of_masks


def _through(blocks: Sequence[_Block], units: _Units, kept: Mapping[str, Tensor], scale: float) -> Tensor:
    """Outputs (I, n, n_out) of one half."""
    for block in blocks:
        into = None if block.site is None else kept[block.site]
        units = _Units(block.activated(block.linear(units, into)), into, 1.0 if into is None else scale)
    if units.kept is None:
        return units.values.mT
    n_masks, _, n = units.values.shape
    everything = units.values.new_zeros(n_masks, len(blocks[-1].bias) + 1, n)
    everything.scatter_(1, units.kept[:, :, None].expand(-1, -1, n), units.values * units.scale)
    return everything[:, :-1].mT


def _rows(matrix: Tensor, indices: Tensor) -> Tensor:
    """Rows of a matrix at indices (I, n_kept), and the last row for an index beyond the end: (I, n_kept, n)."""
    rows = indices.clamp(max=len(matrix) - 1).flatten()
    # several times as fast as matrix[indices]
    found: Tensor = matrix.index_select(0, rows).unflatten(0, indices.shape)
    return found


def _padded_indices(kept: Tensor) -> Tensor:
    """The indices at which each row of (I, n_units) is true, padded with n_units to the longest: (I, n_kept)."""
    counts, n_units = kept.sum(1, keepdim=True), kept.shape[1]
    in_front = kept.logical_not().to(torch.uint8).argsort(dim=1, stable=True)[:, : int(counts.max())]
    return torch.where(torch.arange(in_front.shape[1], device=kept.device) < counts, in_front, n_units)


def _blocks(after: Layers, parameters: OfNetwork, sites: Collection[str]) -> list[_Block]:
    """Linear layers, each with the elementwise layers after it; empty if there are other layers."""
    blocks: list[_Block] = []
    for name, layer in after.items():
        site = name if name in sites else None
        if type(layer) is nn.Linear:
            weight, bias = parameters[f"{name}.weight"], parameters.get(f"{name}.bias")
            column = weight.new_zeros(len(weight), 1) if bias is None else bias[:, None]
            blocks.append(_Block(weight, nn.functional.pad(weight.T, (0, 0, 0, 1)), column, (), site))
        elif type(layer) in ELEMENTWISE and blocks and blocks[-1].site is None:
            blocks[-1] = replace(blocks[-1], activations=(*blocks[-1].activations, layer), site=site)
        else:
            return []
    return blocks
