"""The judge my_judge for influbench. This file only registers: it must stay quick to import."""

from influbench import Spec, hookimpl


@hookimpl
def influbench_judges() -> list[Spec]:
    """What this package offers."""
    return [
        Spec(
            "my_judge",
            "influbench_my_judge.judge:MyJudge",
            "effects of leaving out on the mean test point: which train points are worth having",
        ),
    ]
