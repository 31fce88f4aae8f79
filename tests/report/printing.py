"""What a report prints, as text without colour."""

from collections.abc import Callable
from io import StringIO

from rich.console import Console


def text_of(draw: Callable[[Console], object], width: int) -> str:
    """Lines without blanks at their end, the last one ended, too."""
    console = Console(width=width, file=StringIO(), color_system=None, legacy_windows=False)
    draw(console)
    assert isinstance(console.file, StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()) + "\n"
