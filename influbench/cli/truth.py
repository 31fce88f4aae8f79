"""`influbench truth`: the stored ground truths."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from influbench.store.truths import StoredTruth, Truths


@click.group("truth")
def truth_command() -> None:
    """List, show, share and check the stored ground truths."""


@truth_command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def list_truths(as_json: bool) -> None:
    """List the stored ground truths."""
    from influbench.report.numbers import size

    truths = _truths().all()
    if as_json:
        click.echo(json.dumps({"truths": [_record(truth) for truth in truths]}, indent=2))
        return
    for truth in truths:
        problem = truth.about.get("problem", "unknown problem")
        click.echo(f"{truth.key[:12]}  {truth.n_seeds:>3} seeds  {size(truth.n_bytes):>8}  {problem}")
    if not truths:
        click.echo("No ground truth is stored. `influbench run` computes one.")


@truth_command.command("show")
@click.argument("key")
def show_truth(key: str) -> None:
    """Show the problem and size of the ground truth whose key begins with KEY."""
    click.echo(json.dumps(_record(_truths().find(key)), indent=2))


@truth_command.command("export")
@click.argument("key")
@click.argument("file", type=click.Path(path_type=Path))
def export_truth(key: str, file: Path) -> None:
    """Write a ground truth to FILE, for another lab to import."""
    truths = _truths()
    truth = truths.find(key)
    truths.export(truth, file)
    click.echo(f"{truth.n_seeds} seeds of {truth.about.get('problem', truth.key)} are in {file}.")


@truth_command.command("import")
@click.argument("file", type=click.Path(path_type=Path))
def import_truth(file: Path) -> None:
    """Store the ground truth that `influbench truth export` wrote to FILE."""
    truths = _truths()
    key, n_new = truths.take(file)
    truth = truths.find(key)
    click.echo(f"{key[:12]}  {truth.about.get('problem', '')}: {n_new} of {len(truth.shards)} shards are new here.")


@truth_command.command("clear")
@click.argument("keys", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Delete every stored ground truth.")
@click.confirmation_option(prompt="Delete the named ground truths?")
def clear_truths(keys: tuple[str, ...], everything: bool) -> None:
    """Delete the ground truths whose keys begin with KEYS."""
    truths = _truths()
    if not keys and not everything:
        raise click.UsageError("name the keys to delete, or give --all")
    for truth in truths.all() if everything else [truths.find(key) for key in keys]:
        truths.remove(truth)
        click.echo(f"{truth.key[:12]} is deleted.")


@truth_command.command("verify")
@click.argument("keys", nargs=-1)
def verify_truths(keys: tuple[str, ...]) -> None:
    """Verify every shard of the named ground truths, or of all.

    A shard is whole if its checksum matches its content, it was computed under the name that it is stored under, and
    its values are finite. Exit code 1 if one is not.
    """
    truths = _truths()
    chosen = [truths.find(key) for key in keys] if keys else truths.all()
    damaged = [reason for truth in chosen for reason in truths.damaged(truth)]
    for reason in damaged:
        click.echo(reason)
    n_shards = sum(len(truth.shards) for truth in chosen)
    click.echo(f"{n_shards - len(damaged)} of {n_shards} shards are whole.")
    if damaged:
        raise click.exceptions.Exit(1)


def _truths() -> "Truths":
    from influbench.store.cache import default_cache
    from influbench.store.truths import Truths

    return Truths(default_cache())


def _record(truth: "StoredTruth") -> dict[str, object]:
    shards = {"n_seeds": truth.n_seeds, "n_shards": len(truth.shards), "bytes": truth.n_bytes}
    return {"key": truth.key, **truth.about, **shards}
