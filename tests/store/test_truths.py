"""A stored truth is what it says, in verify, in export and in import."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from influbench.errors import StoreError, UsageError
from influbench.store.cache import Cache
from influbench.store.files import Arrays, checksum, read_arrays, write_arrays
from influbench.store.truths import Truths, exported_truth

KEY = "0123abcd"
NAMES = [f"seed-{seed:04d}/block-{block:05d}" for seed in range(2) for block in range(2)]


def place(name: str) -> str:
    return f"truth/{KEY}/{name}"


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    """A cache with one truth of two seeds and two blocks."""
    cache = Cache(tmp_path / "cache")
    for number, name in enumerate(NAMES):
        cache.write(place(name), Arrays({"influence@3": torch.full((2, 3), float(number))}, {"seconds": "1.0"}))
    return cache


def folder(cache: Cache) -> Path:
    return cache.root / "truth" / KEY


def copied_seed(cache: Cache) -> None:
    shutil.rmtree(folder(cache) / "seed-0001")
    shutil.copytree(folder(cache) / "seed-0000", folder(cache) / "seed-0001")


def copied_block(cache: Cache) -> None:
    seed = folder(cache) / "seed-0001"
    shutil.copy(seed / "block-00000.safetensors", seed / "block-00001.safetensors")


def renamed_file(cache: Cache) -> None:
    seed = folder(cache) / "seed-0001"
    (seed / "block-00001.safetensors").rename(seed / "block-00007.safetensors")


def nan_row(cache: Cache) -> None:
    cache.discard(place(NAMES[3]))
    values = torch.zeros(2, 3).index_fill_(0, torch.tensor([1]), torch.nan)
    cache.write(place(NAMES[3]), Arrays({"influence@3": values}, {"seconds": "1.0"}))


def damages(cache: Cache) -> list[str]:
    truths = Truths(cache)
    return list(truths.damaged(truths.find(KEY)))


@pytest.mark.parametrize(
    ("fault", "reasons"),
    [
        (copied_seed, [f"was written as {place(name)}$" for name in NAMES[:2]]),
        (copied_block, [rf"block-00001.*was written as {place(NAMES[2])}$"]),
        (renamed_file, [rf"block-00007.*was written as {place(NAMES[3])}$"]),
        (nan_row, [r"seed-0001/block-00001.* not finite$"]),
    ],
    ids=lambda given: getattr(given, "__name__", ""),
)
def test_verify_and_export_reject_a_shard_that_is_not_what_it_says(
    cache: Cache, tmp_path: Path, fault: Callable[[Cache], None], reasons: list[str]
) -> None:
    truths = Truths(cache)
    assert damages(cache) == []
    fault(cache)
    found = damages(cache)
    assert len(found) == len(reasons)
    assert all(re.search(reason, one) for reason, one in zip(reasons, found, strict=True))
    with pytest.raises(StoreError, match=reasons[0]):
        truths.export(truths.find(KEY), tmp_path / "file")
    assert not (tmp_path / "file").exists()


@pytest.fixture
def file(cache: Cache, tmp_path: Path) -> Path:
    """The truth, exported."""
    truths = Truths(cache)
    truths.export(truths.find(KEY), tmp_path / "file")
    return tmp_path / "file"


def test_an_export_brings_every_shard_to_its_place(cache: Cache, file: Path, tmp_path: Path) -> None:
    other = Cache(tmp_path / "other")
    assert exported_truth(file).shards == set(NAMES)
    assert Truths(other).take(file) == (KEY, 4)
    assert Truths(other).take(file) == (KEY, 0)
    assert damages(other) == []
    for name in NAMES:
        ours, theirs = cache.read(place(name)), other.read(place(name))
        assert ours is not None
        assert theirs is not None
        assert ours.notes == theirs.notes
        assert torch.equal(ours.tensors["influence@3"], theirs.tensors["influence@3"])


def test_an_import_replaces_only_shards_that_are_not_whole(cache: Cache, file: Path) -> None:
    copied_seed(cache)
    kept = folder(cache) / f"{NAMES[0]}.safetensors"
    before = kept.stat().st_mtime_ns
    assert Truths(cache).take(file) == (KEY, 2)
    assert damages(cache) == []
    assert kept.stat().st_mtime_ns == before


def rewritten(file: Path, tensors: Callable[[dict[str, torch.Tensor]], object], **notes: str) -> None:
    """Write the exported file again with other tensors or notes, and a checksum that fits them."""
    arrays = read_arrays(file)
    changed = dict(arrays.tensors)
    tensors(changed)
    write_arrays(file, Arrays(changed, {**arrays.notes, **notes}))


def first(name: str) -> str:
    return f"{name}/influence@3"


@pytest.mark.parametrize(
    "change",
    [
        lambda tensors: tensors.update({first(NAMES[2]): tensors[first(NAMES[0])]}),
        lambda tensors: tensors.update({first(NAMES[1]): tensors[first(NAMES[0])]}),
        lambda tensors: tensors.update({f"{NAMES[3]}/renamed": tensors.pop(first(NAMES[3]))}),
        lambda tensors: tensors[first(NAMES[3])][1].fill_(torch.nan),
        lambda tensors: tensors.update({first(NAMES[3]): tensors[first(NAMES[3])].T.contiguous()}),
        lambda tensors: tensors.update({first(NAMES[3]): tensors[first(NAMES[3])].double()}),
    ],
    ids=["copied seed", "copied block", "renamed", "NaN row", "shape", "dtype"],
)
def test_an_import_rejects_a_shard_that_is_not_what_it_says_and_stores_nothing(
    file: Path, tmp_path: Path, change: Callable[[dict[str, torch.Tensor]], object]
) -> None:
    rewritten(file, change)
    with pytest.raises(StoreError, match=r"file cannot be imported: its shard seed-000\d/block-0000\d is not the one"):
        Truths(Cache(tmp_path / "other")).take(file)
    with pytest.raises(StoreError, match="cannot be imported"):
        exported_truth(file)
    assert not (tmp_path / "other").exists()


def test_an_import_rejects_the_shards_of_another_key(file: Path, tmp_path: Path) -> None:
    rewritten(file, lambda tensors: None, key="4567")
    with pytest.raises(StoreError, match=r"is not the one that was computed as truth/4567/seed-0000/block-00000"):
        Truths(Cache(tmp_path / "other")).take(file)


def test_an_export_of_an_earlier_influbench_is_one_sentence(file: Path, tmp_path: Path) -> None:
    rewritten(file, lambda tensors: None, format="influbench.truth/1")
    with pytest.raises(UsageError, match=r"file was exported by an earlier influbench; export the truth again"):
        Truths(Cache(tmp_path / "other")).take(file)


def test_an_import_rejects_values_that_are_not_finite(cache: Cache, tmp_path: Path) -> None:
    shard = Arrays({"influence@3": torch.full((2, 3), torch.nan)}, {"seconds": "1.0"})
    notes = {
        "format": "influbench.truth/2",
        "key": KEY,
        "about": "{}",
        "shards": json.dumps({NAMES[0]: dict(shard.notes)}),
        "checksums": json.dumps({NAMES[0]: checksum(shard, place=place(NAMES[0]))}),
    }
    write_arrays(tmp_path / "file", Arrays({first(NAMES[0]): shard.tensors["influence@3"]}, notes))
    with pytest.raises(StoreError, match=r"its shard seed-0000/block-00000 holds values that are not finite"):
        Truths(Cache(tmp_path / "other")).take(tmp_path / "file")
