"""Checks of hyperparameters. Each raises the ValueError that influbench turns into a sentence for the user."""

from math import inf


def at_least(least: int, **values: int) -> None:
    """Check counts."""
    for name, value in values.items():
        if value < least:
            raise ValueError(f"{name} must be at least {least}, got {value}")


def not_negative(**values: float) -> None:
    """Check amounts that may be 0."""
    for name, value in values.items():
        if not 0 <= value < inf:
            raise ValueError(f"{name} must be at least 0 and finite, got {value}")


def positive(**values: float) -> None:
    """Check amounts that must not be 0."""
    for name, value in values.items():
        if not 0 < value < inf:
            raise ValueError(f"{name} must be above 0 and finite, got {value}")
