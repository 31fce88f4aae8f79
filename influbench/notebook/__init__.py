"""influbench for Python and notebooks: the command line's runs, with classes that need not be installed."""

from influbench.datasets.in_memory import as_dataset
from influbench.notebook.result import Explanation, Result, Row, read
from influbench.notebook.running import run
from influbench.resources import Resources
from influbench.store.cache import Cache

__all__ = ["Cache", "Explanation", "Resources", "Result", "Row", "as_dataset", "read", "run"]
