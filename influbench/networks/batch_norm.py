"""Replacement of batch norm, which couples the examples of a batch, by group norm, which does not.

With batch norm, leaving an example out would change the outputs of the others.
"""

from math import gcd

from torch import nn

_BATCH_NORM = nn.modules.batchnorm._BatchNorm
_CHANNELS_PER_GROUP = 8


def with_group_norm(module: nn.Module) -> nn.Module:
    """The module with every batch norm replaced by a new group norm with about 8 channels in each group."""
    if isinstance(module, _BATCH_NORM):
        n_channels = module.num_features
        n_groups = n_channels // gcd(n_channels, _CHANNELS_PER_GROUP)
        return nn.GroupNorm(n_groups, n_channels, eps=module.eps, affine=module.affine)
    for name, child in module.named_children():
        setattr(module, name, with_group_norm(child))
    return module
