"""Pieces of work that workers can import."""

import os
import signal
from pathlib import Path

import torch

from influbench.errors import TrainingError


def threads(shared: str, item: str) -> str:
    return f"{shared}{item} on {torch.get_num_threads()} in {os.getpid()}"


def dies_at_first(folder: str, item: str) -> str:
    """Kills its own process, once for each item that is called so."""
    mark = Path(folder) / item
    if item.startswith("deadly") and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def always_dies(folder: str, item: str) -> str:
    if item == "deadly":
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def raises_at_first(folder: str, item: str) -> str:
    mark = Path(folder) / item
    if not mark.exists():
        mark.touch()
        raise OSError("the network hiccups")
    return item


def always_raises(folder: str, item: str) -> str:
    if item == "bad":
        with (Path(folder) / "calls").open("a") as calls:
            calls.write("x")
        raise ZeroDivisionError("never works")
    return item


class OddError(Exception):
    """Cannot be made again from what it is pickled as."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first} {second}")


def raises_oddly(shared: str, item: str) -> str:
    raise OddError("never", "works")


def refuses(folder: str, item: str) -> str:
    with (Path(folder) / "calls").open("a") as calls:
        calls.write("x")
    raise TrainingError("training diverged")
