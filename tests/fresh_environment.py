"""An environment of its own for packages that a test installs."""

import os
import subprocess
import sysconfig
import venv
from collections.abc import Callable
from pathlib import Path

Run = Callable[..., str]


def fresh_environment(folder: Path, cache: Path, *, columns: int = 140) -> Run:
    """Runs Python modules in a new environment below the folder; returns what they print to standard output.

    What this environment has installed is visible there, and nothing is installed into this one.
    """
    environment = folder / "environment"
    venv.create(environment, with_pip=True)
    paths = sysconfig.get_paths(vars={"base": str(environment), "platbase": str(environment)})
    here = sysconfig.get_paths()["purelib"]
    (Path(paths["purelib"]) / "seen.pth").write_text(f"import site; site.addsitedir({here!r})\n")

    def run(*words: object, columns: int = columns) -> str:
        command = [str(environment / "bin" / "python"), *map(str, words)]
        ran = subprocess.run(
            command,
            cwd=folder,
            check=False,
            capture_output=True,
            text=True,
            timeout=300,
            env={**os.environ, "INFLUBENCH_CACHE": str(cache), "COLUMNS": str(columns)},
        )
        assert ran.returncode == 0, f"{command}\n{ran.stdout}\n{ran.stderr}"
        return ran.stdout

    return run


def install(run: Run, package: Path) -> None:
    """Install a package from its folder, without any index."""
    run("-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-build-isolation", package)
