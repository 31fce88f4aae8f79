"""Standard errors of any statistic of means over examples and over seeds, by resampling both.

The method is the Bayesian bootstrap (Rubin 1981): in each resample, every example and every seed has a random weight
with an exponential distribution. Weights are drawn for an example's id, so an example has the same weight in every
group and row. Each pair of draws is used three times: for seeds and examples together, for seeds alone, and for
examples alone. This gives the variance of each source of chance, and of their interaction.

The Bayesian bootstrap underestimates the variance of a mean of n by (n - 1) / (n + 1), and a normal quantile ignores
the error of the variance itself; with few seeds, both matter. So each variance is corrected by that factor, and the
quantile is Student's. As in influbench.statistics.estimation, the variances of seeds and of examples are added, and the
variance of the cells of the table, which both contain, is subtracted once. The degrees of freedom of the sum
(Satterthwaite 1946) are those of the source that dominates.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from influbench.seeds import derive, hash_integers, uniform
from influbench.statistics.student import Student

FEWEST_SEEDS = 4  # fewer cannot show how much results vary between seeds, unless the statistic is a plain mean
_AT_A_TIME = 2**24  # numbers
_UNDEFINED = 0.025  # the share of undefined resamples, each of which could be at either end, that an interval tolerates


@dataclass(frozen=True, eq=False)
class Resamples:
    """Weights (1 + 3 n_resamples, n) of seeds and of examples, whose rows sum to 1.

    The weights in the first row are equal. Then follow the resamples of both, of seeds alone, and of examples alone.
    """

    of_seeds: Tensor
    of_examples: Tensor

    def means(self, values: Tensor) -> Tensor:
        """Means (1 + 3 n_resamples, n_steps) of values (n_seeds, n_steps, n)."""
        n_seeds, n_steps, n = values.shape
        at_a_time = max(1, _AT_A_TIME // (n_steps * n))
        flat = values.reshape(n_seeds, n_steps * n)
        return torch.cat(
            [
                ((seeds @ flat).reshape(-1, n_steps, n) * examples[:, None]).sum(-1)
                for seeds, examples in zip(
                    self.of_seeds.split(at_a_time), self.of_examples.split(at_a_time), strict=True
                )
            ]
        )


def weights(ids: Tensor, *, n_resamples: int, seed: int) -> Tensor:
    """Weights (1 + n_resamples, n) whose rows sum to 1; those of the first row are equal, and give the value itself."""
    resamples = torch.tensor([derive(seed, "resample", number) for number in range(n_resamples)])
    drawn = -uniform(hash_integers(resamples[:, None], ids[None])).log()
    together = torch.cat([torch.ones(1, len(ids), dtype=torch.float64), drawn])
    return together / together.sum(1, keepdim=True)


def crossed(of_seeds: Tensor, of_examples: Tensor) -> Resamples:
    """The resamples of these weights (1 + n_resamples, n) of seeds and of examples, together and alone."""
    equal_seeds, equal_examples = (one[:1].expand(len(one) - 1, -1) for one in (of_seeds, of_examples))
    return Resamples(
        torch.cat([of_seeds, of_seeds[1:], equal_seeds]),
        torch.cat([of_examples, equal_examples, of_examples[1:]]),
    )


def estimated(resampled: Tensor, *, n_seeds: int, n_examples: int, logarithmic: bool = False) -> Student:
    """The statistic whose values (1 + 3 n_resamples,) were computed from the means of `Resamples`.

    `n_examples` is the size of the smallest group that takes part. The error is not known with fewer than
    `FEWEST_SEEDS` seeds or 2 examples, or if the statistic is undefined (nan) in more than 2.5% of the resamples.
    `logarithmic` is for statistics that are always positive.
    """
    value = float(resampled[0])
    if value != value:
        return Student(None)
    deviations = _deviations(resampled.log() if logarithmic else resampled)
    defined = ~deviations.isnan().any(0)
    if n_seeds < FEWEST_SEEDS or n_examples < 2 or (~defined).double().mean() > _UNDEFINED:
        return Student(value)
    both, seeds, examples = deviations[:, defined]
    of_seeds = float(seeds.square().mean()) * _correction(n_seeds)
    of_examples = float(examples.square().mean()) * _correction(n_examples)
    interaction = (both - seeds - examples).square().mean()
    of_cells = float(interaction) * _correction(n_seeds) * _correction(n_examples)
    variance = max(of_seeds + of_examples - of_cells, of_seeds, of_examples)
    uncertain = of_seeds**2 / (n_seeds - 1) + of_examples**2 / (n_examples - 1)
    freedom = variance**2 / uncertain if uncertain else torch.inf
    return Student(value, variance**0.5, freedom, logarithmic)


def _deviations(resampled: Tensor) -> Tensor:
    """Values of resamples minus the value itself, (3, n_resamples): of both, of seeds, and of examples."""
    return resampled[1:].reshape(3, -1) - resampled[0]


def _correction(n: int) -> float:
    """The variance of a mean of n divided by its expected variance in the Bayesian bootstrap."""
    return (n + 1) / (n - 1)
