"""Kronfluence's influence functions for influbench. This module does not import kronfluence."""

from influbench import Spec, hookimpl


@hookimpl
def influbench_estimators() -> list[Spec]:
    """The estimator `kronfluence`, with the four strategies of kronfluence."""
    return [
        Spec(
            "kronfluence",
            "influbench_kronfluence.estimator:Kronfluence",
            "influence functions by EK-FAC, K-FAC, a diagonal or no curvature, as kronfluence computes them",
            "Grosse et al. 2023, arXiv 2308.03296; George et al. 2018, arXiv 1806.03884; "
            "Martens & Grosse 2015, arXiv 1503.05671",
        )
    ]
