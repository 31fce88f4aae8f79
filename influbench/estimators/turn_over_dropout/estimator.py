"""Turn-over dropout of Kobayashi et al. 2020, as an estimator."""

from dataclasses import dataclass

from influbench.api import Estimate, Estimator, Problem
from influbench.estimators.turn_over_dropout.masks import HashedMasks
from influbench.estimators.turn_over_dropout.scoring import influence_scores, memorization_scores
from influbench.seeds import derive


@dataclass(frozen=True)
class TurnOverDropout(Estimator):
    """Every example trains through its own random mask of units; the flipped mask is a network that never saw it.

    `influence[i, j]` and `memorization[i]` are the measure (of j, and `p_correct` of i itself) under i's mask minus
    that under its flipped mask, averaged over `n_masks` trainings with masks, initial parameters and batches of their
    own (Kobayashi et al. 2020, "Efficient estimation of influence of a training instance"; Liu, Lin, Jaggi 2021).
    Judged here against leave-one-out of the plain training, without masks. Assumes that what i taught the units it
    kept does not reach those it left out; shared biases and the masks of other examples let some of it through. Cost:
    `n_masks` trainings, for all train and test points together.
    """

    n_masks: int = 64
    p: float = 0.5

    def __post_init__(self) -> None:
        if self.n_masks < 1:
            raise ValueError(f"n_masks must be at least 1, got {self.n_masks}")
        if not 0 < self.p < 1:
            raise ValueError(f"p must be in (0, 1), got {self.p}")

    def unsupported(self, problem: Problem) -> str | None:
        """Needs a site to mask."""
        return None if problem.sites else "the model has no hidden units: there is nothing to mask"

    def estimate(self, problem: Problem) -> Estimate:
        """Influence, and memorization for classes, from one stack of masked trainings."""
        seeds = [derive(problem.seed, "masks", mask) for mask in range(self.n_masks)]
        masks = HashedMasks(seeds, problem.sites, self.p)
        runs = problem.train(replicates=range(self.n_masks), masks=masks)
        return Estimate(
            influence=influence_scores(problem, runs, masks),
            memorization=None if problem.data.n_classes is None else memorization_scores(problem, runs, masks),
        )
