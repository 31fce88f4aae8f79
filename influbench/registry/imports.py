"""Import other people's modules: isolated from the process, and with a record of what they changed in it."""

from collections.abc import Iterator
from contextlib import contextmanager

from influbench.isolation import isolated

_CHANGED: dict[str, list[str]] = {}  # settings by package, for as long as the process lives


@contextmanager
def importing(module: str) -> Iterator[list[str]]:
    """A context to import this module in. Afterwards, the list has the settings of the process that were put back."""
    try:
        with isolated() as put_back:
            yield put_back
    finally:
        if put_back:
            _CHANGED.setdefault(_package(module), put_back)


def changed_on_import(owner: type) -> list[str]:
    """Settings of the process that changed when a class's package was imported, and that were put back."""
    return _CHANGED.get(_package(owner.__module__), [])


def _package(module: str) -> str:
    return module.partition(".")[0]
