"""The options for where trainings run and which resources they use, the same for every command that trains."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from influbench.cli.types import MEMORY

if TYPE_CHECKING:
    from influbench.api import Executor
    from influbench.resources import Resources

_OPTIONS = (
    click.option("--workers", type=click.IntRange(min=1), help="Train in this many processes, one thread each."),
    click.option("--dask", metavar="ADDRESS", help="Train on a Dask cluster: tcp://HOST:PORT, or local:N."),
    click.option(
        "-x",
        "--executor",
        metavar="NAME[SETTING=VALUE]",
        help="Train on this executor, or on ./FILE.py:CLASS; see `influbench list`.  [here]",
    ),
    click.option("--memory", type=MEMORY, help="Memory for trainings in each process: 500MB, 4GB. Default: half."),
    click.option("--device", default="cpu", help="Device to train networks on: cpu, cuda, cuda:1."),
)


@dataclass(frozen=True)
class ResourceOptions:
    """The values that a user gave for these options."""

    workers: int | None
    dask: str | None
    executor: str | None
    memory: int | None
    device: str

    @contextmanager
    def opened(self) -> "Iterator[Resources]":
        """A context with the resources that they describe. On leaving, the executor is closed."""
        from influbench.resources import Resources

        with closing(self._executor()) as executor:
            yield Resources(executor=executor, memory=self.memory, device=self.device)

    def _executor(self) -> "Executor":
        from influbench.registry import Selector, installed, parse_selector
        from influbench.resources import check_one_given

        check_one_given({"--workers": self.workers, "--dask": self.dask, "--executor": self.executor})
        selector = parse_selector("here" if self.executor is None else self.executor)
        if self.workers is not None:
            selector = Selector("processes", {"n_workers": self.workers})
        if self.dask is not None:
            selector = Selector("dask", {"address": self.dask})
        executor: Executor = installed().create("executor", selector)
        return executor


def resource_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options to a command, which receives their values in one argument, `resources`."""

    @wraps(command)
    def with_resources(
        *arguments: Any,
        workers: int | None,
        dask: str | None,
        executor: str | None,
        memory: int | None,
        device: str,
        **others: Any,
    ) -> None:
        command(*arguments, resources=ResourceOptions(workers, dask, executor, memory, device), **others)

    decorated: Callable[..., None] = with_resources
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated
