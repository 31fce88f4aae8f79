"""Turn-over dropout of Kobayashi et al. 2020, as an estimator."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from influbench.api import Estimate, Estimator, MeasureName, Problem
from influbench.estimators.inclusion import with_minus_without
from influbench.estimators.turn_over_dropout.masks import HashedMasks
from influbench.estimators.turn_over_dropout.scoring import influence_scores, memorization_scores
from influbench.estimators.turn_over_dropout.sealing import sealing
from influbench.seeds import derive


@dataclass(frozen=True)
class TurnOverDropout(Estimator):
    """Measure under an example's own random mask of units minus the measure under its flipped mask, which never saw it.

    `influence[i, j]` and `memorization[i]` are the measure (of j, and `p_correct` of i itself) under i's mask minus the
    measure under its flipped mask, averaged over `n_masks` trainings, each with its own masks, initial parameters and
    batches (Kobayashi et al. 2020, "Efficient estimation of influence of a training instance"; Liu, Lin, Jaggi 2021).
    It is judged here against leave-one-out effects of the plain training, without masks. Assumes that what the kept
    units learn from i does not reach the units left out; shared biases and the masks of other examples let some of it
    through. Cost: `n_masks` trainings, for all train and test points together.

    `p` is the probability that an example keeps a unit. The papers use 1/2; smaller values agreed better in influence
    within class wherever this was measured, but in memorization only sometimes. `sites` are the submodules whose
    outputs are masked; units are features of dense layers and channels of convolutions. The default is the last of the
    model's own sites, which are its activations, because masks after several layers made the two halves too unlike a
    whole network wherever this was measured; a `sealed` network has masks at all of them. `balanced` keeps the same
    number of units for every example. With `n_groups`, this many groups of examples share masks, which makes scoring
    cheaper and adds the influence of the group. `antithetic` trains in pairs with the same initial parameters and
    batches, in which every example's two halves are exchanged, so that differences between the halves themselves
    cancel; it needs p = 1/2 and an even number of masks. `n_checkpoints` averages over this many evenly spaced steps in
    the last half of training. `scored_by` replaces the problem's measure in influence scores. `sealed` freezes the
    biases and scales through which an example would reach its flipped half; see sealing.py.

    `units = "member"` gates whole networks: each of `n_masks` members trains on the examples whose mask keeps it, with
    its own loss and measure. This is the subset estimator (Feldman & Zhang 2020) for these inclusions; its cost
    is about `n_masks` times `p` trainings.
    """

    n_masks: int = 64
    p: float = 0.3
    sites: tuple[str, ...] = ()
    balanced: bool = False
    n_groups: int | None = None
    antithetic: bool = False
    n_checkpoints: int = 1
    scored_by: MeasureName | None = None
    sealed: bool = False
    units: Literal["unit", "member"] = "unit"

    def __post_init__(self) -> None:
        if self.n_masks < 1:
            raise ValueError(f"n_masks must be at least 1, got {self.n_masks}")
        if not 0 < self.p < 1:
            raise ValueError(f"p must be in (0, 1), got {self.p}")
        if self.n_groups is not None and self.n_groups < 2:
            raise ValueError(f"n_groups must be at least 2, got {self.n_groups}")
        if self.n_checkpoints < 1:
            raise ValueError(f"n_checkpoints must be at least 1, got {self.n_checkpoints}")
        if self.antithetic and (self.p != 0.5 or self.n_masks % 2):
            raise ValueError(f"antithetic needs p=0.5 and an even n_masks, got p={self.p} and n_masks={self.n_masks}")
        gates_units = self.antithetic or self.sealed or self.sites or self.n_checkpoints > 1
        if self.units == "member" and (gates_units or self.n_masks < 2):
            raise ValueError(
                "units=member needs at least 2 masks and does not work with sites, antithetic, sealed or n_checkpoints"
            )

    def unsupported(self, problem: Problem) -> str | None:
        """Needs a site to mask, and steps for its checkpoints."""
        if self.units == "member":
            return None
        if self.sites:
            problem.units(self.sites)  # raises ModelError if one does not exist
        elif not problem.sites:
            return "the model has no hidden units: there is nothing to mask"
        if self.n_checkpoints > problem.n_steps // 2 + 1:
            return f"n_checkpoints is {self.n_checkpoints}, but half of the training has {problem.n_steps // 2} steps"
        if self.sealed and problem.statistics:
            return "it cannot be sealed: batch norm has no masks, and through its statistics examples reach both halves"
        if self.sealed:
            leaks = sealing(problem, self.masks(problem), frozen=self.frozen(problem)).leaks
            if leaks:
                return f"it cannot be sealed: {', '.join(leaks)} would leak and cannot be frozen like a bias"
        return None

    def estimate(self, problem: Problem) -> Estimate:
        """Influence, and memorization for classes, from one stack of masked trainings."""
        if self.units == "member":
            return self._of_members(problem)
        parts = self._scored(problem, self._steps(problem))
        memorization = [part.memorization for part in parts if part.memorization is not None]
        return Estimate(
            influence=torch.stack([part.influence for part in parts if part.influence is not None]).mean(0),
            memorization=torch.stack(memorization).mean(0) if memorization else None,
            notes=parts[-1].notes,
        )

    def trace(self, problem: Problem, steps: Sequence[int]) -> list[Estimate] | None:
        """The scores after each of these steps of the same trainings; None for members and for averages over steps."""
        return None if self.units == "member" or self.n_checkpoints > 1 else self._scored(problem, steps)

    def masks(self, problem: Problem) -> HashedMasks:
        """The masks of every replica, in pairs if antithetic."""
        seeds = [derive(problem.seed, "masks", number) for number in self.replicates()]
        return self._drawn(seeds, self._units(problem))

    def _units(self, problem: Problem) -> dict[str, int]:
        """The masked sites with their numbers of units."""
        if self.sites:
            return dict(problem.units(self.sites))
        sites = dict(problem.sites)
        return sites if self.sealed else dict(list(sites.items())[-1:])

    def replicates(self) -> list[int]:
        """The replicate numbers of the replicas; the two of an antithetic pair share one."""
        return [mask // 2 if self.antithetic else mask for mask in range(self.n_masks)]

    def frozen(self, problem: Problem) -> list[str]:
        """The biases and scales that leak, if the network is to be sealed."""
        if not self.sealed:
            return []
        parameters = problem.initial_parameters(0)
        return [name for name in sealing(problem, self.masks(problem)).leaks if parameters[name].ndim < 2]

    def _drawn(self, seeds: list[int], units: dict[str, int]) -> HashedMasks:
        swapped = [mask % 2 == 1 for mask in range(self.n_masks)] if self.antithetic else []
        return HashedMasks(seeds, units, self.p, balanced=self.balanced, n_groups=self.n_groups, swapped=swapped)

    def _steps(self, problem: Problem) -> list[int]:
        """Evenly spaced steps in the last half of training, ending with the last step."""
        last, apart = problem.n_steps, problem.n_steps / 2 / self.n_checkpoints
        return [last - round(apart * k) for k in reversed(range(self.n_checkpoints))]

    def _scored(self, problem: Problem, steps: Sequence[int]) -> list[Estimate]:
        """The scores after each of these steps of one stack of trainings."""
        masks, frozen = self.masks(problem), self.frozen(problem)
        runs = problem.train(replicates=self.replicates(), masks=masks, checkpoints=steps, frozen=frozen)
        has_classes = problem.data.n_classes is not None
        note = sealing(problem, masks, frozen=frozen).in_words()
        return [
            Estimate(
                influence=influence_scores(problem, runs, masks, step=step, measure=self.scored_by),
                memorization=memorization_scores(problem, runs, masks, step=step) if has_classes else None,
                notes=(note,),
            )
            for step in steps
        ]

    def _of_members(self, problem: Problem) -> Estimate:
        """Scores from members, each trained on the examples that keep it; a batch's loss is divided by their number."""
        masks = self._drawn([derive(problem.seed, "masks", 0)], {"members": self.n_masks})
        inside = masks.bits("members", problem.data.train.ids, slice(0, 1))[0].T.double()  # (n_masks, n_train)
        runs = problem.train(inside, replicates=range(self.n_masks), normalizer="kept")
        influence = with_minus_without(inside, runs.measured(problem.data.test, measure=self.scored_by))
        if problem.data.n_classes is None:
            return Estimate(influence)
        return Estimate(influence, with_minus_without(inside, runs.p_correct(problem.data.train), own=True))
