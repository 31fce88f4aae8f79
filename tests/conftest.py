"""Every test has a cache of its own, and leaves nothing global behind."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    cache = tmp_path / "cache"
    monkeypatch.setenv("INFLUBENCH_CACHE", str(cache))
    return cache


@pytest.fixture(autouse=True)
def nothing_global_changes() -> Iterator[None]:
    before = torch.get_num_threads(), torch.get_default_dtype(), torch.is_grad_enabled()
    with torch.random.fork_rng():
        torch.manual_seed(0)  # for what a test draws itself
        yield
    assert before == (torch.get_num_threads(), torch.get_default_dtype(), torch.is_grad_enabled())
