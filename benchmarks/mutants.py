"""The share of mutants that tests notice, module by module, and those that none does.

    mutmut run; python benchmarks/mutants.py [-o FILE]          (`make mutants` runs both)

A mutant is the code with one small change: `+` for `-`, `<` for `<=`, 1 more, None for an argument. `[tool.mutmut]` of
pyproject.toml says which modules are changed and which tests are run; mutmut writes its results to `mutants/`, and this
script summarizes them. A mutant that runs into an endless loop counts as noticed. A run that was stopped has mutants
that were not tried. They are counted apart, and `mutmut run` continues with them. The exit code is 1 if the share is
below .9.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import click
from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.stats import status_by_exit_code

from influbench.store.files import write_bytes
from influbench.store.run_directory import environment

WANTED = 0.9
FOLDER = Path("mutants")
NOTICED = ("killed", "timeout", "segfault")
NOT_TRIED = "not checked"


def outcomes() -> Iterator[tuple[str, str, str]]:
    """Path, name and status of all mutants."""
    for meta in sorted(FOLDER.glob("influbench/**/*.py.meta")):
        path = str(meta.relative_to(FOLDER)).removesuffix(".meta")
        for name, code in json.loads(meta.read_text())["exit_code_by_key"].items():
            yield path, name, status_by_exit_code[code]


def change(path: str, name: str) -> dict[str, str]:
    """The function that a mutant changes, and the lines that it takes out and puts in."""
    lines = get_diff_for_mutant(name, path=Path(path)).splitlines()[3:]
    function = name.rpartition(".")[2].partition("__mutmut")[0].removeprefix("x_").removeprefix("xǁ").replace("ǁ", ".")
    return {
        "path": path,
        "function": function,
        "before": "\n".join(line[1:].strip() for line in lines if line.startswith("-")),
        "after": "\n".join(line[1:].strip() for line in lines if line.startswith("+")),
    }


@dataclass(frozen=True)
class Score:
    """How many mutants there are, were tried, and were noticed by a test."""

    n_mutants: int
    n_tried: int
    n_noticed: int

    @property
    def share(self) -> float | None:
        """Of those that were tried."""
        return self.n_noticed / self.n_tried if self.n_tried else None


def score(statuses: Sequence[str]) -> Score:
    tried = [status for status in statuses if status != NOT_TRIED]
    return Score(len(statuses), len(tried), sum(status in NOTICED for status in tried))


@click.command(help=__doc__, context_settings={"max_content_width": 120})
@click.option("-o", "--output", type=click.Path(path_type=Path), help="A JSON file for what was found.")
def mutants(output: Path | None) -> None:
    """Sum up the last run of mutmut."""
    by_path: dict[str, list[str]] = {}
    unnoticed = []
    for path, name, status in outcomes():
        by_path.setdefault(path, []).append(status)
        if status not in (*NOTICED, NOT_TRIED):
            unnoticed.append({**change(path, name), "status": status})
    whole = score([status for statuses in by_path.values() for status in statuses])
    modules = {path: score(statuses) for path, statuses in by_path.items()}
    click.echo("  share  noticed   tried     all")
    for path, of in {**modules, "": whole}.items():
        shown = "      -" if of.share is None else f"{of.share:7.3f}"
        click.echo(f"{shown}  {of.n_noticed:7}  {of.n_tried:6}  {of.n_mutants:6}  {path}")
    if output is not None:
        found = {
            "environment": {**environment(), "mutmut": version("mutmut"), "command": "make mutants"},
            "whole": {"share": whole.share, **asdict(whole)},
            "modules": {path: {"share": of.share, **asdict(of)} for path, of in modules.items()},
            "unnoticed": unnoticed,
        }
        write_bytes(output, f"{json.dumps(found, indent=2)}\n".encode())
    sys.exit(whole.share is None or whole.share < WANTED)


if __name__ == "__main__":
    mutants()
