"""Training labels drawn at random, as in data that a network can only memorize."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from influbench.api import Data
from influbench.errors import DataError
from influbench.seeds import derive, hash_integers


@dataclass(frozen=True, eq=False)
class RandomLabels:
    """The train labels that were drawn, and those that differ from the true label (one draw in n_classes does not)."""

    drawn: Tensor  # (n_train,) bool
    wrong: Tensor  # (n_train,) bool


def draw_labels(data: Data, *, fraction: float, seed: int) -> tuple[Data, RandomLabels]:
    """The data with `fraction` of its train labels drawn uniformly over all classes; test labels stay.

    An example's draw comes from its id. Exactly round(fraction n_train) labels are drawn.
    """
    n_train = len(data.train)
    if fraction == 0:
        return data, RandomLabels(torch.zeros(n_train, dtype=torch.bool), torch.zeros(n_train, dtype=torch.bool))
    if data.n_classes is None:
        raise DataError(f"random_labels = {fraction} needs classes, and this data set is for regression")
    ids = data.train.ids
    drawn = torch.zeros(n_train, dtype=torch.bool)
    drawn[hash_integers(derive(seed, "chosen"), ids).argsort()[: round(fraction * n_train)]] = True
    random = hash_integers(derive(seed, "label"), ids).remainder(data.n_classes)
    labels = torch.where(drawn, random, data.train.labels)
    noisy = replace(data, train=replace(data.train, labels=labels))
    return noisy, RandomLabels(drawn, labels != data.train.labels)
