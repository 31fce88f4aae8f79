"""`influbench plugins`."""

import json
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from influbench.registry import Registry


@click.command("plugins", short_help="List the packages that register plugins.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def plugins_command(as_json: bool) -> None:
    """List the installed packages that register plugins: what they register, or why they did not load."""
    from influbench.registry import installed
    from influbench.report.console import Console
    from influbench.report.plugins import print_plugins

    registry = installed()
    if as_json:
        click.echo(json.dumps(_as_json(registry), indent=2))
    else:
        print_plugins(Console(), registry)


def _as_json(registry: "Registry") -> dict[str, object]:
    from influbench.registry import ROLES

    return {
        "plugins": [
            {
                "distribution": distribution.name,
                "version": distribution.version,
                **{
                    role.key: [
                        entry.spec.name
                        for entry in registry.entries
                        if (entry.kind, entry.distribution) == (kind, distribution)
                    ]
                    for kind, role in ROLES.items()
                },
                "broken": [
                    {"entry_point": broken.entry_point, "reason": broken.reason}
                    for broken in registry.broken
                    if broken.distribution == distribution
                ],
                "remarks": [remark.text for remark in registry.remarks if remark.distribution == distribution],
            }
            for distribution in registry.distributions()
        ]
    }
