"""Batch norm that weighs the examples of a batch, and its replacement by group norm.

An example of weight 0 is in neither the mean nor the variance of its batch, and running statistics do not see it: the
numbers are those of torch's batch norm on a batch without the example.
"""

from collections.abc import Mapping
from math import gcd

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from influbench.errors import ModelError
from influbench.networks.step import StackedStep, Step, current_step

_BATCH_NORM = nn.modules.batchnorm._BatchNorm
_CHANNELS_PER_GROUP = 8
RUNNING = ("running_mean", "running_var")
"""The names of the running statistics, which are state of a network beside its parameters."""


class WeightedBatchNorm(_BATCH_NORM):
    """A batch norm after `make_weighted`. `site` is its name in the whole network."""

    site: str

    def forward(self, inputs: Tensor) -> Tensor:
        step = current_step()
        if step is None:
            # not by torch's kernel, which has no derivative by the running statistics
            return self._normalized(inputs, self.running_mean, self.running_var)  # type: ignore[arg-type]
        if step.whole:
            return self._of_all(step, inputs)
        weights = step.weights.repeat_interleave(step.rows_of_each(self.site, len(inputs)))
        mean, variance, count = weighted_moments(inputs.flatten(2) if inputs.ndim > 2 else inputs[..., None], weights)
        self._note(step, *running_statistics(self._before(step), mean, variance, count, self.rate(step.number)))
        return self._normalized(inputs, mean, variance)

    def _normalized(self, inputs: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
        scale, shift = normalization(mean, variance, self.weight, self.bias, self.eps)
        per_channel = (1, -1, *[1] * (inputs.ndim - 2))
        return inputs * scale.reshape(per_channel) + shift.reshape(per_channel)

    def _of_all(self, step: Step, inputs: Tensor) -> Tensor:
        """The outputs where every weight is 1, by torch's own kernel."""
        mean, variance = (before.clone() for before in self._before(step))
        outputs = F.batch_norm(
            inputs, mean, variance, self.weight, self.bias, training=True, momentum=self.rate(step.number), eps=self.eps
        )
        self._note(step, mean, variance)
        return outputs

    def _before(self, step: Step) -> tuple[Tensor, Tensor]:
        """The running statistics, after an earlier use of this layer in the step if there is one."""
        mean, variance = (f"{self.prefix}{kind}" for kind in RUNNING)
        return step.statistics.get(mean, self.running_mean), step.statistics.get(variance, self.running_var)  # type: ignore[return-value]

    def _note(self, step: Step, mean: Tensor, variance: Tensor) -> None:
        step.statistics |= {f"{self.prefix}{kind}": new for kind, new in zip(RUNNING, (mean, variance), strict=True)}

    @property
    def prefix(self) -> str:
        """The start of the names of its parameters and statistics."""
        return f"{self.site}." if self.site else ""

    def rate(self, step: int) -> float:
        """The share of the statistics of the step with this number in the new running statistics."""
        return 1 / (step + 1) if self.momentum is None else self.momentum


def weighted_moments(inputs: Tensor, weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and variance (..., n_channels) of inputs (..., n, n_channels, n_places), and the weight of all (..., 1).

    The weights are (..., n). Examples of weight 0 are left out, whatever their values. Without any weight, mean and
    variance are 0.
    """
    count = weights.sum(-1, keepdim=True) * inputs.shape[-1]
    shares = (weights / torch.where(count > 0, count, torch.ones_like(count)))[..., None, :]

    def weighted(values: Tensor) -> Tensor:
        of_places: Tensor = (shares @ values.flatten(-2))[..., 0, :].unflatten(-1, values.shape[-2:])
        return of_places.sum(-1)

    mean = weighted(inputs)
    return mean, weighted((inputs - mean[..., None, :, None]).square()), count


def normalization(
    mean: Tensor, variance: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
) -> tuple[Tensor, Tensor]:
    """The factor and the summand of each channel, (..., n_channels)."""
    scale = (variance + eps).rsqrt()
    scale = scale if weight is None else scale * weight
    return scale, -mean * scale if bias is None else bias - mean * scale


def running_statistics(
    before: tuple[Tensor, Tensor], mean: Tensor, variance: Tensor, count: Tensor, rate: float
) -> tuple[Tensor, Tensor]:
    """The running mean and variance after a step; a step without examples leaves them unchanged.

    The running variance takes the unbiased variance of the step, as torch's does. A single value has none, and does not
    change the running variance.
    """
    unbiased = variance * count / (count - 1).clamp(min=torch.finfo(count.dtype).tiny)
    after_mean = torch.lerp(before[0], mean, rate * (count > 0).to(mean.dtype))
    return after_mean, torch.where(count > 1, torch.lerp(before[1], unbiased, rate), before[1])


def stacked_batch_norm(
    layer: WeightedBatchNorm, parameters: Mapping[str, Tensor], inputs: Tensor, step: StackedStep | None
) -> tuple[Tensor, Mapping[str, Tensor]]:
    """Outputs of a stack of networks on inputs (R or 1, n_features, n), and the new running statistics by name.

    Networks are evaluated if the step is None.
    """
    names = [f"{layer.prefix}{kind}" for kind in RUNNING]
    mean, variance = (parameters[name] for name in names)
    after: dict[str, Tensor] = {}
    if step is not None:
        before = mean, variance
        mean, variance, count = weighted_moments(inputs.mT[..., None], step.weights)
        after = dict(
            zip(names, running_statistics(before, mean, variance, count, layer.rate(step.number)), strict=True)
        )
    weight, bias = (parameters.get(f"{layer.prefix}{kind}") for kind in ("weight", "bias"))
    scale, shift = normalization(mean, variance, weight, bias, layer.eps)
    return torch.addcmul(shift[..., None], inputs, scale[..., None]), after


def make_weighted(name: str, part: nn.Module) -> bool:
    """Change the class of a batch norm in place. True if it couples examples; ModelError if it cannot be weighed.

    A batch norm that the author has set to evaluation is an affine map, and is not changed.
    """
    if isinstance(part, nn.modules.instancenorm._InstanceNorm) and part.track_running_stats and part.training:
        raise ModelError(
            f"layer {name!r} ({type(part).__name__}) keeps running statistics over examples; set "
            "track_running_stats=False"
        )
    if not isinstance(part, _BATCH_NORM) or not part.training:
        return False
    if type(part) not in (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm):
        raise ModelError(
            f"layer {name!r} ({type(part).__name__}) couples the examples of a batch in a way of its own, so leaving "
            "one out would change the others; use torch's BatchNorm, GroupNorm or LayerNorm"
        )
    if part.running_mean is None or part.running_var is None:
        raise ModelError(
            f"layer {name!r} ({type(part).__name__}) has no running statistics, so test points would change each "
            "other; set track_running_stats=True"
        )
    part.__class__, part.site = WeightedBatchNorm, name  # type: ignore[assignment]
    return True


def with_group_norm(module: nn.Module) -> nn.Module:
    """The module with every batch norm replaced by a new group norm with about 8 channels in each group."""
    if isinstance(module, _BATCH_NORM):
        n_channels = module.num_features
        n_groups = n_channels // gcd(n_channels, _CHANNELS_PER_GROUP)
        return nn.GroupNorm(n_groups, n_channels, eps=module.eps, affine=module.affine)
    for name, child in module.named_children():
        setattr(module, name, with_group_norm(child))
    return module
