"""influbench: how well do influence estimators predict what happens when a training example is left out?

The names of the plugin contract (`influbench.api`) are here, and `run` and `read` for Python and notebooks
(`influbench.notebook`), all imported on first use.
"""

from typing import Any

__version__ = "0.1.0"

_CONTRACT = (
    "Bank",
    "Crossed",
    "Data",
    "Dataset",
    "Estimate",
    "Estimator",
    "Masks",
    "Model",
    "OptimizerState",
    "Problem",
    "Recipe",
    "Runs",
    "Spec",
    "Split",
    "SplitMasks",
    "hookimpl",
)
_NOTEBOOK = ("Result", "read", "run")


def __getattr__(name: str) -> Any:
    if name in _CONTRACT:
        from influbench import api

        return getattr(api, name)
    if name in _NOTEBOOK:
        from influbench import notebook

        return getattr(notebook, name)
    raise AttributeError(f"module 'influbench' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*_CONTRACT, *_NOTEBOOK, "__version__"])
