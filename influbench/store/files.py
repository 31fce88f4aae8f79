"""Write a file whole or not at all: a temporary file, fsync, then a rename. Arrays have a checksum."""

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

_CHECKSUM = "checksum"


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


def write_arrays(path: Path, arrays: Arrays, *, keep_existing: bool = False) -> None:
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in arrays.tensors.items()}
    notes = {**arrays.notes, _CHECKSUM: _checksum(tensors)}
    write_bytes(path, save(tensors, notes), keep_existing=keep_existing)


def read_arrays(path: Path) -> Arrays:
    """The arrays at `path`. StoreError if the file is truncated or any bit of it has changed."""
    try:
        with safe_open(path, framework="pt") as file:
            notes = dict(file.metadata() or {})
            tensors = {name: file.get_tensor(name) for name in sorted(file.keys())}
    except SafetensorError as error:
        raise StoreError(f"{path} is damaged: {error}") from error
    if notes.pop(_CHECKSUM, None) != _checksum(tensors):
        raise StoreError(f"{path} is damaged: its checksum does not match its content")
    return Arrays(tensors, notes)


def _checksum(tensors: Mapping[str, Tensor]) -> str:
    state = blake2b(digest_size=16)
    for name in sorted(tensors):
        state.update(name.encode())
        state.update(tensors[name].numpy().tobytes())
    return state.hexdigest()


def _link_unless_there(temporary: Path, path: Path) -> None:
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass
    except OSError:  # a file system without hard links
        os.replace(temporary, path)
