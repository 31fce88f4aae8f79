"""Where a stranger's code runs: what it does to the process around it harms nobody else, is undone and told."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout

from influbench import floating_point
from influbench.errors import EscapedError, type_and_message


@contextmanager
def isolated(seed: int | None = None) -> Iterator[list[str]]:
    """Within, every global random state starts from `seed`, and gradients are enabled; on leaving, all is as before.

    What is printed goes to standard error. What is raised is an Exception, unless the user interrupts. Without a seed,
    states are as they are found, and torch is not imported for them. The list tells afterwards which settings had to be
    put back. Random states are put back without a word.
    """
    kept = _before_torch() if seed is None and "torch" not in sys.modules else _with_torch(seed)
    with redirect_stdout(sys.stderr), _contained(), kept as put_back:
        yield put_back


@contextmanager
def _contained() -> Iterator[None]:
    """What is no Exception would pass by all that handles failures: SystemExit, pytest's Skipped, trio's Cancelled."""
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
    """Listing what is installed imports no torch; a plugin that does leaves it as it begins, but for its threads."""
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
