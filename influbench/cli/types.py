"""Types of command-line values."""

import re

import click

_UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


class _Memory(click.ParamType):  # type: ignore[type-arg]
    """A number of bytes with a unit: 500MB, 4GB, 2GiB."""

    name = "SIZE"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMG]I?B|)", str(value).strip().upper())
        if match is None or not float(match[1]):
            self.fail(f"{value!r} is not a size; write for instance 500MB or 4GB", param, ctx)
        return int(float(match[1]) * _UNITS[match[2]])


MEMORY = _Memory()
