"""How numpy handles floating-point errors: a setting of the process that exists before torch is imported."""

import sys
from collections.abc import Mapping

NAME = "numpy's floating-point error handling"
_INITIAL: Mapping[str, str] = {"divide": "warn", "over": "warn", "under": "ignore", "invalid": "warn"}


def handling() -> Mapping[str, str]:
    """By kind of error. Numpy is not imported for it: then it is what numpy begins with."""
    numpy = sys.modules.get("numpy")
    found: Mapping[str, str] = _INITIAL if numpy is None else numpy.geterr()
    return found


def handle(errors: Mapping[str, str]) -> None:
    """Handle them so from now on."""
    import numpy

    numpy.seterr(**errors)  # type: ignore[arg-type]
