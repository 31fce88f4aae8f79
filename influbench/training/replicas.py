"""One module made into R networks that run in lock-step, their parameters stacked along a leading axis.

A module that is a chain of known layers runs as batched matrix products; anything else runs under `torch.func.vmap`.
Both give the same numbers, up to rounding.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from influbench.errors import ModelError

Parameters = Mapping[str, Tensor]
SiteMasks = Mapping[str, Tensor]  # site -> factors (R, n, n_units)

_ELEMENTWISE = (nn.ReLU, nn.GELU, nn.SiLU, nn.ELU, nn.LeakyReLU, nn.Tanh, nn.Sigmoid, nn.Softplus, nn.Identity)
_COUPLING = (nn.modules.batchnorm._BatchNorm,)
_RANDOM = (nn.modules.dropout._DropoutNd, nn.RReLU)


class Replicas:
    """R networks of one architecture. Holds no parameters: they are given with each call, (R, ...) by name."""

    def __init__(self, module: nn.Module) -> None:
        for name, part in module.named_modules():
            if isinstance(part, _COUPLING):
                raise ModelError(
                    f"layer {name!r} ({type(part).__name__}) couples the examples of a batch, so leaving one out "
                    "would change the others; use GroupNorm or LayerNorm"
                )
            if isinstance(part, _RANDOM):
                raise ModelError(
                    f"layer {name!r} ({type(part).__name__}) draws random numbers while training; remove it"
                )
        self._module = module
        self._chain = None if _shares_parameters(module) else _chain(module)
        self.trainable = frozenset(name for name, p in module.named_parameters() if p.requires_grad)
        if not self.trainable:
            raise ModelError("the module has no parameter to train")

    @property
    def path(self) -> str:
        """How it runs: "stacked" or "vmap"."""
        return "vmap" if self._chain is None else "stacked"

    def outputs(self, parameters: Parameters, inputs: Tensor, masks: SiteMasks | None = None) -> Tensor:
        """Outputs (R, n, ...) on inputs that all replicas share, (1, n, ...), or on their own, (R, n, ...)."""
        chain = self._chain_with(masks or {})
        if chain is None:
            return self._by_vmap(parameters, inputs, masks or {})
        activations = inputs
        for name, layer in chain:
            activations = _stacked(layer, name, parameters, activations)
            if masks and name in masks:
                activations = activations * _align(masks[name], activations)
        return activations

    def crossed_outputs(self, parameters: Parameters, inputs: Tensor, masks: SiteMasks) -> Tensor:
        """Outputs (R, I, n, ...) on every one of the shared inputs (1, n, ...) under each of I masks (R, I, n_units).

        What stands before the first site runs once for each input, not once for each pair.
        """
        n_masks, n = next(iter(masks.values())).shape[1], inputs.shape[1]
        chain = self._chain_with(masks)
        if chain is None:
            pairs = inputs.repeat(1, n_masks, *[1] * (inputs.ndim - 2))
            outputs = self._by_vmap(parameters, pairs, {site: m.repeat_interleave(n, 1) for site, m in masks.items()})
            return _by_pair(outputs, n_masks, n)
        activations = inputs
        for name, layer in chain:
            activations = _stacked(layer, name, parameters, activations)
            if name in masks:
                by_mask = _by_pair(activations, -1, n)  # (R, 1 before the first site and I after it, n, ...)
                activations = (by_mask * _align(masks[name][:, :, None], by_mask)).flatten(1, 2)
        return _by_pair(activations, n_masks, n)

    def site_units(self, sites: list[str], inputs: Tensor) -> dict[str, int]:
        """Number of units (features, or channels) that each site has for inputs (n, ...)."""
        known = dict(self._module.named_modules())
        for site in sites:
            if site not in known:
                raise ModelError(f"mask site {site!r} is no submodule; the module has {', '.join(map(repr, known))}")
        units: dict[str, int] = {}

        def note(site: str) -> Callable[[nn.Module, Any, Tensor], None]:
            def hook(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
                if site in units:
                    raise ModelError(f"mask site {site!r} runs more than once; give each use a module of its own")
                units[site] = output.shape[1]

            return hook

        handles = [known[site].register_forward_hook(note(site)) for site in sites]
        try:
            with torch.no_grad():
                self._module(inputs[:1])
        finally:
            for handle in handles:
                handle.remove()
        return units

    def single(self, parameters: Parameters, inputs: Tensor) -> Tensor:
        """Outputs of one network, whose parameters have no replica axis, on inputs (n, ...)."""
        outputs: Tensor = functional_call(self._module, dict(parameters), (inputs,))
        return outputs

    def _chain_with(self, masks: SiteMasks) -> list[tuple[str, nn.Module]] | None:
        """The chain, if there is one and every site is a layer of it (and not a container of layers)."""
        names = {name for name, _ in self._chain or ()}
        return self._chain if all(site in names for site in masks) else None

    def _by_vmap(self, parameters: Parameters, inputs: Tensor, masks: SiteMasks) -> Tensor:
        def one(parameters: Parameters, inputs: Tensor, masks: SiteMasks) -> Tensor:
            with _gated(self._module, masks):
                return self.single(parameters, inputs)

        if len(inputs) == 1:
            outputs: Tensor = vmap(one, in_dims=(0, None, 0))(dict(parameters), inputs[0], dict(masks))
        else:
            outputs = vmap(one)(dict(parameters), inputs, dict(masks))
        return outputs


def _shares_parameters(module: nn.Module) -> bool:
    """Whether a layer or a tensor is used in two places, under one name."""
    layers = [part for _, part in module.named_modules(remove_duplicate=False)]
    tensors = list(module.named_parameters(remove_duplicate=False))
    return len(set(map(id, layers))) < len(layers) or len({id(p) for _, p in tensors}) < len(tensors)


def _chain(module: nn.Module, name: str = "") -> list[tuple[str, nn.Module]] | None:
    """The layers in the order they run, by name, or None if some layer has no stacked form."""
    if module._forward_hooks or module._forward_pre_hooks:
        return None
    if type(module) is nn.Sequential:
        parts = [_chain(child, f"{name}.{key}" if name else key) for key, child in module._modules.items() if child]
        return None if None in parts else [layer for part in parts for layer in part or []]
    flattens_examples = type(module) is nn.Flatten and module.start_dim == 1
    known = type(module) is nn.Linear or flattens_examples or type(module) in _ELEMENTWISE
    return [(name, module)] if known else None


def _stacked(layer: nn.Module, name: str, parameters: Parameters, activations: Tensor) -> Tensor:
    """One layer on activations (R or 1, n, ...)."""
    if isinstance(layer, nn.Linear):
        return _stacked_linear(layer, name, parameters, activations)
    if isinstance(layer, nn.Flatten):
        return activations.flatten(2, layer.end_dim + 1 if layer.end_dim >= 0 else layer.end_dim)
    outputs: Tensor = layer(activations)
    return outputs


def _stacked_linear(layer: nn.Linear, name: str, parameters: Parameters, activations: Tensor) -> Tensor:
    prefix = f"{name}." if name else ""
    weight = parameters[f"{prefix}weight"]  # (R, n_out, n_in)
    bias = None if layer.bias is None else parameters[f"{prefix}bias"]  # (R, n_out)
    flat = activations.flatten(1, -2).expand(len(weight), -1, -1)
    outputs = flat.bmm(weight.mT) if bias is None else torch.baddbmm(bias[:, None], flat, weight.mT)
    return outputs.reshape(len(outputs), *activations.shape[1:-1], -1)


def _by_pair(activations: Tensor, n_masks: int, n: int) -> Tensor:
    """(R, n_masks n, ...) as (R, n_masks, n, ...)."""
    return activations.reshape(len(activations), n_masks, n, *activations.shape[2:])


def _align(factors: Tensor, activations: Tensor) -> Tensor:
    """Factors over units with axes of length 1 for whatever follows the unit axis (height and width)."""
    return factors[(...,) + (None,) * (activations.ndim - factors.ndim)]


@contextmanager
def _gated(module: nn.Module, masks: SiteMasks) -> Iterator[None]:
    """Within, the output of each site is multiplied by its factors (n, n_units)."""

    def gate(factors: Tensor) -> Callable[[nn.Module, Any, Tensor], Tensor]:
        return lambda _module, _inputs, output: output * _align(factors, output)

    parts = dict(module.named_modules())
    handles = [parts[site].register_forward_hook(gate(factors)) for site, factors in masks.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
