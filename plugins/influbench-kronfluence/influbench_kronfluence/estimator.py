"""kronfluence's influence functions as an estimator of influbench."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Literal, get_args

import torch
from influbench import Estimate, Estimator, Problem
from influbench.seeds import derive
from torch import Tensor

from influbench_kronfluence.reasons import why_not

Strategy = Literal["ekfac", "kfac", "diagonal", "identity"]
Labels = Literal["drawn", "given"]


@dataclass(frozen=True)
class Kronfluence(Estimator):
    """First-order response of the optimum to the weight of i, through a curvature that kronfluence approximates.

    `influence[i, j] = - 1/n <grad measure_j, (F + damping)^-1 grad loss_i>` predicts the measure of j with i minus
    without it, for leaving i out of the mean loss (Koh & Liang 2017, eq. 2, over n; Grosse et al. 2023);
    `memorization[i]` is the same for `p_correct` of i itself. F approximates the Fisher matrix at the end of training,
    with one block for each layer.

    Let a be the inputs of a layer and g the gradient by its outputs. `strategy` `kfac` uses E[g g^T] (x) E[a a^T] for
    the block (Martens & Grosse 2015); `ekfac` uses the eigenvectors of these two, with the exact second moments of the
    gradient along them (George et al. 2018); `diagonal` uses the mean squared gradient of each parameter; `identity`
    uses no curvature, which gives grad_dot over n. In a convolution, E is a mean over examples and positions, so its
    `kfac` lacks the factor of the number of positions (Grosse & Martens 2016).

    Gradients of F are computed at labels `drawn` from the network's predictions, `n_draws` for each train point and
    factor, or at the `given` labels (the empirical Fisher). `damping` is a number, to which the recipe's weight decay
    is added (except with `adamw`, whose decay is not part of the objective), or kronfluence's `heuristic`: in each
    layer a tenth of the mean eigenvalue, instead of both.

    Assumes that training reached a unique optimum. Computes in float64. Cost: `n_runs` trainings, whose scores are
    averaged. In addition, in seconds only: three or four passes over the train points, one pass for each batch of test
    points, and a gradient for each test point.
    """

    scores_duplicates_alike = True

    strategy: Strategy = "ekfac"
    damping: float | Literal["heuristic"] = "heuristic"
    labels: Labels = "drawn"
    n_draws: int = 1
    n_runs: int = 1

    def __post_init__(self) -> None:
        for name, value, known in (
            ("strategy", self.strategy, get_args(Strategy)),
            ("labels", self.labels, get_args(Labels)),
        ):
            if value not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}")
        if isinstance(self.damping, str):
            if self.damping != "heuristic":
                raise ValueError(f"damping must be a number or heuristic, got {self.damping!r}")
        elif not 0 < self.damping < inf:
            raise ValueError(f"damping must be above 0 and finite, got {self.damping}")
        for name, count in (("n_draws", self.n_draws), ("n_runs", self.n_runs)):
            if count < 1:
                raise ValueError(f"{name} must be at least 1, got {count}")

    def unsupported(self, problem: Problem) -> str | None:
        """The reason if kronfluence is missing or does not support layer or decay, or labels cannot be drawn."""
        if problem.decay_in_objective and not problem.recipe.decay_norms_and_biases:
            return "its curvature has one weight decay for all parameters, and the recipe leaves out norms and biases"
        return why_not(problem, draws=self.strategy != "identity" and self.labels == "drawn")

    def estimate(self, problem: Problem) -> Estimate:
        """Influence, and memorization for classes."""
        stacked = problem.train(replicates=range(self.n_runs)).parameters()
        of_runs = [self._of_run(problem, {name: p[k] for name, p in stacked.items()}, k) for k in range(self.n_runs)]
        influence, memorization = (_mean(scores) for scores in zip(*of_runs, strict=True))
        return Estimate(influence, memorization)

    def _of_run(self, problem: Problem, parameters: Mapping[str, Tensor], run: int) -> tuple[Tensor, Tensor | None]:
        from influbench_kronfluence.analysis import Analysis, Curvature  # kronfluence is imported here, not before

        curvature = Curvature(
            self.strategy,
            damping=None if isinstance(self.damping, str) else self.damping + problem.decay_in_objective,
            n_draws=self.n_draws if self.labels == "drawn" else 0,
            seed=derive(problem.seed, "kronfluence", run),
        )
        with Analysis.of(problem, parameters, curvature) as analysis:
            # the only place where kronfluence's (test, train) without sign and 1/n becomes influbench's convention
            influence = -analysis.products().T / len(problem.data.train)
            if problem.data.n_classes is None:
                return influence, None
            return influence, -analysis.own_products("p_correct") / len(problem.data.train)


def _mean(of_runs: tuple[Tensor | None, ...]) -> Tensor | None:
    present = [scores for scores in of_runs if scores is not None]
    return torch.stack(present).mean(0) if present else None
