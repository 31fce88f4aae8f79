"""Networks trained on random subsets of the train points."""

import torch
from torch import Tensor

from influbench.seeds import derive, hash_integers
from influbench.training.loop import Spend, Trainer
from influbench.training.runs import StackedRuns


def subsets(ids: Tensor, seed: int, *, n_models: int, ratio: float) -> Tensor:
    """Which points each model is trained on, (n_models, n_train) of 0 and 1; each subset has round(ratio n) points.

    A point's place in the draw comes from its id, whatever its row.
    """
    n_kept = round(ratio * len(ids))
    model_seeds = torch.tensor([derive(seed, "subset", model) for model in range(n_models)])[:, None]
    order = hash_integers(model_seeds, ids[None]).argsort(dim=1)
    return torch.zeros(n_models, len(ids)).scatter_(1, order[:, :n_kept], 1.0)


def train_bank(trainer: Trainer, seed: int, *, n_models: int, ratio: float, spend: Spend) -> StackedRuns:
    """`n_models` trainings with seeds of their own, each on its subset, with the kept normalizer."""
    weights = subsets(trainer.data.train.ids, seed, n_models=n_models, ratio=ratio)
    seeds = [derive(seed, "model", model) for model in range(n_models)]
    return trainer.train(seeds, weights, normalizer="kept", spend=spend)
