"""Values that the command line checks as it reads them."""

from influbench.errors import UsageError


def check_counts(*, of: str = "", **numbers: object) -> None:
    """UsageError that names the first value that is not a whole number from 1; None is left to the function called.

    `of` is what is counted, where that does not go without saying.
    """
    for name, number in numbers.items():
        if number is None or (isinstance(number, int) and not isinstance(number, bool) and number >= 1):
            continue
        raise UsageError(f"{name} = {number!r} does not fit; give a whole number{of and f' of {of}'} from 1 on")
