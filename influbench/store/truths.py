"""The ground truths in a cache, and their export to another lab as one file."""

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from influbench.errors import StoreError, UnknownNameError, UsageError
from influbench.store.cache import Cache, named
from influbench.store.files import (
    Arrays,
    are_finite,
    checksum,
    named_by_a_user,
    read_arrays,
    write_arrays,
    write_bytes,
)

_FOLDER, _ABOUT, _FORMAT = "truth", "about.json", "influbench.truth/2"
_EARLIER_FORMAT = "influbench.truth/1"  # shards did not say what they are
_CHECKSUMS = "checksums"
_PLACE = re.compile(rf"{_FOLDER}/[0-9a-f]+/seed-\d+/block-\d+")


@dataclass(frozen=True)
class StoredTruth:
    """One truth in the cache. It is found by `key`; `about` describes its problem in words."""

    key: str
    about: dict[str, object]
    shards: tuple[str, ...]
    n_bytes: int

    @property
    def n_seeds(self) -> int:
        """Seeds with at least one stored shard."""
        return len({name.partition("/")[0] for name in self.shards})


@dataclass(frozen=True)
class ExportedTruth:
    """The contents of a file that another lab exported, without the tensors."""

    key: str
    problem: str
    shards: frozenset[str]


class Truths:
    """The ground truths in a cache."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    def describe(self, key: str, about: dict[str, object]) -> None:
        """Store a description of the problem of this key's truth, unless one is stored already."""
        path = self._folder(key) / _ABOUT
        with named(path):
            if not path.exists():
                write_bytes(path, (json.dumps(about, indent=2) + "\n").encode())

    def all(self) -> list[StoredTruth]:
        """Every stored truth, in the order of the keys."""
        root = self._cache.root / _FOLDER
        if not root.is_dir():
            return []
        return [self._stored(folder) for folder in sorted(root.iterdir()) if folder.is_dir()]

    def find(self, prefix: str) -> StoredTruth:
        """The one truth whose key begins with `prefix`. UnknownNameError if there is not exactly one."""
        found = [truth for truth in self.all() if truth.key.startswith(prefix)]
        if not found:
            raise UnknownNameError(
                f"no stored truth has a key that begins with {prefix!r}; see `influbench truth list`"
            )
        if len(found) > 1:
            n = len(found)
            raise UnknownNameError(
                f"{n} stored truths have keys that begin with {prefix!r}; see `influbench truth list`"
            )
        return found[0]

    def export(self, truth: StoredTruth, path: Path) -> None:
        """Write the whole truth to one file, with a checksum for each shard. StoreError if one is `damaged`."""
        shards = {}
        for name in truth.shards:
            shard = self._cache.read(_place(truth.key, name))
            assert shard is not None
            shards[name] = shard
        tensors: dict[str, Tensor] = {}
        for name, shard in shards.items():
            tensors |= {f"{name}/{tensor}": values for tensor, values in shard.tensors.items()}
        checksums = {name: checksum(shard, place=_place(truth.key, name)) for name, shard in shards.items()}
        notes = {
            "format": _FORMAT,
            "key": truth.key,
            "about": json.dumps(truth.about),
            "shards": json.dumps({name: dict(shard.notes) for name, shard in shards.items()}),
            _CHECKSUMS: json.dumps(checksums),
        }
        with named_by_a_user(path):
            write_arrays(path, Arrays(tensors, notes))

    def take(self, path: Path) -> tuple[str, int]:
        """Store the truth that another lab exported. Return its key, and how many of its shards are new here.

        A shard that is stored here already stays, unless it is damaged.
        """
        shards, notes = _read_export(path)
        key, n_new = notes["key"], 0
        for name, shard in shards.items():
            place = _place(key, name)
            if not self._is_whole(place):
                self._cache.discard(place)
                self._cache.write(place, shard)
                n_new += 1
        self.describe(key, json.loads(notes["about"]))
        return key, n_new

    def remove(self, truth: StoredTruth) -> None:
        """Delete a truth from the cache."""
        shutil.rmtree(self._folder(truth.key))

    def damaged(self, truth: StoredTruth) -> Iterator[str]:
        """Read every shard, and yield the reason for each one that is damaged, not finite, or in the wrong place."""
        for name in truth.shards:
            try:
                self._cache.read(_place(truth.key, name))
            except StoreError as error:
                yield str(error)

    def _is_whole(self, place: str) -> bool:
        try:
            return self._cache.read(place) is not None
        except StoreError:
            return False

    def _stored(self, folder: Path) -> StoredTruth:
        files = sorted(folder.glob("seed-*/block-*.safetensors"))
        try:
            about = json.loads((folder / _ABOUT).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            about = {}
        names = tuple(str(file.relative_to(folder).with_suffix("").as_posix()) for file in files)
        return StoredTruth(folder.name, about, names, sum(file.stat().st_size for file in files))

    def _folder(self, key: str) -> Path:
        return self._cache.root / _FOLDER / key


def exported_truth(path: Path) -> ExportedTruth:
    """The truth in this file. UsageError if it does not hold one, StoreError if it is damaged."""
    shards, notes = _read_export(path)
    problem = str(json.loads(notes["about"]).get("problem", "another problem"))
    return ExportedTruth(notes["key"], problem, frozenset(shards))


def _read_export(path: Path) -> tuple[dict[str, Arrays], Mapping[str, str]]:
    """The shards in an exported file, each of them checked, and its notes."""
    if not path.is_file():
        raise UsageError(f"the file {path} does not exist")
    file = read_arrays(path)
    if file.notes.get("format") == _EARLIER_FORMAT:
        raise UsageError(f"{path} was exported by an earlier influbench; export the truth again")
    if file.notes.get("format") != _FORMAT:
        raise UsageError(f"{path} is not an exported truth; `influbench truth export` writes one")
    checksums = json.loads(file.notes[_CHECKSUMS])
    shards = {}
    for name, notes in json.loads(file.notes["shards"]).items():
        prefix = f"{name}/"
        tensors = {key.removeprefix(prefix): file.tensors[key] for key in file.tensors if key.startswith(prefix)}
        shard, place = Arrays(tensors, notes), _place(file.notes["key"], name)
        if not _PLACE.fullmatch(place) or checksums.get(name) != checksum(shard, place=place):
            raise StoreError(f"{path} cannot be imported: its shard {name} is not the one that was computed as {place}")
        if not are_finite(tensors):
            raise StoreError(f"{path} cannot be imported: its shard {name} holds values that are not finite")
        shards[name] = shard
    return shards, file.notes


def _place(key: str, name: str) -> str:
    """The place in a cache of one shard of a truth."""
    return f"{_FOLDER}/{key}/{name}"
