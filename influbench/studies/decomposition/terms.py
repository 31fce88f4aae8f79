"""The terms that the scores of turn-over dropout are made of.

Let f_D be the masked training on all examples, f_D-i the same training without i (with the same initial parameters,
batches and masks of the other examples), m_i the mask of i, and 1 - m_i its complement. Measured on test point j:

    score      = measure(f_D, m_i) - measure(f_D, 1 - m_i)  =  signal + mask noise + leakage
    signal     = measure(f_D, m_i) - measure(f_D-i, m_i)          leave-one-out of the masked training, under the mask
    mask noise = measure(f_D-i, m_i) - measure(f_D-i, 1 - m_i)    difference of two halves, neither of which saw i
    leakage    = measure(f_D-i, 1 - m_i) - measure(f_D, 1 - m_i)  what i taught the half that it does not train

Each term is measured by leaving i out of the masked training; the terms add up to the score. The same retrainings,
measured through the whole network without a mask, give the leave-one-out effect of a network trained with masks. So
scores can be compared with three leave-one-out effects: of the masked training under the mask (the signal), of the
masked training through the whole network, and of the plain training. The first two share the randomness of their
trainings with the scores, which would look like agreement; so the scores of one half of the masks are compared with
the effects of the other half.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from math import sqrt

import torch
from torch import Tensor

from influbench.api import Masks, Problem, Runs, Split
from influbench.estimators.turn_over_dropout.estimator import TurnOverDropout
from influbench.estimators.turn_over_dropout.masks import HashedMasks
from influbench.results import UNKNOWN, Statistic
from influbench.statistics.correlation import Block, mean_over_columns, spearman
from influbench.statistics.estimation import Estimation, mean_estimation
from influbench.statistics.yardsticks import Yardstick, statistic
from influbench.studies.decomposition.record import Estimand, Term

BLOCK = 64  # train points left out in one stack
TERMS = ("signal", "mask noise", "leakage")
_MASKED_EFFECTS: dict[str, Callable[["Parts"], Tensor]] = {
    "masked training, under the mask": lambda parts: parts.signal,
    "masked training, whole network": lambda parts: parts.whole_network,
}


@dataclass(frozen=True, eq=False)
class Parts:
    """Means over masks, each (n_train, n_columns): the test points, or one column for memorization."""

    score: Tensor
    signal: Tensor
    mask_noise: Tensor
    leakage: Tensor
    whole_network: Tensor  # leave-one-out of the masked training, seen through the whole network

    def terms(self) -> dict[str, Tensor]:
        """The terms by name; their sum is the score."""
        return dict(zip(TERMS, (self.signal, self.mask_noise, self.leakage), strict=True))


@dataclass(frozen=True, eq=False)
class Halves:
    """Means over the first and over the second half of the masks; a single mask does not have a second half."""

    first: Parts
    second: Parts | None
    n_first: int
    n_second: int

    @property
    def all(self) -> Parts:
        """Means over all masks."""
        if self.second is None:
            return self.first
        share = self.n_second / (self.n_first + self.n_second)
        names = [field.name for field in fields(Parts)]
        return Parts(*(torch.lerp(getattr(self.first, name), getattr(self.second, name), share) for name in names))


@dataclass(frozen=True, eq=False)
class _Measured:
    """Measures of one network with i, or of one for each i without i: under i's mask, its complement, and no mask."""

    own: Tensor  # (n_train, n_columns)
    flipped: Tensor
    unmasked: Tensor

    def without(self, other: "_Measured") -> Parts:
        """The terms, from these measures with i and the other measures without i."""
        return Parts(
            score=self.own - self.flipped,
            signal=self.own - other.own,
            mask_noise=other.own - other.flipped,
            leakage=other.flipped - self.flipped,
            whole_network=self.unmasked - other.unmasked,
        )


