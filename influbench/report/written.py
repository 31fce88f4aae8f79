"""The place where a run was written."""

from pathlib import Path

from rich.console import Console
from rich.text import Text


def print_where(console: Console, directory: Path, *, can_be_shown: bool = True) -> None:
    """Print the last line of what is shown after a run or a study, which may be one that no package brings."""
    again = f"; `influbench report {directory}` shows it again" if can_be_shown else ""
    console.print()
    console.print(Text(f"  Written to {directory}{again}."), soft_wrap=True)
