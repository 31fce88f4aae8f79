"""Judges, which estimates are compared with. Each judge is a file; register a new one in the list below."""

from influbench.api import Spec, hookimpl


@hookimpl
def influbench_judges() -> list[Spec]:
    """The judges that come with influbench."""
    return [
        Spec(
            "leave_one_out",
            "influbench.judges.leave_one_out:LeaveOneOut",
            "retraining without each example, over several seeds: influence and memorization",
            "Feldman & Zhang 2020, arXiv 2008.03703",
        ),
        Spec(
            "expected_rank",
            "influbench.judges.expected_rank:ExpectedRank",
            "the same retraining: the rank that a train point usually has",
        ),
        Spec(
            "spread",
            "influbench.judges.spread:Spread",
            "the same retraining: variance over runs, and probability of a positive effect",
        ),
        Spec(
            "this_run",
            "influbench.judges.this_run:ThisRun",
            "the same retraining: the effects of one run, which is handed to the estimators",
            "Ilyas & Engstrom 2025, arXiv 2504.16430",
        ),
        Spec(
            "subsets",
            "influbench.judges.subsets:Subsets",
            "training on random subsets: the linear datamodeling score (LDS)",
            "Park et al. 2023, arXiv 2303.14186",
        ),
        Spec(
            "wrong_labels",
            "influbench.judges.wrong_labels:WrongLabels",
            "train labels that are known to be wrong, which memorization scores should find",
        ),
    ]
