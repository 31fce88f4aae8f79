"""Data sets. Register a new one in the list below."""

from influbench.api import Spec, hookimpl


@hookimpl
def influbench_datasets() -> list[Spec]:
    """The data sets that come with influbench."""
    return [
        Spec(
            "digits",
            "influbench.datasets.digits:Digits",
            "1,797 handwritten digits of 8 x 8 pixels, shipped with scikit-learn",
            "Alpaydin & Kaynak 1998, doi 10.24432/C50P49",
        ),
    ]
