"""A GPU finds what the CPU finds, up to rounding."""

from dataclasses import replace

import pytest
import torch

from influbench.models.cnn import Cnn
from influbench.models.mlp import Mlp
from influbench.models.resnet import Resnet
from influbench.training.loop import Trainer
from influbench.truth.leave_one_out import leave_out
from tests.networks.test_replicas import pictures
from tests.problems import blobs, trainer

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")


def on_gpu(of: Trainer) -> Trainer:
    device = torch.device("cuda")
    return replace(of, data=of.data.to(device=device), device=device)


@pytest.mark.parametrize("model", [Mlp(hidden=(8,)), Cnn(channels=(3, 4)), Resnet(width=8, blocks=(1, 1))])
def test_effects_are_those_of_the_cpu(model) -> None:  # type: ignore[no-untyped-def]
    of = trainer(blobs() if isinstance(model, Mlp) else pictures(), model)
    expected, found = leave_out(of, 1, range(12)), leave_out(on_gpu(of), 1, range(12))
    for name, effect in expected.items():
        torch.testing.assert_close(found[name], effect, rtol=1e-6, atol=1e-9)
