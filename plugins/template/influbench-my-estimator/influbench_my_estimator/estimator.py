"""Products of the errors at the outputs. Replace them with your own method."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from influbench import Estimate, Estimator, Problem, Split
from torch import Tensor

Function = Callable[[Tensor, Tensor], Tensor]  # of outputs and labels, one value for each example


@dataclass(frozen=True)
class MyEstimator(Estimator):
    """The effect of a gradient step on train point i on the measure of test point j, through the output biases only.

    Estimand: - dloss_i/doutputs . dmeasure_j/doutputs, the mean over `n_models` ordinary trainings. It is positive if
    both err alike, so that i helps j. It predicts influence only. Cost: `n_models` trainings.
    """

    n_models: int = 1

    draws = True  # it trains networks, so another seed gives other scores: a run makes several draws
    scores_duplicates_alike = True  # it depends on inputs and labels, not on ids

    def __post_init__(self) -> None:
        if self.n_models < 1:
            raise ValueError(f"n_models must be at least 1, got {self.n_models}")

    def estimate(self, problem: Problem) -> Estimate:
        """Influence, (n_train, n_test)."""
        runs = problem.train(replicates=range(self.n_models))
        train, test = problem.data.train, problem.data.test
        influence = torch.zeros(len(train), len(test))
        for run in range(self.n_models):
            parameters = {name: stacked[run] for name, stacked in runs.parameters().items()}
            of_loss = self._slopes(problem, parameters, train, problem.loss)
            of_measure = self._slopes(problem, parameters, test, problem.measured)
            influence -= (of_loss @ of_measure.T).cpu() / self.n_models
        return Estimate(influence=influence)

    def _slopes(self, problem: Problem, parameters: dict[str, Tensor], split: Split, of: Function) -> Tensor:
        """The derivatives of a loss or a measure with respect to the outputs, (n, n_outputs)."""
        outputs = problem.forward(parameters, split.inputs).detach().requires_grad_()
        values = of(outputs, split.labels)
        (slopes,) = torch.autograd.grad(values.sum(), outputs)
        return slopes
