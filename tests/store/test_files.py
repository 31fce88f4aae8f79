"""Whole files or none, and no damage goes unseen."""

import json
import shutil
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from influbench.errors import StoreError, UsageError
from influbench.store.cache import Cache, default_cache
from influbench.store.files import Arrays, read_arrays, write_arrays, write_bytes


def test_arrays_come_back_as_they_were(tmp_path: Path) -> None:
    tensors = {"a": torch.randn(3, 4, dtype=torch.float64), "b": torch.arange(5), "c": torch.tensor([True, False])}
    write_arrays(tmp_path / "x.safetensors", Arrays(tensors, {"said": "so"}))
    back = read_arrays(tmp_path / "x.safetensors")
    assert back.notes == {"said": "so"}
    assert back.tensors.keys() == tensors.keys()
    assert all(torch.equal(back.tensors[name], tensors[name]) for name in tensors)


def test_views_of_one_memory_are_stored_each_whole(tmp_path: Path) -> None:
    base = torch.arange(12.0).reshape(3, 4)
    write_arrays(tmp_path / "x", Arrays({"all": base, "part": base[1:].T, "wide": torch.ones(1).expand(5)}, {}))
    back = read_arrays(tmp_path / "x").tensors
    assert torch.equal(back["part"], base[1:].T)
    assert torch.equal(back["wide"], torch.ones(5))


@pytest.mark.parametrize("damage", ["cut", "flip", "empty"])
def test_damage_is_an_error_that_names_the_file(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "x.safetensors"
    write_arrays(path, Arrays({"a": torch.ones(100)}, {}))
    content = bytearray(path.read_bytes())
    content[-1] ^= 4
    path.write_bytes({"cut": content[:-9], "flip": content, "empty": b""}[damage])
    with pytest.raises(StoreError, match=rf"{path} is damaged"):
        read_arrays(path)


def test_the_first_file_stays_where_that_is_asked_for(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    cache.write("a/b", Arrays({"x": torch.zeros(2)}, {}))
    cache.write("a/b", Arrays({"x": torch.ones(2)}, {}))
    stored = cache.read("a/b")
    assert stored is not None
    assert torch.equal(stored.tensors["x"], torch.zeros(2))
    assert cache.read("a/c") is None


def test_what_the_file_system_refuses_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "truth").write_text("a file where a folder should be")
    cache = Cache(tmp_path)
    with pytest.raises(StoreError, match=r"cannot use .*truth/x\.safetensors \(.*\); INFLUBENCH_CACHE names"):
        cache.write("truth/x", Arrays({"x": torch.zeros(2)}, {}))


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_bytes(tmp_path / "x", b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_bytes(tmp_path / "x", b"new")
    assert (tmp_path / "x").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_the_cache_folder_can_be_named(own_cache: Path) -> None:
    assert default_cache().root == own_cache
    assert own_cache.is_dir()


def test_a_cache_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("INFLUBENCH_CACHE", str(tmp_path / "file" / "below"))
    with pytest.raises(UsageError, match=r"cannot be created .*; set INFLUBENCH_CACHE to another"):
        default_cache()


def with_header(path: Path, change: Callable[[dict[str, dict[str, object]]], object]) -> None:
    """Change the header of a file of arrays in place, and leave its bytes of numbers as they are."""
    content = path.read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    change(header)
    written = json.dumps(header).encode()
    path.write_bytes(len(written).to_bytes(8, "little") + written + content[end:])


@pytest.mark.parametrize(
    "change",
    [
        lambda header: header["a"].update(shape=[3, 2]),
        lambda header: header["a"].update(dtype="I32"),
        lambda header: header.update(a=header["b"], b=header["a"]),
        lambda header: header.update(c=header.pop("a")),
        lambda header: header["__metadata__"].update(said="otherwise"),
        lambda header: header["__metadata__"].update(place="x/z"),
    ],
    ids=["shape", "dtype", "exchanged names", "renamed", "note", "place"],
)
def test_a_changed_header_is_damage(tmp_path: Path, change: Callable[[dict[str, dict[str, object]]], object]) -> None:
    path = tmp_path / "x.safetensors"
    write_arrays(path, Arrays({"a": torch.ones(2, 3), "b": torch.zeros(2, 3)}, {"said": "so"}), place="x/y")
    with_header(path, lambda header: None)
    assert read_arrays(path, place="x/y").notes == {"said": "so"}
    with_header(path, change)
    with pytest.raises(StoreError, match=r"x\.safetensors is damaged: its checksum"):
        read_arrays(path, place="x/y")


def test_a_file_is_read_only_in_its_place_but_without_one_wherever_it_is(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    cache.write("truth/a/seed-0000", Arrays({"x": torch.ones(2)}, {}))
    shutil.copytree(tmp_path / "truth", tmp_path / "banks")
    copy = tmp_path / "banks" / "a" / "seed-0000.safetensors"
    with pytest.raises(StoreError, match=r"banks/a/.* is in the wrong place: it was written as truth/a/seed-0000$"):
        cache.read("banks/a/seed-0000")
    assert cache.holds("truth/a/seed-0000")
    assert not cache.holds("banks/a/seed-0000")
    assert torch.equal(read_arrays(copy).tensors["x"], torch.ones(2))
    write_arrays(copy, Arrays({"x": torch.ones(2)}, {}))
    with pytest.raises(StoreError, match=r"is in the wrong place: it was written as part of a run directory$"):
        cache.read("banks/a/seed-0000")


def test_values_that_are_not_finite_are_not_read_from_a_cache(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    cache.write("a/b", Arrays({"x": torch.tensor([1.0, torch.nan]), "n": torch.arange(2)}, {}))
    with pytest.raises(StoreError, match=r"a/b\.safetensors holds values that are not finite"):
        cache.read("a/b")


def earlier_file(path: Path, values: torch.Tensor) -> None:
    """A file as influbench wrote it when its checksum covered names and bytes alone."""
    checksum = blake2b(b"x" + values.numpy().tobytes(), digest_size=16).hexdigest()
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({"x": values}, path, {"checksum": checksum})


def test_an_earlier_file_is_read_from_a_run_directory_and_not_from_a_cache(tmp_path: Path) -> None:
    cache, path = Cache(tmp_path), tmp_path / "a" / "b.safetensors"
    earlier_file(path, torch.ones(2))
    assert torch.equal(read_arrays(path).tensors["x"], torch.ones(2))
    assert read_arrays(path).notes == {}
    assert not cache.holds("a/b")
    with pytest.raises(StoreError, match=r"b\.safetensors was written by an earlier influbench and does not say"):
        cache.read("a/b")
    content = bytearray(path.read_bytes())
    content[-1] ^= 4
    path.write_bytes(content)
    with pytest.raises(StoreError, match="its checksum does not match"):
        read_arrays(path)
