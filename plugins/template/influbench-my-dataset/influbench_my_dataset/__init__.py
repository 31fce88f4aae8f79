"""The data set my_dataset for influbench. This file only registers it, and must be quick to import."""

from influbench import Spec, hookimpl


@hookimpl
def influbench_datasets() -> list[Spec]:
    """The plugins of this package."""
    return [
        Spec(
            "my_dataset",
            "influbench_my_dataset.dataset:MyDataset",
            "two interleaving spirals with noise, in 2 classes",
        ),
    ]
