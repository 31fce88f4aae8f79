"""Isolation of other packages' code: its changes to the process have no side effects, are undone and are reported."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout

from influbench import floating_point
from influbench.errors import EscapedError, type_and_message


@contextmanager
def isolated(seed: int | None = None) -> Iterator[list[str]]:
    """A context in which global random states start from `seed` and gradients are enabled; all is restored at the end.

    Printed text goes to standard error. Whatever the code raises is an Exception, unless the user interrupts. Without a
    seed, random states start unchanged, and torch is not imported for them. Afterwards, the list has the settings that
    had to be put back; it does not mention random states.
    """
    kept = _before_torch() if seed is None and "torch" not in sys.modules else _with_torch(seed)
    with redirect_stdout(sys.stderr), _contained(), kept as put_back:
        yield put_back


@contextmanager
def _contained() -> Iterator[None]:
    """Turn into an Exception what handlers of failures would miss: SystemExit, asyncio's CancelledError."""
    try:
        yield
    except (Exception, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise EscapedError(type_and_message(error)) from error


@contextmanager
def _with_torch(seed: int | None) -> Iterator[list[str]]:
    import torch

    from influbench.process import random_states_kept, settings_kept

    with random_states_kept(seed), torch.set_grad_enabled(True), settings_kept() as changed:
        yield changed


@contextmanager
def _before_torch() -> Iterator[list[str]]:
    """A context without torch. If a plugin imports torch, its settings get their initial values, except its threads."""
    changed: list[str] = []
    of_numpy = floating_point.handling()
    try:
        yield changed
    finally:
        if "torch" in sys.modules:
            from influbench.process import INITIAL, put_back

            changed += put_back({**INITIAL, floating_point.NAME: of_numpy})
        elif floating_point.handling() != of_numpy:
            floating_point.handle(of_numpy)
            changed.append(floating_point.NAME)