@dataclass(frozen=True, eq=False)
class _InEveryReplica:
    """The masks of one training, used in all replicas of a stack."""

    masks: Masks

    @property
    def sites(self) -> Sequence[str]:
        return self.masks.sites

    def __call__(self, site: str, ids: Tensor, replicas: slice, *, step: int) -> Tensor:
        if ids.ndim == 1:
            return self.masks(site, ids, slice(0, 1), step=step).expand(replicas.stop - replicas.start, -1, -1)
        return torch.cat([self.masks(site, of_replica, slice(0, 1), step=step) for of_replica in ids])


@dataclass(frozen=True, eq=False)
class _OfOwner:
    """The masks of owners: in replica r, every example goes through the mask of owner r."""

    masks: Masks
    owners: Tensor  # (n_replicas,) ids

    @property
    def sites(self) -> Sequence[str]:
        return self.masks.sites

    def __call__(self, site: str, ids: Tensor, replicas: slice, *, step: int) -> Tensor:
        of_owners = self.masks(site, self.owners[replicas], slice(0, 1), step=step)[0]  # (n_replicas, n_units)
        return of_owners[:, None].expand(-1, ids.shape[-1], -1)


def of_mask(problem: Problem, estimator: TurnOverDropout, number: int) -> tuple[Parts, Parts | None]:
    """Influence and memorization (None for regression) by one of the estimator's masks.

    Trains the mask's network once, and once more for each train point.
    """
    masks = estimator.masks(problem)
    of_one = replace(masks, seeds=[masks.seeds[number]], swapped=masks.swapped[number : number + 1])
    training = _MaskedTraining(problem, of_one, estimator.replicates()[number], estimator.frozen(problem))
    with_i, without_i = training.on_all(), training.on_all_but_one()
    has_memorization = problem.data.n_classes is not None
    return with_i[0].without(without_i[0]), with_i[1].without(without_i[1]) if has_memorization else None


def against_effects(halves: Halves, blocks: Sequence[Block], truth: Yardstick) -> tuple[Estimand, ...]:
    """Rank correlations of the scores of half of the masks with three leave-one-out effects, each with its ceiling.

    Effects of the masked training come from the other half of the masks, and both directions are averaged. Their
    ceiling is the square root of the correlation between their halves. For a single mask they are unknown.
    """
    found = []
    scores = [half.score for half in (halves.first, halves.second) if half is not None]
    if halves.second is not None:
        for name, of in _MASKED_EFFECTS.items():
            effects = [of(halves.second), of(halves.first)]
            agreement = _mean_agreement(zip(scores, effects, strict=True), blocks)
            reliability = _mean_agreement([(effects[0], effects[1])], blocks)
            found.append(Estimand(name=name, spearman=statistic(agreement), ceiling=_root(reliability)))
    agreement = _mean_agreement([(of_half, truth.mean) for of_half in scores], blocks)
    ceiling = truth.reliability.ceiling_interval()
    return (*found, Estimand(name="plain training", spearman=statistic(agreement), ceiling=ceiling))


def in_shares(parts: Parts, blocks: Sequence[Block], truth: Tensor) -> tuple[Term, ...]:
    """Each term's share of the scores' variance within columns, and its rank correlation with the truth.

    The share is the covariance of term and score divided by the variance of the score, both over train points and
    averaged over columns. The shares add up to 1; a term that works against the score has a share below 0.
    """
    score = _centered(parts.score)
    variance = score.square().mean()
    found = []
    for name, values in {**parts.terms(), "score": parts.score, "whole network": parts.whole_network}.items():
        share = UNKNOWN
        if name in TERMS:
            products = _centered(values) * score
            value = float(products.mean() / variance)
            contributions = (products - value * score.square()) / variance / products.numel()
            n_rows, n_columns = products.shape
            share = Estimation(value, contributions, n_rows, n_columns if n_columns > 1 else None).interval()
        agreement = mean_over_columns(spearman, values, truth, blocks).estimation
        found.append(Term(name=name, share_of_variance=share, spearman=statistic(agreement)))
    return tuple(found)


