"""Objects that show themselves as a report: in a terminal by rich, in a notebook as HTML, and as text."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from io import StringIO

import rich.console
from rich.console import ConsoleOptions, RenderableType, RenderResult

from influbench.report.console import Console

_PAGE_WIDTH = 140

# A notebook brings its own colors for text and background.
_HTML = '<pre style="font-family: monospace; line-height: 1.3; white-space: pre; overflow-x: auto">{code}</pre>'


class Shown(ABC):
    """Something with a report of its own."""

    @abstractmethod
    def _report(self, width: int) -> Iterator[RenderableType]:
        """The parts of the report, for this many columns of text."""

    def __str__(self) -> str:
        text = StringIO()
        Console(file=text, width=_PAGE_WIDTH, color_system=None).print(self)
        return text.getvalue().removesuffix("\n")

    def __rich_console__(self, console: rich.console.Console, options: ConsoleOptions) -> RenderResult:
        yield from self._report(options.max_width)

    def _repr_html_(self) -> str:
        console = rich.console.Console(file=StringIO(), width=_PAGE_WIDTH, record=True)
        console.print(self)
        return console.export_html(inline_styles=True, code_format=_HTML)
