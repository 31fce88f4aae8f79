"""The rule that decides which errors of a piece are final, and which are retried."""

from influbench.errors import InflubenchError

ATTEMPTS = 3  # two hiccups of a computer network do no damage, and a fault in the code is not retried forever


def is_final(error: BaseException, attempts: int) -> bool:
    """True if a retry is pointless: our own errors say what is wrong and would occur again."""
    return isinstance(error, InflubenchError) or attempts >= ATTEMPTS
