"""The check that every data set makes on the sizes that a user sets."""


def check_sizes(**sizes: int) -> None:
    """Raise ValueError unless each size is at least 1."""
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"{name} must be at least 1, got {size}")
