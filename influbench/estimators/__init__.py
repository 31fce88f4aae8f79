"""What is being judged. Each file names its paper; register a new one in the list below."""

from influbench.api import Spec, hookimpl


@hookimpl
def influbench_estimators() -> list[Spec]:
    """The estimators that come with influbench."""
    here = "influbench.estimators"
    return [
        Spec(
            "turn_over_dropout",
            f"{here}.turn_over_dropout.estimator:TurnOverDropout",
            "each example trains its own random half of the network; the other half never saw it",
            "Kobayashi et al. 2020, arXiv 2012.04207; Liu, Lin, Jaggi 2021, arXiv 2112.08798",
        ),
        Spec(
            "subset",
            f"{here}.subset:Subset",
            "networks trained on random subsets: mean with the example minus mean without",
            "Feldman & Zhang 2020, arXiv 2008.03703",
        ),
        Spec(
            "tracin",
            f"{here}.tracin:TracIn",
            "inner products of gradients, summed over checkpoints",
            "Pruthi et al. 2020, arXiv 2002.08484",
        ),
        Spec(
            "metagradient",
            f"{here}.metagradient:Metagradient",
            "exact derivative of the trained network's measure by each example's weight",
            "Maclaurin et al. 2015, arXiv 1502.03492; Hara et al. 2019, arXiv 1906.08473; "
            "Engstrom et al. 2025, arXiv 2503.13751",
        ),
        Spec(
            "leave_one_out",
            f"{here}.leave_one_out:LeaveOneOut",
            "the truth's own method with few other seeds: the yardstick of the table",
            "Koh & Liang 2017, arXiv 1703.04730",
        ),
        Spec("random", f"{here}.baselines:Random", "noise: what knowing nothing scores"),
        Spec(
            "train_loss",
            f"{here}.baselines:TrainLoss",
            "loss of each train point after one training: memorization only",
        ),
        Spec("same_label", f"{here}.baselines:SameLabel", "1 where train and test point share a label, else 0"),
    ]
