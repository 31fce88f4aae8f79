"""What this package registers."""

from influbench import Spec, hookimpl


@hookimpl
def influbench_judges() -> list[Spec]:
    return [Spec("mean_effect", "influbench_sockets.judge:MeanEffect", "effects on the mean test point")]


@hookimpl
def influbench_studies() -> list[Spec]:
    return [Spec("helpers", "influbench_sockets.study:Helpers", "how many train points help")]


@hookimpl
def influbench_optimizers() -> list[Spec]:
    return [Spec("plain", "influbench_sockets.optimizer:Plain", "gradient descent without momentum")]


@hookimpl
def influbench_schedules() -> list[Spec]:
    return [Spec("linear", "influbench_sockets.schedule:Linear", "from the full rate down to a share of it")]


@hookimpl
def influbench_executors() -> list[Spec]:
    return [Spec("backwards", "influbench_sockets.executor:Backwards", "this process, the last piece first")]
