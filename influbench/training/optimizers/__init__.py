"""Optimizers. Register a new one in the list below."""

from influbench.api import Spec, hookimpl


@hookimpl
def influbench_optimizers() -> list[Spec]:
    """The built-in optimizers."""
    return [
        Spec(
            "sgd",
            "influbench.training.optimizers.sgd:Sgd",
            "gradient descent, with the recipe's momentum if it has any",
        ),
        Spec(
            "adam",
            "influbench.training.optimizers.adam:Adam",
            "adaptive rates; weight decay belongs to the objective",
            "Kingma & Ba 2015, https://arxiv.org/abs/1412.6980",
        ),
        Spec(
            "adamw",
            "influbench.training.optimizers.adam:AdamW",
            "adaptive rates; weight decay is decoupled from the objective",
            "Loshchilov & Hutter 2019, https://arxiv.org/abs/1711.05101",
        ),
        Spec(
            "lion",
            "influbench.training.optimizers.lion:Lion",
            "steps of one length, along the signs of a moment",
            "Chen et al. 2023, https://arxiv.org/abs/2302.06675",
        ),
        Spec(
            "muon",
            "influbench.training.optimizers.muon:Muon",
            "orthogonalized momentum for matrices, plain momentum for vectors",
            "Jordan et al. 2024, https://kellerjordan.github.io/posts/muon",
        ),
    ]
