"""Names of estimators and problems in narrow columns: they are broken where they read on."""

from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.text import Text

_BEHIND = (" ", "[,", "_=/.:-")  # a name is broken behind one of these, of the first if there is one, or else anywhere
_LEAST = 12  # characters that a name is not squeezed below by the columns beside it


@dataclass(frozen=True)
class Name:
    """A name, indented, with what is said below it."""

    name: str
    indent: int = 2
    below: Text | None = None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for line in broken(self.name, max(1, options.max_width - self.indent)):
            yield Text(" " * self.indent + line)
        if self.below:
            yield Text(" " * self.indent).append_text(self.below)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        longest = self.indent + max(len(self.name), len(self.below or ""))
        return Measurement(min(longest, self.indent + _LEAST), longest)


def broken(name: str, width: int) -> list[str]:
    """The name in lines of at most this many characters."""
    lines = []
    while len(name) > width:
        place = _place(name, width)
        lines.append(name[:place].rstrip())
        name = name[place:].lstrip()
    return [*lines, name]


def _place(name: str, width: int) -> int:
    for marks in _BEHIND:
        if places := [place for place, mark in enumerate(name[:width], start=1) if mark in marks]:
            return places[-1]
    return width
