"""The model my_model for influbench. This file only registers: it must stay quick to import."""

from influbench import Spec, hookimpl


@hookimpl
def influbench_models() -> list[Spec]:
    """What this package offers."""
    return [
        Spec(
            "my_model",
            "influbench_my_model.model:MyModel",
            "a multilayer perceptron with one hidden layer and tanh",
        ),
    ]
