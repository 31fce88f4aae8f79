"""Whole files or none, and no damage goes unseen."""

from pathlib import Path

import pytest
import torch

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
