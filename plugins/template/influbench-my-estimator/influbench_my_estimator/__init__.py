"""The estimator my_estimator for influbench. This file only registers: it must stay quick to import."""

from influbench import Spec, hookimpl


@hookimpl
def influbench_estimators() -> list[Spec]:
    """What this package offers."""
    return [
        Spec(
            "my_estimator",
            "influbench_my_estimator.estimator:MyEstimator",
            "products of the errors at the outputs: which train points err as the test point does",
        ),
    ]
