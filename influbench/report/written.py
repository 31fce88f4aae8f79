"""Where what was found is written."""

from pathlib import Path

from rich.console import Console
from rich.text import Text


def print_where(console: Console, directory: Path) -> None:
    """Print the last line of what is shown after a run or a study."""
    console.print()
    console.print(Text(f"  Written to {directory}; `influbench report {directory}` shows it again."), soft_wrap=True)
