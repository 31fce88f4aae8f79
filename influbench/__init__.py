"""influbench: how well do influence estimators predict the effect of leaving out a training example?

This package exports the names of the plugin contract (`influbench.api`), and `run` and `read` for Python and notebooks
(`influbench.notebook`). All are imported on first use.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from influbench.api import (
        Bank,
        Column,
        Crossed,
        Data,
        Dataset,
        Estimate,
        Estimator,
        Executor,
        Judge,
        JudgedProblem,
        Masks,
        Model,
        Optimizer,
        OptimizerState,
        Option,
        Problem,
        Recipe,
        Runs,
        Schedule,
        Shard,
        Spec,
        Split,
        SplitMasks,
        Study,
        Subject,
        Truth,
        Work,
        hookimpl,
    )
    from influbench.notebook import Cache, Resources, Result, as_dataset, read, run

__all__ = [
    "Bank",
    "Cache",
    "Column",
    "Crossed",
    "Data",
    "Dataset",
    "Estimate",
    "Estimator",
    "Executor",
    "Judge",
    "JudgedProblem",
    "Masks",
    "Model",
    "Optimizer",
    "OptimizerState",
    "Option",
    "Problem",
    "Recipe",
    "Resources",
    "Result",
    "Runs",
    "Schedule",
    "Shard",
    "Spec",
    "Split",
    "SplitMasks",
    "Study",
    "Subject",
    "Truth",
    "Work",
    "as_dataset",
    "hookimpl",
    "read",
    "run",
]
__version__ = "0.1.0"

_NOTEBOOK = ("Cache", "Resources", "Result", "as_dataset", "read", "run")


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
