"""What every data set checks of the sizes that a user sets."""


def check_sizes(**sizes: int) -> None:
    """ValueError unless each size is at least 1."""
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"{name} must be at least 1, got {size}")
