"""Data sets without an official test set: the seed draws train and test points from one pool."""

from influbench.api import Split
from influbench.errors import DataError
from influbench.seeds import derive, hash_integers


def drawn_from(pool: Split, *, n_train: int, n_test: int, seed: int, name: str) -> tuple[Split, Split]:
    """Disjoint train and test points, drawn by the seed. DataError if the pool of `name` is too small."""
    if n_train + n_test > len(pool):
        raise DataError(
            f"{name} has {len(pool)} examples; n_train={n_train} and n_test={n_test} ask for {n_train + n_test}"
        )
    order = hash_integers(derive(seed, "split"), pool.ids).argsort()
    return pool.rows(order[:n_train]), pool.rows(order[n_train : n_train + n_test])
