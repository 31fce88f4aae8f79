"""The cache of stored trainings between runs, found by content."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs

from influbench.errors import StoreError, UsageError
from influbench.store.files import Arrays, are_finite, is_of_place, read_arrays, write_arrays

VARIABLE = "INFLUBENCH_CACHE"


class Cache:
    """A folder of arrays by name. Several processes may share it: the first to write a name wins.

    Each file says under which name it was written, so that a copy under another name is not taken for it.
    """

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)

    def read(self, name: str) -> Arrays | None:
        """The arrays stored under `name`, or None. StoreError if they are damaged, not finite, or of another name."""
        path = self._path(name)
        with named(path):
            stored = read_arrays(path, place=name) if path.exists() else None
        if stored is not None and not are_finite(stored.tensors):
            raise StoreError(f"{path} holds values that are not finite")
        return stored

    def holds(self, name: str) -> bool:
        """True if a file that says that it is `name` is stored under `name`, whole or damaged."""
        return is_of_place(self._path(name), name)

    def write(self, name: str, arrays: Arrays) -> None:
        path = self._path(name)
        with named(path):
            write_arrays(path, arrays, place=name, keep_existing=True)

    def discard(self, name: str) -> None:
        self._path(name).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self.root / f"{name}.safetensors"


def default_cache() -> Cache:
    """The cache in the folder that INFLUBENCH_CACHE names, or in the user's cache folder."""
    named = os.environ.get(VARIABLE)
    root = Path(named) if named else platformdirs.user_cache_path("influbench")
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"the cache folder {root} cannot be created ({error.strerror}); set {VARIABLE} to another folder"
        ) from None
    return Cache(root)


@contextmanager
def named(path: Path) -> Iterator[None]:
    """A context that turns an error of the file system into one sentence that names the file."""
    try:
        yield
    except OSError as error:
        raise StoreError(f"cannot use {path} ({error.strerror}); {VARIABLE} names the cache folder") from error
