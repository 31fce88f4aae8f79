"""Trust in a truth: its reliability, its ceiling, what one seed can reach, and the share of the ceiling.

The known values are for a truth of as many seeds drawn anew, with which an estimator's scores are compared on points
drawn anew.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, partial
from math import sqrt

import torch
from torch import Generator, Tensor

from benchmarks.calibration.draws import normal, two_way
from benchmarks.calibration.simulation import Case
from influbench.results import Statistic
from influbench.seeds import derive
from influbench.statistics.correlation import mean_over_columns, spearman, whole_table
from influbench.statistics.yardsticks import correlations

TRUST = (
    "reliability",
    "reliability of one seed",
    "ceiling",
    "reach of one seed",
    "share of ceiling, noise-free",
    "share of ceiling, good",
    "share of ceiling, poor",
)
SIZE = (60, 20)
KNOWN_DRAWS = 400  # truths that a known value is the mean over


@dataclass(frozen=True)
class Population:
    """The seeds that a truth is drawn from: each has its own noise, and some are unlike the others.

    `tails` makes effects and noise heavy-tailed, and noise grow with the effect. The logarithms of the seeds' `noise`
    and of the `scale` of their effects with their noise vary by these standard deviations. A share `elsewhere` of the
    seeds is in another basin, where effects are independent of the others' effects and `elsewhere_size` times as large.
    """

    level: float = 1.5
    tails: float = 0.0
    noise: float = 0.0
    scale: float = 0.0
    elsewhere: float = 0.0
    elsewhere_size: float = 1.0
    signal: float = 1.0

    def draw(self, generator: Generator, n_seeds: int, n: int, m: int) -> tuple[Tensor, Tensor]:
        """Noise-free effects (n, m) and a truth of n_seeds seeds."""
        effects, others = (self._effects(generator, n, m) for _ in range(2))
        level = self.level * (0.3 + effects.abs()) if self.tails else torch.full((n, m), self.level).double()
        cells = normal(generator, n_seeds, n, m) * torch.exp(self.tails * normal(generator, n_seeds, n, m))
        own = level * cells * self._of_seeds(generator, n_seeds, self.noise)
        is_elsewhere = torch.rand(n_seeds, 1, 1, generator=generator, dtype=torch.float64) < self.elsewhere
        of_seeds = torch.where(is_elsewhere, self.elsewhere_size * others, effects)
        return effects, (of_seeds + own) * self._of_seeds(generator, n_seeds, self.scale)

    def _effects(self, generator: Generator, n: int, m: int) -> Tensor:
        size = torch.exp(self.tails * (normal(generator, n, 1) + normal(generator, n, m)))
        return self.signal * size * two_way(generator, n, m, rows=0.5, columns=0.0, cells=0.5)

    def _of_seeds(self, generator: Generator, n_seeds: int, spread: float) -> Tensor:
        return torch.exp(spread * normal(generator, n_seeds, 1, 1))


POPULATIONS = {
    "like seeds": Population(),
    "like seeds, little noise": Population(level=0.5),
    "heavy tails": Population(level=1.0, tails=0.5),
    "noise lognormal(.3)": Population(noise=0.3),
    "noise lognormal(.6)": Population(noise=0.6),
    "scales lognormal(.3)": Population(scale=0.3),
    "scales lognormal(.6)": Population(scale=0.6),
    "one in five in another basin": Population(level=1.0, elsewhere=0.2),
    "one in five in another, larger basin": Population(level=1.0, elsewhere=0.2, elsewhere_size=2.0),
}
WEAK = {"weak signal": Population(signal=0.3), "weaker signal": Population(signal=0.15)}
NULL = {"no signal": Population(signal=0.0), "no signal, noise lognormal(.6)": Population(signal=0.0, noise=0.6)}


def cases() -> Iterator[Case]:
    for n_seeds in (4, 5, 8):
        for name, population in {**POPULATIONS, **WEAK}.items():
            yield Case(f", {n_seeds} seeds, {name}", partial(trust, population=population, n_seeds=n_seeds), of=TRUST)
    for n_seeds in (3, 4, 5, 8):
        for name, population in NULL.items():
            yield Case(f", {n_seeds} seeds, {name}", partial(trust, population=population, n_seeds=n_seeds), of=TRUST)


def estimators(generator: Generator, effects: Tensor) -> dict[str, Tensor]:
    """The scores of three estimators: the effects themselves, and with little and with much noise."""
    noise = {"noise-free": 0.0, "good": 0.7, "poor": 5.0}
    size = float(effects.std()) or 1.0
    return {name: effects + size * level * normal(generator, *effects.shape) for name, level in noise.items()}


def trust(generator: Generator, population: Population, *, n_seeds: int) -> list[tuple[Statistic, float]]:
    """What a report would show of a truth, and the known values."""
    effects, truth = population.draw(generator, n_seeds, *SIZE)
    yardstick = correlations(truth)
    known = yardstick.reliability
    found = {
        "reliability": known.interval(),
        "reliability of one seed": known.interval_at(1),
        "ceiling": known.ceiling_interval(),
        "reach of one seed": known.reach_interval(),
        **{
            f"share of ceiling, {name}": yardstick.agreement([scores]).of_ceiling
            for name, scores in estimators(generator, effects).items()
        },
    }
    values = known_trust(population, n_seeds)
    return [(found[name], values[name]) for name in TRUST]


@cache
def known_trust(population: Population, n_seeds: int) -> dict[str, float]:
    """The known values, from pairs of truths of this many seeds each."""
    generator = Generator().manual_seed(derive(0, "calibration", "known", str(population), n_seeds))
    found: dict[str, list[Tensor]] = {}
    for _ in range(KNOWN_DRAWS):
        effects, both = population.draw(generator, 2 * n_seeds, *SIZE)
        tables = {
            "reliability": (both[:n_seeds].mean(0), both[n_seeds:].mean(0)),
            "reliability of one seed": (both[0], both[n_seeds]),
            **{name: (scores, both[:n_seeds].mean(0)) for name, scores in estimators(generator, effects).items()},
        }
        for name, (first, second) in tables.items():
            values = mean_over_columns(spearman, first, second, whole_table(*SIZE)).values
            found.setdefault(name, []).append(values.mean())
    means = {name: float(torch.stack(values).mean()) for name, values in found.items()}
    ceiling, reach = (sqrt(max(0.0, means[name])) for name in ("reliability", "reliability of one seed"))
    if not population.signal:
        means, ceiling = dict.fromkeys(means, 0.0), 0.0
    return {
        "reliability": means["reliability"],
        "reliability of one seed": means["reliability of one seed"],
        "ceiling": ceiling,
        "reach of one seed": reach if population.signal else 0.0,
        **{
            f"share of ceiling, {name}": means[name] / ceiling if ceiling else 0.0
            for name in ("noise-free", "good", "poor")
        },
    }
