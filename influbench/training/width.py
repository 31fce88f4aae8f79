"""The number of replicas trained at a time: the fastest on this machine among those that fit.

The width changes the speed of a training but not its numbers (up to rounding), so it is not part of any key.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import psutil
import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from influbench.errors import UsageError

WIDEST = 65  # one base run and the 64 of a shard
STACKED_WIDTHS = (2, 4, 8, 16, 32, WIDEST)
LOOPED_WIDTHS = (1, 2, 4, 8)  # replicas that run one after the other gain little from wide stacks
_SHARE_OF_FREE = 0.5  # the rest is left to other processes and to torch's temporary tensors
_NEARLY = 1.05  # a wider stack this close to the fastest is preferred, because it repeats fewer base runs


def memory_limit(device: torch.device) -> int:
    """The default limit, in bytes, on the memory of trainings: half of the free memory."""
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else psutil.virtual_memory().available
    return int(_SHARE_OF_FREE * free)


def fastest_width(
    step_seconds: Callable[[int], float],
    *,
    replica_bytes: int,
    limit: int,
    widths: Sequence[int] = STACKED_WIDTHS,
) -> int:
    """The number of replicas with the least time per replica, among the widths that fit into `limit` bytes."""
    if replica_bytes > limit:
        raise UsageError(
            f"one replica needs about {replica_bytes / 1e6:,.0f} MB, and the memory limit is {limit / 1e6:,.0f} MB"
        )
    fitting = [width for width in widths if width * replica_bytes <= limit]
    if len(fitting) < 2:
        return max([1, *fitting])
    per_replica = {width: step_seconds(width) / width for width in fitting}
    return max(width for width, seconds in per_replica.items() if seconds <= _NEARLY * min(per_replica.values()))


@contextmanager
def saved_bytes() -> Iterator[list[int]]:
    """Yield a list that receives the bytes of each tensor that autograd keeps for a backward pass, storages once."""
    seen: set[int] = set()
    sizes: list[int] = []

    def note(tensor: Tensor) -> Tensor:
        if tensor.is_mkldnn:  # has no storage whose address can be compared
            sizes.append(tensor.numel() * tensor.element_size())
            return tensor
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in seen:
            seen.add(storage.data_ptr())
            sizes.append(storage.nbytes())
        return tensor

    with saved_tensors_hooks(note, lambda tensor: tensor):
        yield sizes


def is_out_of_memory(error: BaseException) -> bool:
    """True if an allocation failed, on a GPU or on the CPU."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
