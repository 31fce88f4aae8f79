"""The judge my_judge for influbench. This file only registers it, and must be quick to import."""

from influbench import Spec, hookimpl


@hookimpl
def influbench_judges() -> list[Spec]:
    """The plugins of this package."""
    return [
        Spec(
            "my_judge",
            "influbench_my_judge.judge:MyJudge",
            "leave-one-out effects on the mean test point: which train points are worth having",
        ),
    ]
