"""The model my_model for influbench. This file only registers it, and must be quick to import."""

from influbench import Spec, hookimpl


@hookimpl
def influbench_models() -> list[Spec]:
    """The plugins of this package."""
    return [
        Spec(
            "my_model",
            "influbench_my_model.model:MyModel",
            "a multilayer perceptron with one hidden layer and tanh",
        ),
    ]
