"""Write a file whole or not at all: a temporary file, fsync, then a rename. Arrays say what they are.

The checksum of a file of arrays covers its place, its notes, and the name, dtype, shape, and bytes of each tensor. The
place is the name under which a cache stores the file; files that may be copied, as in a run directory, have none.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from secrets import token_hex

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from influbench.errors import StoreError, UsageError

_PLACE, _CHECKSUM = "place", "identity"
_EARLIER_CHECKSUM = "checksum"  # of the bytes alone, by influbench before files said what they are


@dataclass(frozen=True, eq=False)
class Arrays:
    """Named tensors, with notes about them."""

    tensors: Mapping[str, Tensor]
    notes: Mapping[str, str]


def write_bytes(path: Path, content: bytes, *, keep_existing: bool = False) -> None:
    """Write `content` to `path` in one step. With `keep_existing`, a file that is already there stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{token_hex(8)}")
    try:
        with open(temporary, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if keep_existing:
            _link_unless_there(temporary, path)
        else:
            os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def named_by_a_user(path: Path) -> Iterator[None]:
    """A context to write a file that the user named. UsageError if its folder is missing or it cannot be written."""
    if not path.parent.is_dir():
        raise UsageError(
            f"cannot write {path}: the folder {path.parent} does not exist; create it, or name another file"
        )
    try:
        yield
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}; name another file") from None


def write_arrays(path: Path, arrays: Arrays, *, place: str = "", keep_existing: bool = False) -> None:
    """Write arrays to `path`. With a `place`, they are whole only where they are read as that place."""
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in arrays.tensors.items()}
    notes = {**arrays.notes, _PLACE: place, _CHECKSUM: checksum(arrays, place=place)}
    write_bytes(path, save(tensors, notes), keep_existing=keep_existing)


def read_arrays(path: Path, *, place: str = "") -> Arrays:
    """The arrays at `path`. StoreError if the file is truncated, any bit of it has changed, or it has another place.

    Without a `place`, the file may have any, and files that an earlier influbench wrote are read as well.
    """
    try:
        with safe_open(path, framework="pt") as file:
            notes = dict(file.metadata() or {})
            tensors = {name: file.get_tensor(name) for name in sorted(file.keys())}
    except SafetensorError as error:
        raise StoreError(f"{path} is damaged: {error}") from error
    written_at, claimed, earlier = (notes.pop(name, None) for name in (_PLACE, _CHECKSUM, _EARLIER_CHECKSUM))
    if claimed is None and earlier is not None and place:
        raise StoreError(f"{path} was written by an earlier influbench and does not say what it is")
    expected = (
        _earlier_checksum(tensors) if claimed is None else checksum(Arrays(tensors, notes), place=written_at or "")
    )
    if (claimed or earlier) != expected:
        raise StoreError(f"{path} is damaged: its checksum does not match its content")
    if place and written_at != place:
        raise StoreError(f"{path} is in the wrong place: it was written as {written_at or 'part of a run directory'}")
    return Arrays(tensors, notes)


def is_of_place(path: Path, place: str) -> bool:
    """True if the header of the file at `path` says that it belongs to `place`. Its content may still be damaged."""
    try:
        with safe_open(path, framework="pt") as file:
            notes = file.metadata() or {}
    except (SafetensorError, OSError):
        return False
    return notes.get(_PLACE) == place


def checksum(arrays: Arrays, *, place: str) -> str:
    """A digest of the place, the notes, and the name, dtype, shape, and bytes of every tensor."""
    names = sorted(arrays.tensors)
    kinds = [(name, str(arrays.tensors[name].dtype), list(arrays.tensors[name].shape)) for name in names]
    state = blake2b(json.dumps([place, sorted(arrays.notes.items()), kinds]).encode(), digest_size=16)
    for name in names:
        state.update(_bytes(arrays.tensors[name]))
    return state.hexdigest()


def are_finite(tensors: Mapping[str, Tensor]) -> bool:
    """True if no tensor holds NaN or infinity."""
    return all(bool(values.isfinite().all()) for values in tensors.values())


def _earlier_checksum(tensors: Mapping[str, Tensor]) -> str:
    state = blake2b(digest_size=16)
    for name in sorted(tensors):
        state.update(name.encode())
        state.update(_bytes(tensors[name]))
    return state.hexdigest()


def _bytes(tensor: Tensor) -> bytes:
    return tensor.detach().cpu().numpy().tobytes()


def _link_unless_there(temporary: Path, path: Path) -> None:
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass
    except OSError:  # a file system without hard links
        os.replace(temporary, path)
