"""dattri's TRAK."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from influbench import Estimate, Estimator, Problem
from influbench.errors import EstimateError
from torch import Tensor
from torch.overrides import TorchFunctionMode

from influbench_dattri.boundary import (
    Handover,
    dattri_runs,
    examples_at_a_time,
    handover,
    n_trained,
    of_one,
    out_of_reach,
    projection,
)
from influbench_dattri.values import at_least, not_negative


@dataclass(frozen=True)
class Trak(Estimator):
    """dattri's TRAKAttributor: attribution after linearizing the margin and projecting its gradients at random.

    With phi(z) the gradient of the margin of z, projected to `n_projected` numbers, Phi the matrix of the train points'
    projected gradients in rows, and Q the train points' 1 - p_correct,
    `influence[i, j] = mean over networks of phi(z_j)' (Phi' Phi + damping)^-1 phi(z_i), times mean of Q_i` (Park et al.
    2023, "TRAK: attributing model behavior at scale", equation 17 without the soft threshold). Positive means that i
    helps. It predicts the margin, and the same scores are returned for every measure, as in influbench's own `trak`.
    The networks are trained on all train points. `damping` is in dattri's units: its gradients are first divided by the
    root of the number of parameters. Cost: `n_models` trainings, and gradients of every example, which count in seconds
    only.
    """

    scores_duplicates_alike = True

    n_models: int = 4
    n_projected: int = 128
    damping: float = 0.0

    def __post_init__(self) -> None:
        at_least(1, n_models=self.n_models, n_projected=self.n_projected)
        not_negative(damping=self.damping)

    def unsupported(self, problem: Problem) -> str | None:
        """The reason if classes, enough parameters or, without damping, enough train points are missing."""
        if problem.data.n_classes is None:
            return "regression does not have a margin to linearize"
        n_parameters = n_trained(problem)
        if self.n_projected > n_parameters:
            return f"a projection to {self.n_projected} numbers is wider than the {n_parameters} parameters"
        if self.n_projected > len(problem.data.train) and not self.damping:
            return (
                f"a projection to {self.n_projected} numbers needs as many train points, there are "
                f"{len(problem.data.train)}; set damping above 0 or n_projected lower"
            )
        return out_of_reach(problem)

    def estimate(self, problem: Problem) -> Estimate:
        """Influence only."""
        stacked = problem.train(replicates=range(self.n_models)).parameters()
        networks = [{name: p[k] for name, p in stacked.items()} for k in range(self.n_models)]
        at_a_time = examples_at_a_time(n_trained(problem))
        with dattri_runs(problem, problem.dtype):
            given = handover(problem, networks, problem.dtype)
            attributor = self._attributor(given)
            with _Kernels() as kernels:
                attributor.cache(given.loader(given.train, batch_size=at_a_time))
            self._check_rank(kernels.found)
            influence = attributor.attribute(given.loader(given.test, batch_size=at_a_time))
        return Estimate(given.returned(influence, otherwise="set damping above 0 or n_projected lower"))

    def _attributor(self, given: Handover) -> Any:
        from dattri.algorithm import TRAKAttributor

        margin, p_correct = of_one(given.negative("margin")), of_one(given.negative("p_correct"))
        attributor = TRAKAttributor(
            task=given.task(margin, margin),
            correct_probability_func=lambda parameters, example: -p_correct(parameters, example),
            regularization=self.damping,
        )
        attributor.projector_kwargs = projection(given.problem, self.n_projected)
        return attributor

    def _check_rank(self, kernels: Sequence[Tensor]) -> None:
        """Raise EstimateError if a kernel is singular up to rounding, which dattri does not check."""
        assert len(kernels) == self.n_models
        if any(torch.linalg.matrix_rank(kernel, hermitian=True) < self.n_projected for kernel in kernels):
            raise EstimateError(
                f"projected gradients span fewer than {self.n_projected} directions; set damping above 0 or "
                "n_projected lower"
            )


class _Kernels(TorchFunctionMode):
    """A context that records the matrices of linear solves, because dattri does not keep them."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Tensor] = []

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the result of the function."""
        if function is torch.linalg.solve:
            self.found.append(args[0])
        return function(*args, **(kwargs or {}))
