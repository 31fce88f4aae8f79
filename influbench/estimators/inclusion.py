"""Differences between networks trained with a point and networks trained without it, in the mean over subsets."""

from torch import Tensor

from influbench.errors import EstimateError


def with_minus_without(inside: Tensor, measured: Tensor, *, own: bool = False) -> Tensor:
    """Mean of `measured` over the networks trained with each point, minus the mean over the networks without it.

    `inside` (n_models, n_train) is 1 where a network was trained on the point; `measured` is (n_models, n_test), and
    the result is (n_train, n_test). With `own`, `measured` (n_models, n_train) is measured on the point itself, and the
    result is (n_train,). EstimateError if a point is in the training of every network or of none.
    """
    check_both_sides(inside)
    n_inside, n_models = inside.sum(0), len(inside)
    outside, n_outside = 1 - inside, n_models - n_inside
    if own:
        return (inside * measured).sum(0) / n_inside - (outside * measured).sum(0) / n_outside
    return inside.T @ measured / n_inside[:, None] - outside.T @ measured / n_outside[:, None]


def check_both_sides(inside: Tensor) -> None:
    """Raise EstimateError if a point is in all of the subsets `inside` (n_models, n_train) or in none."""
    n_inside, n_models = inside.sum(0), len(inside)
    if undefined := int(((n_inside == 0) | (n_inside == n_models)).sum()):
        raise EstimateError(
            f"{undefined} of {inside.shape[1]} train points are in all or in none of the {n_models} subsets; "
            "use more models"
        )
