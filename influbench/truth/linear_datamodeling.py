"""A second truth: what happens when the network is trained on a random subset.

The linear datamodeling score (Park et al. 2023, arXiv 2303.14186) asks how well the sum of influence over a subset
ranks the measures of networks trained on such subsets. They are a bank of role "truth": no estimator is given it.
"""

from influbench.banks import SubsetBank
from influbench.seeds import derive
from influbench.training.loop import Trainer


def subset_truth(trainer: Trainer, root_seed: int, *, n_models: int, ratio: float) -> SubsetBank:
    """The bank of networks trained on random subsets that estimators are judged by."""
    return SubsetBank(trainer, derive(root_seed, "bank", "truth"), n_models=n_models, ratio=ratio)
