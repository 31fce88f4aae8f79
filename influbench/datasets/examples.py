"""The examples in a user's file or arrays, and the ones that a seed draws."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from torch import Tensor

from influbench.api import Data, Split
from influbench.datasets.pool import drawn_from
from influbench.errors import DataError
from influbench.registry.selectors import written
from influbench.seeds import derive, hash_integers

_MOST_KINDS = 20  # with more kinds than this, whole numbers are probably counts or amounts, not classes
_MANY_CLASSES = 50  # with more than this, and fewer than 4 examples of each, whole numbers may well be amounts
_FEW_EXAMPLES = 4

Remedy: TypeAlias = Callable[[str, object], str]  # the words for a setting with a value, for the end of an error


def in_brackets(name: str, value: object) -> str:
    """A setting as a name on the command line or in a plan takes it."""
    return f"[{name}={written(value)}] after its name"


def as_argument(name: str, value: object) -> str:
    """A setting as Python takes it."""
    return f"{name}={value!r}"


@dataclass(frozen=True, eq=False)
class Examples:
    """All examples of a file: one pool, or train and test points. `notes` are sentences for the report."""

    splits: tuple[Split, ...]
    n_classes: int | None
    class_names: Sequence[str] | None = None
    notes: tuple[str, ...] = ()

    def drawn(self, n_train: int | None, n_test: int | None, *, seed: int, name: str) -> Data:
        """This many train and test points, drawn by the seed. DataError if the file of this `name` has fewer.

        None means all given points in their order, or the rest of a pool; if both are None, a third is for testing.
        """
        if len(self.splits) == 1:
            (pool,) = self.splits
            n_train, n_test = _sizes(len(pool), n_train, n_test, name)
            train, test = drawn_from(pool, n_train=n_train, n_test=n_test, seed=seed, name=name)
        else:
            train, test = (
                _some(split, n, seed, part, name)
                for split, n, part in zip(self.splits, (n_train, n_test), ("train", "test"), strict=True)
            )
        return Data(train, test, self.n_classes, self.class_names, self.notes)


def is_whole_number(word: str) -> bool:
    """True if a word is a whole number, with or without a sign."""
    return re.fullmatch(r"[+-]?[0-9]+", word) is not None


def telling_names(class_names: Sequence[str] | None) -> tuple[str, ...] | None:
    """The names of the classes, or None if they are the numbers 0, 1, 2, ... themselves."""
    if class_names is None or list(class_names) == [str(number) for number in range(len(class_names))]:
        return None
    return tuple(class_names)


def kinds_like_classes(labels: Tensor) -> int:
    """The number of different float labels if they may be classes: few whole numbers, each with several examples.

    0 if they are clearly regression.
    """
    n_kinds = len(labels.unique())
    whole = bool((labels == labels.round()).all())
    return n_kinds if whole and n_kinds <= min(_MOST_KINDS, len(labels) // 2) else 0


def check_kind(n_kinds: int, n: int, remedy: Remedy) -> None:
    """Raise DataError, which asks, if n labels of this many different whole numbers may be amounts, not classes."""
    if n_kinds > _MANY_CLASSES and _FEW_EXAMPLES * n_kinds > n:
        raise DataError(
            f"has {n_kinds} different whole numbers as the labels of {n} examples; say what they are: amounts, with "
            f"{remedy('regression', True)}, or classes, with {remedy('regression', False)}"
        )


def _sizes(n: int, n_train: int | None, n_test: int | None, name: str) -> tuple[int, int]:
    if n_train is None:
        n_test = n // 3 if n_test is None else n_test
        n_train = n - n_test
        if n_train < 1:
            raise DataError(f"{name} has {n} examples; n_test={n_test} leaves none to train on")
    elif n_test is None:
        n_test = n - n_train
        if n_test < 1:
            raise DataError(f"{name} has {n} examples; n_train={n_train} leaves none to test on")
    return n_train, n_test


def _some(split: Split, n: int | None, seed: int, part: str, name: str) -> Split:
    if n is None:
        return split
    if n > len(split):
        noun = f"{part} example{'s' * (len(split) != 1)}"
        raise DataError(f"{name} has {len(split)} {noun}; n_{part}={n} asks for more")
    return split.rows(hash_integers(derive(seed, part), split.ids).argsort()[:n])
