"""What shows itself as a report: in a terminal by rich, in a notebook as HTML, and as text."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from io import StringIO

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

_PAGE_WIDTH = 140

# A notebook brings colours of its own for text and background.
_HTML = '<pre style="font-family: monospace; line-height: 1.3; white-space: pre; overflow-x: auto">{code}</pre>'


class Shown(ABC):
    """Something with a report of its own."""

    @abstractmethod
    def _report(self, width: int) -> Iterator[RenderableType]:
        """The parts of the report, for so many columns."""

    def __str__(self) -> str:
        console = Console(file=StringIO(), width=_PAGE_WIDTH, color_system=None)
        console.print(self)
        assert isinstance(console.file, StringIO)
        return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines())

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from self._report(options.max_width)

    def _repr_html_(self) -> str:
        console = Console(file=StringIO(), width=_PAGE_WIDTH, record=True)
        console.print(self)
        return console.export_html(inline_styles=True, code_format=_HTML)
