"""Where a stranger's module is imported: apart from the process, and with what it changed there remembered."""

from collections.abc import Iterator
from contextlib import contextmanager

from influbench.isolation import isolated

_CHANGED: dict[str, list[str]] = {}  # by package, as long as the process has it imported


@contextmanager
def importing(module: str) -> Iterator[list[str]]:
    """Within, this module is imported. The list tells afterwards which settings of the process were put back."""
    try:
        with isolated() as put_back:
            yield put_back
    finally:
        if put_back:
            _CHANGED.setdefault(_package(module), put_back)


def changed_on_import(owner: type) -> list[str]:
    """Settings of the process that importing a class's package changed, and that were put back."""
    return _CHANGED.get(_package(owner.__module__), [])


def _package(module: str) -> str:
    return module.partition(".")[0]
