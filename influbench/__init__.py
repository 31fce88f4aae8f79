"""influbench: how well do influence estimators predict what happens when a training example is left out?

The names of the plugin contract (`influbench.api`) are here, and `run` and `read` for Python and notebooks
(`influbench.notebook`), all imported on first use.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from influbench.api import (
        Bank,
        Crossed,
        Data,
        Dataset,
        Estimate,
        Estimator,
        Masks,
        Model,
        Optimizer,
        OptimizerState,
        Problem,
        Recipe,
        Runs,
        Schedule,
        Spec,
        Split,
        SplitMasks,
        hookimpl,
    )
    from influbench.notebook import Result, read, run

__all__ = [
    "Bank",
    "Crossed",
    "Data",
    "Dataset",
    "Estimate",
    "Estimator",
    "Masks",
    "Model",
    "Optimizer",
    "OptimizerState",
    "Problem",
    "Recipe",
    "Result",
    "Runs",
    "Schedule",
    "Spec",
    "Split",
    "SplitMasks",
    "hookimpl",
    "read",
    "run",
]
__version__ = "0.1.0"

_NOTEBOOK = ("Result", "read", "run")


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'influbench' has no attribute {name!r}")
    if name in _NOTEBOOK:
        from influbench import notebook

        return getattr(notebook, name)
    from influbench import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
