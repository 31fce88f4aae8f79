"""`influbench list` and `influbench show`."""

import json
from typing import TYPE_CHECKING, Any, Literal

import click

if TYPE_CHECKING:
    from dataclasses import Field

    from influbench.registry import Kind, Registry, Selector
    from influbench.report.console import Console

# Characters of a default or of a package name; a longer one would not leave enough room for the other columns.
_LONGEST_ON_ONE_LINE = 30


@click.command("list", short_help="List all plugins and plans.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def list_command(as_json: bool) -> None:
    """List everything that can be named: the plugins of each kind, and the plans."""
    from influbench.plan import read_plan, shipped_plans
    from influbench.registry import ROLES, installed

    registry = installed()
    plans = {name: read_plan(name).summary for name in shipped_plans()}
    if as_json:
        click.echo(json.dumps(_catalogue(registry, plans), indent=2))
        return
    from rich.text import Text

    from influbench.report.console import Console

    console = Console()
    for kind, role in ROLES.items():
        rows = sorted((e.spec.name, e.spec.summary, e.distribution.name) for e in registry.entries if e.kind == kind)
        _print_table(console, role.nouns.capitalize(), rows)
    _print_table(console, "Plans", [(name, summary, "influbench") for name, summary in plans.items()])
    for broken in registry.broken:
        console.print(Text(f"warning: {broken.distribution} did not load: {broken.reason}", style="yellow"))
    for remark in registry.remarks:
        console.print(Text(f"warning: {remark.distribution}: {remark.text}", style="yellow"))


def _catalogue(registry: "Registry", plans: dict[str, str]) -> dict[str, list[dict[str, str]]]:
    """The content of `list`, for JSON."""
    from influbench.registry import ROLES

    things = {
        role.key: [
            {"name": entry.spec.name, "summary": entry.spec.summary, "distribution": entry.distribution.name}
            for entry in registry.entries
            if entry.kind == kind
        ]
        for kind, role in ROLES.items()
    }
    return {
        **things,
        "plans": [{"name": name, "summary": summary} for name, summary in plans.items()],
        "broken": [{"distribution": str(b.distribution), "reason": b.reason} for b in registry.broken],
        "remarks": [{"distribution": str(r.distribution), "text": r.text} for r in registry.remarks],
    }


@click.command("show", short_help="Show one plugin or plan.")
@click.argument("words", nargs=-1, required=True, metavar="[KIND] NAME[PARAMETER=VALUE]")
def show_command(words: tuple[str, ...]) -> None:
    """Show a plugin or plan that `influbench list` lists: its description, its parameters, its paper.

    KIND (a plugin kind such as estimator, or plan) is needed only if two kinds have something of this name.

    With parameters after the name, show their values; for a data set in a file, show also which points a run would use.
    """
    from influbench.cli.names import chosen_kind
    from influbench.plan import shipped_plans
    from influbench.registry import KINDS, installed, parse_selector

    *kinds, written = words
    selector = parse_selector(written)
    registry, plans, name = installed(), shipped_plans(), selector.name
    names: dict[Kind | Literal["plan"], list[str]] = {one: registry.names_with(one, name) for one in KINDS}
    names["plan"] = list(plans)
    kind = chosen_kind(name, kinds, names, command="show", excuse=registry.excuse())
    if kind == "plan":
        if selector.parameters:
            raise click.UsageError(
                f"{name} is a plan, and plans do not have parameters; write `influbench show plan {name}`"
            )
        click.echo(plans[name].rstrip())
    else:
        _show(registry, kind, selector)


def _show(registry: "Registry", kind: "Kind", selector: "Selector") -> None:
    from dataclasses import fields
    from typing import get_type_hints

    from rich.markup import escape
    from rich.padding import Padding

    from influbench.registry import NOUNS, description
    from influbench.report.console import Console

    entry, owner = registry.entry(kind, selector.name), registry.load(kind, selector.name)
    given = registry.create(kind, selector) if selector.parameters else None
    console = Console(highlight=False)
    console.print(f"[bold]{escape(str(selector))}[/bold]  {NOUNS[kind]} of {entry.distribution}")
    console.print(Padding(_paragraphs(description(owner) or entry.spec.summary), (1, 2)), markup=False)
    if kind == "dataset" and entry.preset:
        console.print(Padding(_what_it_holds(registry, selector), (0, 2, 1, 2)), markup=False)
    if parameters := [f for f in fields(owner) if f.init and f.name not in entry.preset]:
        values = {name: repr(getattr(given, name)) for name in selector.parameters}
        types = get_type_hints(owner)  # without the metadata of Annotated
        rows = [(f.name, _type_name(types[f.name]), values.get(f.name, _default(f))) for f in parameters]
        _print_table(console, "Parameters", rows)
    if kind == "model":
        console.print(f"  {_how_it_runs(registry, selector)}\n", markup=False)
    if entry.spec.reference:
        console.print(f"  Reference: {entry.spec.reference}", markup=False)


def _what_it_holds(registry: "Registry", selector: "Selector") -> str:
    """The numbers of train and test points in a file, or the reason why a run cannot use them."""
    import torch

    from influbench.engine.boundary import checked_data
    from influbench.engine.described import data_in_words
    from influbench.errors import InflubenchError

    try:
        loaded = registry.create("dataset", selector).load(0)
    except InflubenchError as error:
        return f"It cannot be loaded: {error}"
    try:
        data = checked_data(loaded, name=str(selector), dtype=torch.float32)
    except InflubenchError as error:
        return f"It cannot be trained on: {error}"
    return data_in_words(data)


def _how_it_runs(registry: "Registry", selector: "Selector") -> str:
    """The path that the model's replicas take, on small images or on flat inputs."""
    import torch

    from influbench.api import Data, Split
    from influbench.errors import UsageError
    from influbench.isolation import isolated
    from influbench.training.loop import Trainer
    from influbench.training.updates import update_rule

    try:
        model = registry.create("model", selector)
    except UsageError as error:
        return f"How it is trained in replicas depends on its parameters: {error}"
    for shape in ((1, 28, 28), (16,)):
        split = Split(torch.zeros(2, *shape), torch.tensor([0, 1]), torch.arange(2))
        data, device = Data(split, split, 2), torch.device("cpu")
        try:
            with isolated():
                trainer = Trainer(data, model, update_rule(model.recipe, registry), "neg_loss", torch.float32, device)
                paths = [f"{trainer.network.path(torch.device(device))} on {device}" for device in ("cpu", "cuda")]
        except Exception:  # somebody's module may raise anything on inputs that it is not made for
            continue
        return f"Replicas run: {', '.join(paths)} (inputs of shape {shape})."
    return "It could not be built on images or on flat inputs, so how its replicas run is unknown."


def _default(field: "Field[Any]") -> str:
    from dataclasses import MISSING

    if field.default_factory is not MISSING:
        return repr(field.default_factory())
    return "required" if field.default is MISSING else repr(field.default)


def _type_name(annotation: object) -> str:
    return annotation.__name__ if type(annotation) is type else str(annotation).replace("typing.", "")


def _print_table(console: "Console", title: str, rows: "list[tuple[str, str, str]]") -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(no_wrap=True, style="bold")
    table.add_column()
    table.add_column(style="dim", no_wrap=max((len(last) for *_, last in rows), default=0) <= _LONGEST_ON_ONE_LINE)
    for row in rows:
        first, *rest = map(Text, row)
        table.add_row(Text("  ") + first, *rest)
    console.print(Text(title, style="bold underline"))
    console.print(table)
    console.print()


def _paragraphs(text: str) -> str:
    """A docstring without the line breaks inside its paragraphs and list items."""
    broken = text.replace("\n* ", "\n\n* ").replace("\n- ", "\n\n- ")
    whole = "\n\n".join(" ".join(paragraph.split()) for paragraph in broken.split("\n\n") if paragraph.strip())
    return whole.replace("\n\n* ", "\n* ").replace("\n\n- ", "\n- ")
