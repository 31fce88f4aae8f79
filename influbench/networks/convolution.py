"""Convolutional networks rewritten so that a CPU runs them faster, with the same parameters and the same numbers."""

from collections import OrderedDict
from copy import deepcopy
from itertools import takewhile

import torch
from torch import Tensor, nn


def pooled_first(module: nn.Module) -> nn.Module:
    """A copy in which each max pooling that follows a ReLU runs before it: the same numbers, smaller activations.

    Layers keep their names, and nonnegative factors on the ReLU's outputs have the same effect as before.
    """
    module = deepcopy(module)
    for part in module.modules():
        if type(part) is nn.Sequential:
            layers = list(part._modules.items())
            for place in range(len(layers) - 1):
                (_, relu), (_, pool) = layers[place : place + 2]
                if type(relu) is nn.ReLU and type(pool) is nn.MaxPool2d and not pool.return_indices:
                    layers[place : place + 2] = layers[place + 1], layers[place]
            part._modules.clear()
            part._modules.update(layers)
    return module


def in_onednn_layout(module: nn.Module) -> nn.Module | None:
    """The layers, with leading convolutions, ReLUs and poolings in oneDNN's own layout; None without a convolution.

    It is for float32 images on a CPU and can be differentiated once.
    """
    if type(module) is not nn.Sequential or not torch.backends.mkldnn.is_available():
        return None
    layers = {name: layer for name, layer in module._modules.items() if layer is not None}
    leading = dict(takewhile(lambda named: _has_onednn_form(named[1]), layers.items()))
    if not any(type(layer) is nn.Conv2d for layer in leading.values()):
        return None
    following = {name: layer for name, layer in layers.items() if name not in leading}
    return nn.Sequential(OrderedDict({"to_onednn": _ToOneDnn(), **leading, "from_onednn": _FromOneDnn(), **following}))


class _ToOneDnn(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images.to_mkldnn()


class _FromOneDnn(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images.to_dense()


def _has_onednn_form(layer: nn.Module) -> bool:
    if layer._forward_hooks or layer._forward_pre_hooks:
        return False
    if type(layer) is nn.Conv2d:
        return layer.padding_mode == "zeros" and not isinstance(layer.padding, str)
    if type(layer) is nn.MaxPool2d:
        return not layer.return_indices and not layer.ceil_mode and layer.dilation == 1
    return type(layer) is nn.ReLU
