"""Models. Register a new one in the list below."""

from influbench.api import Spec, hookimpl


@hookimpl
def influbench_models() -> list[Spec]:
    """The models that come with influbench."""
    return [
        Spec("linear", "influbench.models.linear:Linear", "one linear layer: logistic or least-squares regression"),
        Spec("mlp", "influbench.models.mlp:Mlp", "a multilayer perceptron with ReLU"),
        Spec("cnn", "influbench.models.cnn:Cnn", "a small convolutional network, for images"),
        Spec(
            "resnet",
            "influbench.models.resnet:Resnet",
            "a small residual network with group norm, for images",
            "He et al. 2016, arXiv 1512.03385",
        ),
    ]
