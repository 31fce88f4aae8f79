"""Models. Register a new one in the list below."""

from influbench.api import Spec, hookimpl


@hookimpl
def influbench_models() -> list[Spec]:
    """The models that come with influbench."""
    return [
        Spec("linear", "influbench.models.linear:Linear", "one linear layer: logistic or least-squares regression"),
        Spec("mlp", "influbench.models.mlp:Mlp", "a multilayer perceptron with ReLU"),
    ]
