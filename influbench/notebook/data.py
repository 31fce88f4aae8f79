"""Data that a caller passes in place of the name of a data set."""

from influbench.datasets.in_memory import as_dataset, is_data
from influbench.errors import UsageError


def given_data(given: object, *, label: str | None, regression: bool | None) -> object:
    """One thing or several for `names_of`, with data sets in the place of data that are in memory.

    UsageError if the settings are given without such data.
    """
    if is_data(given):
        return as_dataset(given, label=label, regression=regression)
    if isinstance(given, list | tuple) and any(map(is_data, given)):
        return [as_dataset(one, label=label, regression=regression) if is_data(one) else one for one in given]
    for name, value in (("label", label), ("regression", regression)):
        if value is not None:
            raise UsageError(f"{name}={value!r} is about data in memory; for a file, write [{name}=...] after its name")
    return given
