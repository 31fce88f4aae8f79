"""Which errors of a piece are final, and which are tried again."""

from influbench.errors import InflubenchError

ATTEMPTS = 3  # a network that hiccups twice loses nothing, and a fault in the code is not computed for ever


def is_final(error: BaseException, attempts: int) -> bool:
    """Our own errors say what is wrong and would come again."""
    return isinstance(error, InflubenchError) or attempts >= ATTEMPTS
