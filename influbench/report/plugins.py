"""The packages that register plugins, and what they register."""

from collections.abc import Iterator

from rich.console import Console
from rich.text import Text

from influbench.registry import KINDS, ROLES, Distribution, Registry
from influbench.report.tables import new_table


def print_plugins(console: Console, registry: Registry) -> None:
    """Print a row for each package, with what it registers or why it did not load."""
    table = new_table()
    table.add_column("  Package", no_wrap=True)
    table.add_column("Version", no_wrap=True)
    table.add_column("Registers", ratio=1)
    for distribution in registry.distributions():
        text = Text("\n").join(_registered(registry, distribution))
        table.add_row(f"  {distribution.name}", distribution.version, text)
    console.print(table)


def _registered(registry: Registry, distribution: Distribution) -> Iterator[Text]:
    for kind in KINDS:
        entries = [entry for entry in registry.entries if (entry.kind, entry.distribution) == (kind, distribution)]
        if entries:
            yield Text.assemble((f"{ROLES[kind].nouns}: ", "bold"), ", ".join(entry.spec.name for entry in entries))
    for broken in registry.broken:
        if broken.distribution == distribution:
            yield Text(f"{broken.entry_point} did not load: {broken.reason}", style="red")
    for remark in registry.remarks:
        if remark.distribution == distribution:
            yield Text(remark.text, style="yellow")
    for kind in KINDS:
        for name, owners in registry.clashes(kind).items():
            if distribution in owners:
                others = " and ".join(str(owner) for owner in owners if owner != distribution)
                yield Text(
                    f"{kind} {name} is registered by {others or 'it twice'}, too: neither can be used", style="red"
                )
