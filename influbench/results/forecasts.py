"""What a run will take."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Forecast:
    """What a problem's ground truth will take, before it is trained. Seconds and bytes are predictions."""

    problem: str
    n_trainings: int
    n_shards: int
    n_shards_stored: int
    seconds: float
    memory_bytes: int  # of each process that trains, at its peak
    disk_bytes: int
    stack_width: int
    path: str
