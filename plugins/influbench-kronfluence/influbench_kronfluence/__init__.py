"""Makes kronfluence's influence functions available to influbench. Nothing of kronfluence is imported here."""

from influbench import Spec, hookimpl


@hookimpl
def influbench_estimators() -> list[Spec]:
    """One estimator, with kronfluence's four strategies."""
    return [
        Spec(
            "kronfluence",
            "influbench_kronfluence.estimator:Kronfluence",
            "influence functions by EK-FAC, K-FAC, a diagonal or no curvature, as kronfluence computes them",
            "Grosse et al. 2023, arXiv 2308.03296; George et al. 2018, arXiv 1806.03884; "
            "Martens & Grosse 2015, arXiv 1503.05671",
        )
    ]
