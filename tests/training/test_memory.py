"""Trainings stay within the memory they are given, and use it."""

import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys
import torch
from influbench.registry import installed, parse_selector
from influbench.training.loop import Trainer
from influbench.training.updates import update_rule
from influbench.truth.leave_one_out import leave_out
from influbench.api import Data, Recipe, Split

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

torch.set_num_threads(1)
generator = torch.Generator().manual_seed(0)
everything = Split(torch.rand(160, 1, 28, 28, generator=generator), torch.arange(160) % 10, torch.arange(160))
data = Data(everything.rows(slice(0, 100)), everything.rows(slice(100, 160)), 10)
model = installed().create("model", parse_selector(sys.argv[1]))
limit = int(sys.argv[2]) * 10**6

def trainer(data, limit):
    recipe = Recipe(learning_rate=0.05, momentum=0.9, batch_size=50, epochs=2)
    return Trainer(data, model, update_rule(recipe), "neg_loss", torch.float32, torch.device("cpu"), memory=limit)

Trainer.step_seconds = lambda self, width: width  # no width is faster than another: the widest that fits is taken
small = trainer(data, 10**12)
small.__dict__["stack_width"] = 1
small.train(small.course(seeds=[0]))  # what torch allocates once, for its own use
before = peak()
of = trainer(data, limit)
leave_out(of, 0, range(64))
print(of.stack_width, (peak() - before) / 10**6)
"""


@pytest.mark.parametrize(
    ("model", "limit", "at_least"),
    [("mlp[hidden=[512,512]]", 200, 2), ("mlp[hidden=[512,512]]", 800, 8), ("cnn", 100, 4)],
)
def test_the_peak_stays_under_the_limit(model: str, limit: int, at_least: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, model, str(limit)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    width, megabytes = (float(word) for word in done.stdout.split())
    assert width >= at_least
    assert megabytes <= limit
