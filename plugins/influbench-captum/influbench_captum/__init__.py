"""Captum's estimators for influbench."""

from influbench.api import Spec, hookimpl


@hookimpl
def influbench_estimators() -> list[Spec]:
    """Captum's estimators; they and captum are imported on first use."""
    return [
        Spec(
            "captum_tracincp",
            "influbench_captum.tracincp:CaptumTracInCP",
            "captum: inner products of gradients, summed over checkpoints",
            "Pruthi et al. 2020, arXiv 2002.08484",
        ),
        Spec(
            "captum_arnoldi",
            "influbench_captum.arnoldi:CaptumArnoldi",
            "captum: influence functions with a low-rank inverse of the Hessian",
            "Schioppa et al. 2022, arXiv 2112.03052",
        ),
    ]
