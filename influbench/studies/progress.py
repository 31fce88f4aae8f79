"""How far a study is."""

from collections.abc import Callable, Iterable

from influbench.shards import Shard

Progress = Callable[[str, int, int], None]  # what is done, how much of it is, and of how much


def told(shards: Iterable[Shard], n: int, *, what: str, progress: Progress) -> list[Shard]:
    """All `n` shards, each told when it is there."""
    there: list[Shard] = []
    for shard in shards:
        there.append(shard)
        progress(what, len(there), n)
    return there
