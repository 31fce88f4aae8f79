"""Labels drawn from a network's predictions: with them, the mean squared gradient is the true Fisher matrix."""

import torch
from influbench.seeds import hash_integers, uniform
from torch import Tensor


def drawn_labels(outputs: Tensor, ids: Tensor, *, n_classes: int | None, n_draws: int, seed: int) -> Tensor:
    """Labels (n, n_draws) of examples with these outputs (n, n_outputs), each decided by seed, id and draw.

    Classes follow the softmax of the outputs. Float labels are normal with variance 1/2: their squared error is then
    a negative log-likelihood, so the Fisher matrix is the Gauss-Newton matrix of that loss.
    """
    drawn = uniform(hash_integers(seed, ids[:, None], torch.arange(n_draws, device=ids.device)))
    if n_classes is None:
        normal: Tensor = outputs.reshape(len(ids), 1) + torch.special.ndtri(drawn) * 0.5**0.5
        return normal
    upper = outputs.double().softmax(-1).cumsum(-1)[:, None, :-1]  # (n, 1, n_classes - 1) ends of the first intervals
    labels: Tensor = (upper < drawn[..., None]).sum(-1)
    return labels
