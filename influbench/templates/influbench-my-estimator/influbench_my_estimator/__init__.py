"""The estimator my_estimator for influbench. This file only registers it, and must be quick to import."""

from influbench import Spec, hookimpl


@hookimpl
def influbench_estimators() -> list[Spec]:
    """The plugins of this package."""
    return [
        Spec(
            "my_estimator",
            "influbench_my_estimator.estimator:MyEstimator",
            "products of the errors at the outputs: train points that err like the test point help it",
        ),
    ]
