"""Layers that kronfluence tracks, and networks on which it would be wrong."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from influbench import Problem
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

_PROBED = 2  # examples in the forward pass that shows how layers are used

Layers = Mapping[str, nn.Linear | nn.Conv2d]


def tracked_layers(problem: Problem, module: nn.Module) -> Layers:
    """The layers with trained parameters that kronfluence supports, by name."""
    return {
        name: layer
        for name, layer in module.named_modules()
        if type(layer) in (nn.Linear, nn.Conv2d) and any(own in problem.trainable for own in _names(name, layer))
    }


def untracked(problem: Problem) -> str | None:
    """The reason why kronfluence would compute something else on this network, in one sentence, or None."""
    module = problem.module(problem.initial_parameters(0))
    layers = tracked_layers(problem, module)
    return (
        _left_out(problem, layers)
        or _shared(module)
        or next((reason for name, layer in layers.items() if (reason := _mistaken(problem, name, layer))), None)
        or _misused(module, layers, problem.data.train.inputs[:_PROBED])
    )


def _left_out(problem: Problem, layers: Layers) -> str | None:
    """The reason if it would silently leave out parameters that it does not support."""
    known = {own for name, layer in layers.items() for own in _names(name, layer)}
    if not (rest := sorted(set(problem.trainable) - known)):
        return None
    return f"kronfluence supports the parameters of Linear and Conv2d only, and would leave out {_listed(rest)}"


def _shared(module: nn.Module) -> str | None:
    """The reason if layers share parameters: it treats every layer as one with its own parameters."""
    names: dict[int, list[str]] = {}
    for name, p in module.named_parameters(remove_duplicate=False):
        names.setdefault(id(p), []).append(name)
    for of_one in names.values():
        if len(of_one) > 1:
            return f"kronfluence treats {_listed(of_one)} as separate parameters, but they are shared"
    return None


def _mistaken(problem: Problem, name: str, layer: nn.Linear | nn.Conv2d) -> str | None:
    """The reason if a layer is partly frozen, or a convolution does not have one group and zero padding."""
    if frozen := [own for own in _names(name, layer) if own not in problem.trainable]:
        return f"kronfluence uses all parameters of a layer, but {_listed(frozen)} is frozen"
    if isinstance(layer, nn.Conv2d) and layer.groups != 1:
        return f"kronfluence averages over the groups of a convolution, but {_called(name)} has {layer.groups}"
    if isinstance(layer, nn.Conv2d) and layer.padding_mode != "zeros":
        return f"kronfluence pads with zeros, but {_called(name)} has padding_mode={layer.padding_mode!r}"
    if (
        isinstance(layer, nn.Conv2d)
        and layer.padding == "same"
        and any((size - 1) * dilation % 2 for size, dilation in zip(layer.kernel_size, layer.dilation, strict=True))
    ):
        return f"kronfluence pads all sides alike, but {_called(name)} has padding='same' and an even kernel"
    return None


def _misused(module: nn.Module, layers: Layers, inputs: Tensor) -> str | None:
    """The reason if a layer is used several times, or its examples are not along the first axis of its input."""
    shapes: dict[str, list[Sequence[int]]] = {name: [] for name in layers}
    for name, layer in layers.items():
        layer.register_forward_hook(lambda _, given, __, name=name: shapes[name].append(given[0].shape))
    with torch.enable_grad(), _Uses() as uses:
        module(inputs)
    for name, layer in layers.items():
        n_uses = max(uses.counts[id(p)] for p in layer.parameters())
        if len(shapes[name]) != 1 or n_uses != 1:
            n_uses = max(n_uses, len(shapes[name]))
            return (
                f"kronfluence needs layers that run once, by their own call, but {_called(name)} is used {n_uses} times"
            )
        if shapes[name][0][0] != len(inputs):
            return f"kronfluence needs examples along the first axis, but {_called(name)} has another axis there"
    return None


class _Uses(TorchFunctionMode):
    """A context that counts the differentiable uses of each tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[int] = Counter()

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the result of the function."""
        output = function(*args, **(kwargs or {}))
        if isinstance(output, Tensor) and output.grad_fn is not None:
            self.counts.update(id(given) for given in (*args, *(kwargs or {}).values()))
        return output


def _names(name: str, layer: nn.Module) -> list[str]:
    return [f"{name}.{own}" if name else own for own, _ in layer.named_parameters()]


def _called(name: str) -> str:
    return name or "the network's only layer"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
