"""Dropout and stochastic depth whose draws are keyed by example.

Whether a unit is dropped is a hash of the training's seed, the step, the layer, the unit and the example's id. It
depends neither on the other examples of the batch nor on the width of a stack, so a training with an example and a
training without it drop the same units of all others.
"""

from typing import ClassVar

from torch import Tensor, nn

from influbench.errors import ModelError
from influbench.networks.step import Step, current_step

_SATURATED = -1.7580993408473766  # what SELU approaches far below 0, to which alpha dropout sets dropped units


class Keyed(nn.Module):
    """A random layer after `make_keyed`. `site` is its name in the whole network."""

    site: str

    def share_kept(self) -> float:
        """The probability that a unit is kept."""
        return 1 - float(self.p)  # type: ignore[arg-type]

    unit_axes: ClassVar[int | None] = None
    """The axes of the inputs, after the batch axis, along which units are dropped separately; None: all of them."""

    def dropped(self, inputs: Tensor, kept: Tensor) -> Tensor:
        """The outputs; `kept` has 0 and 1 in the shape of the inputs, or a shape that broadcasts to it."""
        share = self.share_kept()
        return inputs * (kept / share if share else kept)

    def forward(self, inputs: Tensor) -> Tensor:
        step = current_step()
        if step is None or self.share_kept() == 1:
            return inputs
        return self.dropped(inputs, self._kept(step, inputs))

    def _kept(self, step: Step, inputs: Tensor) -> Tensor:
        rows = step.rows_of_each(self.site, len(inputs))
        units = inputs.shape[1:] if self.unit_axes is None else inputs.shape[1 : 1 + self.unit_axes]
        kept = step.kept(self.site, (rows, *units), self.share_kept())
        return kept.to(inputs.dtype).reshape(len(inputs), *units, *[1] * (inputs.ndim - 1 - len(units)))


class KeyedDropout(Keyed, nn.Dropout):
    """Dropout of single units."""


class _OfChannels(Keyed):
    unit_axes = 1


class KeyedDropout1d(_OfChannels, nn.Dropout1d):
    """Dropout of channels."""


class KeyedDropout2d(_OfChannels, nn.Dropout2d):
    """Dropout of channels."""


class KeyedDropout3d(_OfChannels, nn.Dropout3d):
    """Dropout of channels."""


class KeyedAlphaDropout(Keyed, nn.AlphaDropout):
    """Dropout that keeps mean and variance of normalized activations (Klambauer et al. 2017)."""

    def dropped(self, inputs: Tensor, kept: Tensor) -> Tensor:
        share = self.share_kept()
        if share == 0:
            return inputs * 0
        scale = (share * (1 + (1 - share) * _SATURATED**2)) ** -0.5
        shift = -scale * _SATURATED * (1 - share)
        outputs: Tensor = scale * (inputs * kept + _SATURATED * (1 - kept)) + shift
        return outputs


class KeyedFeatureAlphaDropout(_OfChannels, KeyedAlphaDropout):
    """Alpha dropout of channels."""


class KeyedDepth(Keyed):
    """Stochastic depth: the whole input of an example is dropped, or none of it (Huang et al. 2016)."""

    unit_axes = 0


_KEYED: dict[type[nn.Module], type[Keyed]] = {
    nn.Dropout: KeyedDropout,
    nn.Dropout1d: KeyedDropout1d,
    nn.Dropout2d: KeyedDropout2d,
    nn.Dropout3d: KeyedDropout3d,
    nn.AlphaDropout: KeyedAlphaDropout,
    nn.FeatureAlphaDropout: KeyedFeatureAlphaDropout,
}


def make_keyed(name: str, part: nn.Module) -> bool:
    """Change the class of a random layer in place. True if it draws; ModelError if it cannot be keyed."""
    keyed = _KEYED.get(type(part))
    if type(part).__module__ == "torchvision.ops.stochastic_depth":
        keyed = _keyed_depth(name, part)
    if keyed is not None:
        draws = part.training and part.p != 0
        part.__class__, part.site = keyed, name  # type: ignore[assignment]
        if not draws:
            part.p = 0.0  # type: ignore[assignment]
        return bool(draws)
    if isinstance(part, nn.RReLU) and part.training:
        raise _refusal(name, part, "use LeakyReLU")
    if isinstance(part, nn.modules.dropout._DropoutNd) and part.p:
        raise _refusal(name, part, "use torch's own dropout layers, whose draws are keyed by example")
    if isinstance(part, nn.MultiheadAttention | nn.RNNBase) and part.dropout:
        raise _refusal(name, part, "set its dropout to 0, and put an nn.Dropout behind it")
    return False


def _keyed_depth(name: str, part: nn.Module) -> type[Keyed]:
    if part.mode != "row":
        raise _refusal(name, part, 'use mode="row", which draws for each example')
    return KeyedDepth


def _refusal(name: str, part: nn.Module, remedy: str) -> ModelError:
    return ModelError(f"layer {name!r} ({type(part).__name__}) draws random numbers that no example has; {remedy}")
