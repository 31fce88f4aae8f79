"""Forecasts of runs."""

from dataclasses import dataclass

from influbench.results.fits import Fit


@dataclass(frozen=True)
class Forecast:
    """The cost of what a problem's judges train, before it is trained. Seconds and bytes are predictions.

    `data` says what the problem is trained and measured on. `fit` is the accuracy of the truth's ordinary trainings if
    it is stored already.
    """

    problem: str
    n_trainings: int
    n_shards: int
    n_shards_stored: int
    seconds: float
    memory_bytes: int  # of each process that trains, at its peak
    disk_bytes: int
    stack_width: int
    path: str
    fit: Fit | None = None
    data: str = ""
