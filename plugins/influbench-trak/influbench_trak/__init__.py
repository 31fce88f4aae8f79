"""TRAK by its authors' package, for influbench."""

from influbench.api import Spec, hookimpl


@hookimpl
def influbench_estimators() -> list[Spec]:
    """The estimator `traker`; it and traker are imported on first use."""
    return [
        Spec(
            "traker",
            "influbench_trak.estimator:Traker",
            "TRAK by its authors' package: linearized margins, gradients projected at random",
            "Park et al. 2023, arXiv 2303.14186",
        )
    ]
