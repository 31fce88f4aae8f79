"""Numpy's handling of floating-point errors, a setting of the process that exists before torch is imported."""

import sys
from collections.abc import Mapping

NAME = "numpy's floating-point error handling"
_INITIAL: Mapping[str, str] = {"divide": "warn", "over": "warn", "under": "ignore", "invalid": "warn"}


def handling() -> Mapping[str, str]:
    """The handling by kind of error. Numpy is not imported for this: before that, it is numpy's initial handling."""
    numpy = sys.modules.get("numpy")
    found: Mapping[str, str] = _INITIAL if numpy is None else numpy.geterr()
    return found


def handle(errors: Mapping[str, str]) -> None:
    """Handle errors this way from now on."""
    import numpy

    numpy.seterr(**errors)  # type: ignore[arg-type]
