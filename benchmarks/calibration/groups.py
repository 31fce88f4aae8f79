"""Groups of hard points against random and easy ones, where hard points have effects that vary more.

All points have the same expected effect, so every difference is 0. On digits, the effect of a hard point has 6.6 times
the variance of the effect of a random point.
"""

from collections.abc import Iterator
from functools import partial
from math import sqrt

import torch
from torch import Generator

from benchmarks.calibration.draws import normal
from benchmarks.calibration.simulation import Case
from influbench.results import Statistic
from influbench.studies.informativeness.findings import Effects, Questions
from influbench.studies.informativeness.groups import Pool, choose
from influbench.studies.informativeness.retraining import Outcomes
from influbench.studies.informativeness.study import Informativeness

N_TEST, N_CLASSES = 50, 10
CLAIMS = ("hard minus random", "hard minus easy")
SETTINGS = Informativeness(fractions=(0.1,), decided_at=0.1)


def cases() -> Iterator[Case]:
    for n, n_seeds in ((300, 8), (300, 16), (1000, 8)):
        for ratio in (1.0, 6.6):
            # the variance of the noise of a training, as a share of the variance of the sum of a hard group's effects
            for noise in (0.01, 0.1, 0.3, 1.0):
                name = f", variance ratio {ratio:g}, noise {noise:g}, {n_seeds} seeds, {n} points"
                yield Case(name, partial(effects, n=n, n_seeds=n_seeds, ratio=ratio, noise=noise), of=CLAIMS)


def effects(generator: Generator, n: int, n_seeds: int, *, ratio: float, noise: float) -> list[tuple[Statistic, float]]:
    """The differences of the claims about correct points, from additive effects and the noise of each training."""
    difficulty = normal(generator, n)
    classes = torch.arange(n) % N_CLASSES
    pool = Pool(
        torch.arange(n), classes, torch.ones(n, dtype=torch.bool), int(torch.randint(2**31, (1,), generator=generator))
    )
    (fraction,) = SETTINGS.fractions
    groups = choose(
        pool,
        SETTINGS.fractions,
        {"difficulty": difficulty},
        n_random=SETTINGS.random_groups,
        n_halves=SETTINGS.halves,
        halved_at=fraction,
    )
    # the average variance is 1
    of_others = (1 - ratio * fraction) / (1 - fraction)
    is_hard = difficulty > torch.special.ndtri(torch.tensor(1 - fraction, dtype=torch.float64))
    spread = torch.where(is_hard, ratio, of_others).sqrt()[:, None]
    of_points = spread * (normal(generator, n, 1) + normal(generator, n, N_TEST))
    spread_of_noise = sqrt(noise * n_seeds * ratio * fraction * n)
    of_groups = torch.stack([of_points[group.rows].sum(0) for group in groups])
    of_trainings = normal(generator, n_seeds, len(groups), 1) + normal(generator, n_seeds, len(groups), N_TEST)
    without = -(of_groups + spread_of_noise * of_trainings)
    outcomes = Outcomes({"neg_loss": torch.zeros(n_seeds, N_TEST).double()}, {"neg_loss": without}, alone={})
    found = Effects(groups, outcomes, torch.zeros(n, N_TEST), classes, measure="neg_loss", n_classes=N_CLASSES)
    questions = Questions("simulated", found, SETTINGS, has_wrong=False).all()
    return [(question.found.interval(), 0.0) for question in questions]
