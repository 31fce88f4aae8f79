"""Schedules of the learning rate. Register a new one in the list below."""

from influbench.api import Spec, hookimpl


@hookimpl
def influbench_schedules() -> list[Spec]:
    """The built-in schedules."""
    return [
        Spec("constant", "influbench.training.schedules.constant:Constant", "the full learning rate at every step"),
        Spec(
            "cosine",
            "influbench.training.schedules.cosine:Cosine",
            "from the full learning rate towards 0 along half a cosine",
            "Loshchilov & Hutter 2017, https://arxiv.org/abs/1608.03983",
        ),
    ]
