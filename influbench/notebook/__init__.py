"""influbench for Python and notebooks: the command line's runs, with classes that need not be installed."""

from influbench.notebook.result import Explanation, Result, Row, read
from influbench.notebook.running import run

__all__ = ["Explanation", "Result", "Row", "read", "run"]
