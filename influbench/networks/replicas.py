"""One module run as R networks in lock-step, with their parameters stacked along a leading axis.

Three paths give the same numbers, up to rounding. A chain of linear layers and activations runs as batched matrix
products (*stacked*). Other modules run under `torch.func.vmap`. Convolutions on a CPU, where vmap is not faster, and
modules that vmap cannot follow run one network after the other (*loop*), with images in channels-last layout.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from influbench.errors import ModelError, did_you_mean
from influbench.networks.batch_norm import RUNNING, WeightedBatchNorm, make_weighted, stacked_batch_norm
from influbench.networks.convolution import in_onednn_layout, pooled_first
from influbench.networks.crossing import ELEMENTWISE, Factors, Pairs, aligned, crossed, halves, sequence
from influbench.networks.random_layers import KeyedDropout, make_keyed
from influbench.networks.step import StackedStep, Step, current_step, kept_units, within

Parameters = Mapping[str, Tensor]
Chain = list[tuple[str, nn.Module]]
Path = Literal["stacked", "vmap", "loop"]

_PAIRS_AT_A_TIME = 2**12  # of masks and inputs, in networks that are not a sequence of layers
# If vmap runs a layer one network after the other, torch warns at every call and asks for an issue; this also happens
# in the vmap of estimators. The user's own filters take precedence over this one.
warnings.filterwarnings("ignore", "There is a performance drop", UserWarning, append=True)


class Replicas:
    """R networks of one architecture. It holds no parameters: each call receives them, (R, ...) by name."""

    def __init__(self, module: nn.Module) -> None:
        parts = dict(module.named_modules())
        drawing = [name for name, part in parts.items() if make_keyed(name, part)]
        coupling = [part for name, part in parts.items() if make_weighted(name, part)]
        self.draws = bool(drawing)
        self.statistics = frozenset(f"{part.prefix}{kind}" for part in coupling for kind in RUNNING)
        self._module = module
        self._strangers = any(map(_is_a_strangers, parts.values()))
        self._pooled_first = pooled_first(module)
        self._in_onednn_layout = in_onednn_layout(self._pooled_first)
        self._convolves = any(isinstance(part, nn.modules.conv._ConvNd) for part in module.modules())
        self._vmaps = True
        self._chain = None if _shares_parameters(module) else _chain(module)
        self.trainable = frozenset(name for name, p in module.named_parameters() if p.requires_grad)
        if not self.trainable:
            raise ModelError("the module has no parameter to train")

    def path(self, device: torch.device) -> Path:
        """The path by which it runs on this device."""
        return self._general_path(device) if self._chain is None else "stacked"

    @property
    def differs_in_training(self) -> bool:
        """True if a step may run other code than an evaluation: random layers, batch norm, and code of an author."""
        return self.draws or bool(self.statistics) or self._strangers

    def probe(self, parameters: Parameters, inputs: Tensor) -> None:
        """Test on a few inputs (n, ...) whether vmap can follow this module, forward and backward, in a step, too."""
        if self.path(inputs.device) != "vmap":
            return
        stack = {name: torch.stack([p.detach(), p.detach()]) for name, p in parameters.items()}
        leaves = {name: stack[name].requires_grad_() for name in self.trainable}
        keys = torch.zeros(1, len(inputs), dtype=torch.int64, device=inputs.device)
        step = StackedStep(keys, inputs.new_ones(2, len(inputs)))
        try:
            for during in (None, step) if self.differs_in_training else (None,):
                with torch.enable_grad():
                    outputs, _ = self._by_vmap(stack, inputs[None], {}, during)
                    torch.autograd.grad(outputs.sum(), list(leaves.values()), allow_unused=True)
        except Exception:  # no batching rule, or control flow by values; other failures appear when the module runs
            self._vmaps = False

    def outputs(
        self,
        parameters: Parameters,
        inputs: Tensor,
        factors: Factors | None = None,
        *,
        differentiable_twice: bool = False,
    ) -> Tensor:
        """Outputs (R, n, ...) on inputs that all replicas share, (1, n, ...), or on each replica's own, (R, n, ...).

        The networks are evaluated: nothing is drawn, and batch norm takes its running statistics. The outputs of each
        site that has `factors` (R, n, n_units) are multiplied by them.
        """
        return self._outputs(parameters, inputs, factors or {}, None, differentiable_twice=differentiable_twice)[0]

    def training_outputs(
        self,
        parameters: Parameters,
        inputs: Tensor,
        factors: Factors | None,
        step: StackedStep | None,
        *,
        differentiable_twice: bool = False,
    ) -> tuple[Tensor, Parameters]:
        """The same in an optimizer step, and the running statistics after it, (R, ...) by name."""
        return self._outputs(parameters, inputs, factors or {}, step, differentiable_twice=differentiable_twice)

    def _outputs(
        self,
        parameters: Parameters,
        inputs: Tensor,
        factors: Factors,
        step: StackedStep | None,
        *,
        differentiable_twice: bool,
    ) -> tuple[Tensor, Parameters]:
        chain = self._chain_for(inputs, factors)
        if chain is None:
            return self._one_by_one(parameters, inputs, factors, step, differentiable_twice=differentiable_twice)
        activations = inputs.flatten(2).mT  # features first: (R or 1, n_features, n)
        statistics: dict[str, Tensor] = {}
        for name, layer in chain:
            if isinstance(layer, WeightedBatchNorm):
                activations, after = stacked_batch_norm(layer, parameters, activations, step)
                statistics |= after
            elif isinstance(layer, KeyedDropout):
                activations = activations if step is None else _stacked_dropout(layer, activations, step)
            else:
                activations = _stacked(layer, name, parameters, activations)
            if name in factors:
                activations = activations * factors[name].mT
        return activations.mT, statistics

    def crossed(self, parameters: Parameters, inputs: Tensor, own: Factors, p: float) -> Iterator[tuple[slice, Pairs]]:
        """Outputs of one network on inputs (n, ...) under each of I masks (I, n_units) and its complement.

        They come a few masks at a time, (rows, n, ...) each. Factors are 0 or 1 / p. See networks.crossing.
        """
        layers = sequence(self._pooled_first)
        if layers is not None and own.keys() <= layers.keys():
            yield from crossed(layers, parameters, inputs, own, p)
            return
        stack, n = {name: values[None] for name, values in parameters.items()}, len(inputs)
        n_masks, at_a_time = len(next(iter(own.values()))), max(1, _PAIRS_AT_A_TIME // n)
        for start in range(0, n_masks, at_a_time):
            rows = slice(start, min(start + at_a_time, n_masks))
            pairs = inputs.repeat(rows.stop - start, *[1] * (inputs.ndim - 1))[None]
            of_pairs = [
                {site: of_masks[rows].repeat_interleave(n, 0)[None] for site, of_masks in half.items()}
                for half in halves(own, p)
            ]
            first, second = (self.outputs(stack, pairs, half)[0].unflatten(0, (-1, n)) for half in of_pairs)
            yield rows, (first, second)

    def site_units(self, sites: list[str], inputs: Tensor) -> dict[str, int]:
        """The number of units (features or channels) of each site for inputs (n, ...)."""
        known = dict(self._module.named_modules())
        for site in sites:
            if site not in known:
                hint = did_you_mean(site, list(known)) or f"; it has {', '.join(map(repr, filter(None, known)))}"
                raise ModelError(f"mask site {site!r} is not a submodule of the model{hint}")
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

    def single(self, parameters: Parameters, inputs: Tensor, factors: Factors | None = None) -> Tensor:
        """Outputs of one network, whose parameters and factors have no replica axis, on inputs (n, ...)."""
        with _gated(self._module, factors or {}), self._in_mode(self._module):
            outputs: Tensor = functional_call(self._module, dict(parameters), (inputs,))
        return outputs

    def _in_mode(self, module: nn.Module) -> AbstractContextManager[None]:
        """A context in which this copy of the module runs as it does in the present step, or in an evaluation."""
        return _evaluated_unless_in_step(module) if self._strangers else nullcontext()

    def _chain_for(self, inputs: Tensor, factors: Factors) -> Chain | None:
        """The chain if it fits: inputs are flat or the first layer flattens, and every site is a layer of the chain."""
        if not self._chain:
            return None
        flat = inputs.ndim == 3 or isinstance(self._chain[0][1], nn.Flatten)
        return self._chain if flat and factors.keys() <= {name for name, _ in self._chain} else None

    def _general_path(self, device: torch.device) -> Literal["vmap", "loop"]:
        return "vmap" if self._vmaps and not (self._convolves and device.type == "cpu") else "loop"

    def _one_by_one(
        self,
        parameters: Parameters,
        inputs: Tensor,
        factors: Factors,
        step: StackedStep | None,
        *,
        differentiable_twice: bool,
    ) -> tuple[Tensor, Parameters]:
        """Outputs from running the whole module for every replica, and the running statistics after a step."""
        if self._general_path(inputs.device) == "vmap":
            return self._by_vmap(parameters, inputs, factors, step)
        images_in_float32 = inputs.ndim == 5 and inputs.dtype == torch.float32 and inputs.device.type == "cpu"
        if factors:
            return self._by_loop(self._module_for(factors), parameters, inputs, factors, step, layout=_channels_last)
        if self._in_onednn_layout is not None and images_in_float32 and not differentiable_twice:
            return self._by_loop(self._in_onednn_layout, parameters, inputs, {}, step, layout=lambda tensor: tensor)
        return self._by_loop(self._pooled_first, parameters, inputs, {}, step, layout=_channels_last)

    def _module_for(self, factors: Factors) -> nn.Module:
        """The module that pools first if no factor is negative, since such factors commute with ReLU and maximum."""
        return self._pooled_first if all((of_site >= 0).all() for of_site in factors.values()) else self._module

    def _by_loop(
        self,
        module: nn.Module,
        parameters: Parameters,
        inputs: Tensor,
        factors: Factors,
        step: StackedStep | None,
        *,
        layout: Callable[[Tensor], Tensor],
    ) -> tuple[Tensor, Parameters]:
        """Outputs of `module`, which has the same parameters as ours, run replica by replica in this tensor layout."""
        laid_out = [layout(own) for own in inputs]  # a single one if the replicas share their inputs
        steps = [None] * len(next(iter(parameters.values()))) if step is None else _one_by_one(step)
        outputs = []
        for replica, during in enumerate(steps):
            own = {name: layout(p[replica]) for name, p in parameters.items()}
            of_replica = {site: of_site[replica] for site, of_site in factors.items()}
            with _gated(module, of_replica), within(during), self._in_mode(module):
                outputs.append(functional_call(module, own, (laid_out[replica % len(laid_out)],)))
        names = steps[0].statistics if steps[0] is not None else ()
        return torch.stack(outputs), {
            name: torch.stack([during.statistics[name] for during in steps if during]) for name in names
        }

    def _by_vmap(
        self, parameters: Parameters, inputs: Tensor, factors: Factors, step: StackedStep | None
    ) -> tuple[Tensor, Parameters]:
        shared = None if len(inputs) == 1 else 0
        own_inputs = inputs[0] if shared is None else inputs
        if step is None:
            outputs: Tensor = vmap(self.single, in_dims=(0, shared, 0))(dict(parameters), own_inputs, dict(factors))
            return outputs, {}
        number, shared_keys = step.number, None if len(step.keys) == 1 else 0

        def one(
            parameters: Parameters, inputs: Tensor, factors: Factors, keys: Tensor, weights: Tensor
        ) -> tuple[Tensor, Parameters]:
            during = Step(keys, weights, number)
            with within(during):
                outputs = self.single(parameters, inputs, factors)
            return outputs, during.statistics

        found: tuple[Tensor, Parameters] = vmap(one, in_dims=(0, shared, 0, shared_keys, 0))(
            dict(parameters),
            own_inputs,
            dict(factors),
            step.keys[0] if shared_keys is None else step.keys,
            step.weights,
        )
        return found


def _shares_parameters(module: nn.Module) -> bool:
    """True if a layer or a tensor is used in two places under one name."""
    layers = [part for _, part in module.named_modules(remove_duplicate=False)]
    tensors = list(module.named_parameters(remove_duplicate=False))
    return len(set(map(id, layers))) < len(layers) or len({id(p) for _, p in tensors}) < len(tensors)


def _chain(module: nn.Module, name: str = "") -> Chain | None:
    """The layers in the order they run, by name, or None if some layer has no stacked form."""
    if module._forward_hooks or module._forward_pre_hooks:
        return None
    if type(module) is nn.Sequential:
        parts = [_chain(child, f"{name}.{key}" if name else key) for key, child in module._modules.items() if child]
        return None if None in parts else [layer for part in parts for layer in part or []]
    flattens_examples = type(module) is nn.Flatten and (module.start_dim, module.end_dim) == (1, -1)
    of_features = type(module) in (nn.Linear, KeyedDropout, WeightedBatchNorm)
    known = of_features or flattens_examples or type(module) in ELEMENTWISE
    return [(name, module)] if known else None


def _stacked(layer: nn.Module, name: str, parameters: Parameters, activations: Tensor) -> Tensor:
    """Outputs of one layer on activations (R or 1, n_features, n)."""
    if isinstance(layer, nn.Linear):
        return _stacked_linear(layer, f"{name}." if name else "", parameters, activations)
    if isinstance(layer, nn.Flatten):
        return activations
    outputs: Tensor = layer(activations)
    return outputs


def _stacked_dropout(layer: KeyedDropout, activations: Tensor, step: StackedStep) -> Tensor:
    """Outputs of dropout on activations (R or 1, n_features, n)."""
    share = layer.share_kept()
    if share == 1:
        return activations
    kept = kept_units(step.keys.flatten(), layer.site, 0, activations.shape[1], share)
    kept = kept.to(activations.dtype).unflatten(0, step.keys.shape)  # (R or 1, n, n_features)
    return layer.dropped(activations, kept.mT)


def _one_by_one(step: StackedStep) -> list[Step]:
    """The step of each network; draws that networks share are made once."""
    drawn: dict[tuple[str, int], Tensor] | None = {} if len(step.keys) == 1 else None
    return [
        Step(step.keys[replica % len(step.keys)], weights, step.number, bool((weights == 1).all()), drawn=drawn)
        for replica, weights in enumerate(step.weights)
    ]


def _stacked_linear(layer: nn.Linear, prefix: str, parameters: Parameters, activations: Tensor) -> Tensor:
    weight = parameters[f"{prefix}weight"]  # (R, n_out, n_in)
    bias = None if layer.bias is None else parameters[f"{prefix}bias"][..., None]  # (R, n_out, 1)
    own = activations.expand(len(weight), -1, -1)
    return weight.bmm(own) if bias is None else torch.baddbmm(bias, weight, own)


def _is_a_strangers(part: nn.Module) -> bool:
    return type(part).__module__.partition(".")[0] not in ("torch", "influbench")


@contextmanager
def _evaluated_unless_in_step(module: nn.Module) -> Iterator[None]:
    """Within this context, an author's own modules are in training mode in a step, and in evaluation mode outside.

    Layers of torch keep the mode in which they were built: in evaluation mode, some take other code without gradients.
    """
    parts: list[nn.Module] = []
    if current_step() is None:
        parts = [part for part in module.modules() if part.training and _is_a_strangers(part)]
    for part in parts:
        part.training = False
    try:
        yield
    finally:
        for part in parts:
            part.training = True


def _channels_last(images: Tensor) -> Tensor:
    """Images or kernels in the layout in which a CPU convolves fastest; anything else unchanged."""
    return images.contiguous(memory_format=torch.channels_last) if images.ndim == 4 else images


@contextmanager
def _gated(module: nn.Module, factors: Factors) -> Iterator[None]:
    """Within this context, the output of each site is multiplied by its factors (n, n_units)."""

    def gate(of_site: Tensor) -> Callable[[nn.Module, Any, Tensor], Tensor]:
        return lambda _module, _inputs, output: output * aligned(of_site, output)

    parts = dict(module.named_modules()) if factors else {}
    handles = [parts[site].register_forward_hook(gate(of_site)) for site, of_site in factors.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
