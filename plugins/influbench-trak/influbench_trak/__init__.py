"""TRAK of its authors for influbench."""

from influbench.api import Spec, hookimpl


@hookimpl
def influbench_estimators() -> list[Spec]:
    """Imported when it is first used, and traker with it."""
    return [
        Spec(
            "traker",
            "influbench_trak.estimator:Traker",
            "TRAK by its authors' package: linearised margins, gradients projected at random",
            "Park et al. 2023, arXiv 2303.14186",
        )
    ]