@dataclass(frozen=True, eq=False)
class _MaskedTraining:
    """One training with masks, on all train points and on all but one."""

    problem: Problem
    masks: HashedMasks  # of one replica
    replicate: int
    frozen: Sequence[str]

    def on_all(self) -> tuple[_Measured, _Measured]:
        """Measures on the test points, (n_train, n_test), and of each train point on itself, (n_train, 1)."""
        train, test = self.problem.data.train, self.problem.data.test
        runs = self.problem.train(replicates=[self.replicate], masks=self.masks, frozen=self.frozen)
        halves: tuple[list[Tensor], list[Tensor]] = ([], [])
        for part in runs.crossed_outputs(test, ids=train.ids, masks=self.masks):
            for half, outputs in zip(halves, (part.own, part.flipped), strict=True):
                half.append(self.problem.measured(outputs, test.labels[None]))
        on_test = _Measured(torch.cat(halves[0]), torch.cat(halves[1]), runs.measured(test).expand(len(train), -1))
        return on_test, self._on_themselves(runs, train, self.masks, self.masks.flipped())

    def on_all_but_one(self) -> tuple[_Measured, _Measured]:
        """The same measures of the networks that were trained without the point of each row."""
        train, test = self.problem.data.train, self.problem.data.test
        parts = []
        for start in range(0, len(train), BLOCK):
            left_out = train.rows(slice(start, start + BLOCK))
            weights = torch.ones(len(left_out), len(train))
            weights[:, start : start + len(left_out)].fill_diagonal_(0)
            runs = self.problem.train(
                weights,
                replicates=[self.replicate] * len(left_out),
                masks=_InEveryReplica(self.masks),
                frozen=self.frozen,
            )
            own, flipped = (_OfOwner(half, left_out.ids) for half in (self.masks, self.masks.flipped()))
            on_test = _Measured(runs.measured(test, masks=own), runs.measured(test, masks=flipped), runs.measured(test))
            parts.append((on_test, self._on_themselves(runs, left_out, own, flipped)))
        on_tests, on_themselves = (_joined(of_kind) for of_kind in zip(*parts, strict=True))
        return on_tests, on_themselves

    def _on_themselves(self, runs: Runs, points: Split, own: Masks, flipped: Masks) -> _Measured:
        """`p_correct` of the points, in one network or each in its own network: (n, 1)."""
        if self.problem.data.n_classes is None:
            nothing = torch.zeros(len(points), 1, dtype=torch.float64)
            return _Measured(nothing, nothing, nothing)
        found = [runs.p_correct(points, masks=masks) for masks in (own, flipped, None)]
        own_half, flipped_half, unmasked = ((p[0] if len(p) == 1 else p.diagonal())[:, None] for p in found)
        return _Measured(own_half, flipped_half, unmasked)


def _joined(parts: Sequence[_Measured]) -> _Measured:
    return _Measured(*(torch.cat([getattr(part, field.name) for part in parts]) for field in fields(_Measured)))


def in_halves(parts: Sequence[Parts]) -> Halves:
    """Means of the masks' parts over the first and over the second half of the masks."""
    # an even number, because masks 2 k and 2 k + 1 may be an antithetic pair, which must be in one half
    n_first = 2 * -(-len(parts) // 4) if len(parts) > 2 else 1
    second = parts[n_first:]
    return Halves(_mean(parts[:n_first]), _mean(second) if second else None, n_first, len(second))


def _mean(parts: Sequence[Parts]) -> Parts:
    return Parts(*(torch.stack([getattr(part, field.name) for part in parts]).mean(0) for field in fields(Parts)))


def _mean_agreement(pairs: Iterable[tuple[Tensor, Tensor]], blocks: Sequence[Block]) -> Estimation | None:
    """The mean of several correlations; None unless all are defined."""
    found = [mean_over_columns(spearman, *pair, blocks).estimation for pair in pairs]
    defined = [one for one in found if one is not None]
    return mean_estimation(defined) if len(defined) == len(found) else None


def _root(reliability: Estimation | None) -> Statistic:
    if reliability is None or reliability.value <= 0:
        return UNKNOWN
    return reliability.apply(sqrt, 0.5 / sqrt(reliability.value)).correlation_interval()


def _centered(values: Tensor) -> Tensor:
    """The values minus the mean of each column."""
    return values - values.mean(0)
