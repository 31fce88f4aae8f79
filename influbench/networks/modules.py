"""Helpers for torch modules that other code uses on its own."""

from collections.abc import Collection, Mapping

import torch
from torch import Tensor, nn


def take_parameters(module: nn.Module, parameters: Mapping[str, Tensor]) -> None:
    """Copy these parameters, and the buffers among them, by name into the module."""
    buffers = {name: buffer for name, buffer in module.named_buffers() if name in parameters}
    with torch.no_grad():
        for name, parameter in {**dict(module.named_parameters()), **buffers}.items():
            parameter.copy_(parameters[name])


def freeze_into_buffers(module: nn.Module, trained: Collection[str]) -> None:
    """Turn every parameter that is not trained into a buffer; shared parameters become shared buffers."""
    frozen = {id(parameter): parameter.detach() for name, parameter in module.named_parameters() if name not in trained}
    for part in module.modules():
        for name, parameter in list(part.named_parameters(recurse=False, remove_duplicate=False)):
            if id(parameter) in frozen:
                delattr(part, name)
                part.register_buffer(name, frozen[id(parameter)])
