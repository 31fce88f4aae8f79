"""dattri's influence functions: four ways to multiply by the inverse of the Hessian of the mean training loss.

All of them give `influence[i, j] = - 1/n <grad measure_j, (H + damping)^-1 grad loss_i>`, and memorization is the same
for `p_correct` of i itself. H is the full Hessian, including the Hessian of the recipe's weight decay. dattri gets the
train points as a single batch: from several, it would add up the inverses of the batches' Hessians.
"""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from inspect import getclosurevars
from math import inf
from typing import Any, ClassVar

import torch
from influbench import Estimate, Estimator, Problem, Split
from influbench.api import MeasureName
from torch import Tensor

from influbench_dattri.boundary import Handover, dattri_runs, handover, n_trained, out_of_reach
from influbench_dattri.values import at_least, not_negative, positive

_HELD = 2**28  # entries of per-example gradients: 2 GB
_TOGETHER = 1_500_000  # parameters times train points that an explicit Hessian takes through the network together: 5 GB
_PAIRS = 2**14  # directions times train points, where dattri accepts some directions at a time
_ROUNDING, _SMALLEST = 1e-6, 1e-300


@dataclass(frozen=True)
class InfluenceFunction(Estimator):
    """The common parts of the four. Computes in float64, because influences are small differences."""

    scores_duplicates_alike = True
    _not_finite: ClassVar[str]  # the possible cause, and a remedy
    _too_large: ClassVar[str] = "this is not a minimum; more damping would help"
    _in_batches: ClassVar[bool] = False  # True if scores do not depend on which points are multiplied together

    damping: float = 0.01
    n_runs: int = 1

    def __post_init__(self) -> None:
        not_negative(damping=self.damping)
        at_least(1, n_runs=self.n_runs)

    @abstractmethod
    def _attributor(self, task: Any, *, added: float) -> Any:
        """dattri's attributor, with `added` on the diagonal of the Hessian."""

    def unsupported(self, problem: Problem) -> str | None:
        """The reason if the train points' gradients do not fit in memory together, or if weight decay is uneven."""
        if problem.decay_in_objective and not problem.recipe.decay_norms_and_biases:
            return "its curvature has one weight decay for all parameters, and the recipe leaves out norms and biases"
        held = n_trained(problem) * len(problem.data.train)
        if held > _HELD:
            return f"dattri holds the gradients of all train points, {held:,} numbers, but the limit is {_HELD:,}"
        return out_of_reach(problem)

    def estimate(self, problem: Problem) -> Estimate:
        """Influence, and for classes memorization."""
        stacked = problem.train(replicates=range(self.n_runs)).parameters()
        networks = [{name: p[run] for name, p in stacked.items()} for run in range(self.n_runs)]
        with dattri_runs(problem, torch.float64):
            given = handover(problem, networks, torch.float64)
            influence, notes = self._influence(given)
            memorization = None if problem.data.n_classes is None else self._memorization(given)
        return Estimate(influence, memorization, notes=tuple(notes))

    def _influence(self, given: Handover) -> tuple[Tensor, list[str]]:
        attributor, notes = self._ready(given, given.problem.measure)
        size = self._directions(given) if self._in_batches else None
        scores = attributor.attribute(given.loader(given.train), given.loader(given.test, batch_size=size))
        found = given.returned(scores, otherwise=self._not_finite)
        if (times := float(found.abs().max()) / self._largest_allowed(given, attributor)) > 1 + _ROUNDING:
            allowed = "what a Hessian without negative eigenvalues allows"
            notes = [*notes, f"the largest score is {times:.2g} times {allowed}: {self._too_large}"]
        return found / len(given.train), notes

    def _memorization(self, given: Handover) -> Tensor:
        """Memorization, batch by batch: dattri's own loop over points with themselves works for a single batch only."""
        attributor, _ = self._ready(given, "p_correct")
        size = self._directions(given) if self._in_batches else len(given.train)
        batches = [given.train.rows(slice(start, start + size)) for start in range(0, len(given.train), size)]
        scores = torch.cat([attributor.self_attribute(given.loader(batch)) for batch in batches])
        return given.returned(scores, otherwise=self._not_finite) / len(given.train)

    def _ready(self, given: Handover, measure: MeasureName) -> tuple[Any, list[str]]:
        """The attributor of this measure with its cache of the train points, and notes on it."""
        task = given.task(given.loss, given.negative(measure))
        attributor = self._attributor(task, added=self._added(given.problem))
        attributor.cache(given.loader(given.train))
        return attributor, []

    def _directions(self, given: Handover) -> int:
        return max(1, _PAIRS // len(given.train))

    def _added(self, problem: Problem) -> float:
        """The damping plus the weight decay of the objective; the decay of adamw is not part of an objective."""
        return self.damping + problem.decay_in_objective

    def _largest_allowed(self, given: Handover, attributor: Any) -> float:
        """The bound on scores if no eigenvalue is negative: the lengths of two gradients over the added damping."""
        added = self._added(given.problem)
        if not added:
            return inf
        of_runs = [
            _longest(attributor.generate_train_rep, run, given.train)
            * _longest(attributor.generate_test_rep, run, given.test)
            for run in range(self.n_runs)
        ]
        return max(*of_runs, _SMALLEST) / added


def _longest(gradients: Callable[..., Tensor], run: int, split: Split) -> float:
    """The largest norm of the gradients of these points."""
    return float(gradients(ckpt_idx=run, data=(split.inputs[None], split.labels[None])).norm(dim=1).max())


@dataclass(frozen=True)
class Explicit(InfluenceFunction):
    """dattri's IFAttributorExplicit: the optimum's first-order response to the weight of i, by the whole Hessian.

    `influence[i, j] = - 1/n <grad measure_j, (H + damping)^-1 grad loss_i>` (Koh & Liang 2017, "Understanding black-box
    predictions via influence functions", equation 2, over n), `memorization[i]` is the same for `p_correct` of i
    itself. Positive means that i helps. H is the full Hessian of the mean training loss with the recipe's weight decay.
    It is negative along some directions if training did not end in a minimum; dattri solves with it unchanged, without
    a warning. Scores are averaged over `n_runs` trainings. Cost: these trainings; in addition, in seconds and memory
    only, two Hessians for each of them, of all parameters and train points at once.
    """

    _not_finite = "the damped Hessian is singular; set damping higher"

    def unsupported(self, problem: Problem) -> str | None:
        """The reason if the rows of the Hessian, which dattri computes at once, do not fit."""
        size = n_trained(problem) * len(problem.data.train)
        if size > _TOGETHER:
            return (
                f"dattri's explicit Hessian passes {size:,} pairs of parameter and train point through the network at "
                f"once, but the limit is {_TOGETHER:,}; use dattri_if_cg, which does not have this limit"
            )
        return super().unsupported(problem)

    def _attributor(self, task: Any, *, added: float) -> Any:
        from dattri.algorithm import IFAttributorExplicit

        return IFAttributorExplicit(task=task, regularization=added)


@dataclass(frozen=True)
class ConjugateGradients(InfluenceFunction):
    """dattri's IFAttributorCG: the same influence function, by `max_iterations` conjugate gradient steps.

    `influence[i, j] = - 1/n <grad measure_j, (H + damping)^-1 grad loss_i>` (Koh & Liang 2017, section 3), the inverse
    applied to the gradient of each test point's measure; `memorization[i]` is the same for `p_correct` of i itself.
    Positive means that i helps. H is the full Hessian of the mean training loss with the recipe's weight decay.
    dattri 0.3 always takes this number of steps: it does not stop at a small residual or at negative curvature, and
    divides 0 by 0 when it continues after an exact solution. Scores are averaged over `n_runs` trainings. Cost: these
    trainings; in addition, in seconds only, `max_iterations` products with H for every train and every test point.
    """

    _not_finite = (
        "conjugate gradients continued after an exact solution, or found no curvature; set damping higher or "
        "max_iterations lower"
    )
    _in_batches = True

    max_iterations: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(1, max_iterations=self.max_iterations)

    def _attributor(self, task: Any, *, added: float) -> Any:
        from dattri.algorithm import IFAttributorCG

        return IFAttributorCG(task=task, max_iter=self.max_iterations, regularization=added)


@dataclass(frozen=True)
class Arnoldi(InfluenceFunction):
    """dattri's IFAttributorArnoldi: the influence function within the span of the Hessian's largest eigenvalues.

    `influence[i, j] = - 1/n <G grad measure_j, G grad loss_i>`, where the rows of G are the `n_projected` eigenvectors
    of H + damping with the largest absolute eigenvalues, each divided by the root of its eigenvalue (Schioppa et al.
    2022, "Scaling up influence functions", equation 4). They are estimated in a Krylov space of `max_iterations` - 1
    dimensions from a random start. `memorization[i]` is the same for `p_correct` of i itself. Positive means that i
    helps. Directions outside of the span, where the inverse is largest, are left out. H is the full Hessian of the mean
    training loss with the recipe's weight decay.

    A negative eigenvalue does not have a real root: dattri 0.3 warns that it leaves these eigenvalues out, but keeps
    them and returns NaN. `positive_only` leaves them out; without it, the estimate fails. The space counts as exhausted
    when the vector that a new dimension adds is shorter than `tolerance`; if it is slightly longer, all further vectors
    are rounding error, which a note may report. Scores are averaged over `n_runs` trainings. Cost: these trainings; in
    addition, in seconds only, two times `max_iterations` products with H for each of them.
    """

    _not_finite = (
        "one of the n_projected largest eigenvalues of the damped Hessian is negative, and dattri divides by its root; "
        "set positive_only to true, or damping higher"
    )

    n_projected: int = 100
    max_iterations: int = 100
    tolerance: float = 1e-7
    positive_only: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(1, n_projected=self.n_projected)
        at_least(2, max_iterations=self.max_iterations)
        positive(tolerance=self.tolerance)

    def _attributor(self, task: Any, *, added: float) -> Any:
        from dattri.algorithm import IFAttributorArnoldi

        return IFAttributorArnoldi(
            task=task,
            proj_dim=self.n_projected,
            max_iter=self.max_iterations,
            regularization=added,
            tol=self.tolerance,
            seed=torch.initial_seed(),  # which is the problem's while dattri runs
        )

    def _ready(self, given: Handover, measure: MeasureName) -> tuple[Any, list[str]]:
        attributor, notes = super()._ready(given, measure)
        if self.positive_only:
            left_out = sum(_leave_out_negative(project) for project in attributor.arnoldi_projectors)
            cause = "this is not a minimum, or the iteration continued after it had exhausted its space"
            notes = [f"{left_out} of the eigenvalues found were not positive and are left out: {cause}"] * (
                left_out > 0
            )
        return attributor, notes


def _leave_out_negative(project: Callable[[Tensor], Tensor]) -> int:
    """Remove the eigenvalues of this projector that are not positive, as dattri's warning says; return their number."""
    projector = getclosurevars(project).nonlocals["projector"]
    projector.get_eigenspace()
    positive = projector.eigvals > projector.tol**2
    projector.eigvals, projector.eigvecs = projector.eigvals[positive], projector.eigvecs[positive]
    return int((~positive).sum())


@dataclass(frozen=True)
class Lissa(InfluenceFunction):
    """dattri's IFAttributorLiSSA: the influence function by a stochastic series.

    `influence[i, j] = - 1/n <grad measure_j, v_i>` in which, after `depth` steps of
    `v <- g + v - (H_batch + damping) v / scale` from v = g, v / scale approximates (H + damping)^-1 g, where g is the
    gradient of each test point's measure; it is averaged over `n_repeats` (Koh & Liang 2017, section 3, after Agarwal
    et al. 2017). `memorization[i]` is the same for `p_correct` of i itself. Positive means that i helps. H_batch is the
    full Hessian of the mean loss of `batch_size` train points drawn at random. The series diverges unless `scale` is
    above the largest eigenvalue of every batch, and damping above the size of the most negative eigenvalue; it does not
    converge in directions whose damped eigenvalue is far below `scale / depth`. Scores are averaged over `n_runs`
    trainings. Cost: these trainings; in addition, in seconds only, `depth * n_repeats` products with H_batch for every
    train and every test point.
    """

    exempt: ClassVar[Mapping[str, str]] = {"columns": "dattri draws batches for all test points of a call together"}
    scores_duplicates_alike = False  # each train point's memorization has its own batches
    _not_finite = "the series diverged; set scale or damping higher"
    _too_large = "the series diverged; a larger scale or more damping would help"

    depth: int = 5000
    scale: float = 50.0
    batch_size: int = 1
    n_repeats: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(1, depth=self.depth, batch_size=self.batch_size, n_repeats=self.n_repeats)
        positive(scale=self.scale)

    def _attributor(self, task: Any, *, added: float) -> Any:
        from dattri.algorithm import IFAttributorLiSSA

        return IFAttributorLiSSA(
            task=task,
            batch_size=self.batch_size,
            num_repeat=self.n_repeats,
            recursion_depth=self.depth,
            damping=added / self.scale,  # dattri adds its damping after it has divided the Hessian
            scaling=self.scale,
        )
