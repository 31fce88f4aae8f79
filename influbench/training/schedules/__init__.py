"""Schedules of the learning rate. Register a new one in the list below."""

from influbench.api import Spec, hookimpl


@hookimpl
def influbench_schedules() -> list[Spec]:
    """The built-in schedules."""
    return [
        Spec(
            "constant",
            "influbench.training.schedules.constant:Constant",
            "the full learning rate at every step, after a warmup if it has one",
        ),
        Spec(
            "cosine",
            "influbench.training.schedules.cosine:Cosine",
            "from the full learning rate towards 0 along half a cosine, after a warmup if it has one",
            "Loshchilov & Hutter 2017, https://arxiv.org/abs/1608.03983",
        ),
        Spec(
            "step",
            "influbench.training.schedules.step:Step",
            "the full learning rate, multiplied by a factor at some points of the training",
        ),
        Spec(
            "one_cycle",
            "influbench.training.schedules.one_cycle:OneCycle",
            "up to the full learning rate and down to nearly 0, each along half a cosine",
            "Smith & Topin 2018, https://arxiv.org/abs/1708.07120",
        ),
    ]
