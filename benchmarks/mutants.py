"""The share of mutants that tests notice, by module, and the mutants that no test notices.

    mutmut run; python benchmarks/mutants.py [-o FILE]          (`make mutants` runs both)

A mutant is the code with one small change: `+` for `-`, `<` for `<=`, 1 more, None for an argument. `[tool.mutmut]` of
pyproject.toml says which modules are changed and which tests are run; mutmut writes its results to `mutants/`, and this
script summarizes them. A mutant that runs into an endless loop counts as noticed. The exit code is 1 if the share is
below .9.
"""

import json
import sys
from collections import Counter
from collections.abc import Iterator
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


def outcomes() -> Iterator[tuple[str, str, str]]:
    """Path, name and status of all mutants that have been tried."""
    for meta in sorted(FOLDER.glob("influbench/**/*.py.meta")):
        path = str(meta.relative_to(FOLDER)).removesuffix(".meta")
        for name, code in json.loads(meta.read_text())["exit_code_by_key"].items():
            if code is not None:
                yield path, name, status_by_exit_code[code]


def change(path: str, name: str) -> dict[str, str]:
    """The function that a mutant changes, and the lines that it removes and adds."""
    lines = get_diff_for_mutant(name, path=Path(path)).splitlines()[3:]
    function = name.rpartition(".")[2].partition("__mutmut")[0].removeprefix("x_").removeprefix("xǁ").replace("ǁ", ".")
    return {
        "path": path,
        "function": function,
        "before": "\n".join(line[1:].strip() for line in lines if line.startswith("-")),
        "after": "\n".join(line[1:].strip() for line in lines if line.startswith("+")),
    }


def share(counted: Counter[str]) -> float:
    """The share of the mutants that tests notice."""
    return sum(counted[status] for status in NOTICED) / max(1, counted.total())


@click.command(help=__doc__, context_settings={"max_content_width": 120})
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write the JSON to this file.")
def mutants(output: Path | None) -> None:
    """Summarize the last run of mutmut."""
    by_path: dict[str, Counter[str]] = {}
    unnoticed = []
    for path, name, status in outcomes():
        by_path.setdefault(path, Counter())[status] += 1
        if status not in NOTICED:
            unnoticed.append({**change(path, name), "status": status})
    whole = sum(by_path.values(), Counter[str]())
    for path, counted in {**by_path, "all": whole}.items():
        click.echo(f"{share(counted):7.3f}  {counted.total():5}  {path}")
    if output is not None:
        found = {
            "environment": {**environment(), "mutmut": version("mutmut"), "command": "make mutants"},
            "score": share(whole),
            "n_mutants": whole.total(),
            "modules": {path: {"score": share(of), "n_mutants": of.total(), **of} for path, of in by_path.items()},
            "unnoticed": unnoticed,
        }
        write_bytes(output, f"{json.dumps(found, indent=2)}\n".encode())
    sys.exit(share(whole) < WANTED)


if __name__ == "__main__":
    mutants()
