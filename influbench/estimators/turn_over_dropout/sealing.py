"""The parameters through which an example can reach the flipped half of its network.

A parameter is *sealed* if no example that gives it a gradient under its own mask reads it under its flipped mask. If
all parameters are sealed, a training step on an example does not change the network under its flipped mask. Parameters
leak if they do not touch a masked unit (an output's bias, a layer before the first site), or if a normalization between
a weight and its mask mixes them. Leaks are measured by gradients, not derived from the names of layers, so this works
for any module.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from influbench.api import Masks, Problem, Split, SplitMasks
from influbench.seeds import derive

_N_EXAMPLES = 16  # number of train points that give gradients, and of test points that read


@dataclass(frozen=True)
class Sealing:
    """The numbers of trained and of leaking scalars, and the leaking share of each parameter if it is not 0.

    With `has_statistics`, examples also reach both halves through the statistics of batch norm, which no mask divides.
    """

    n_parameters: int
    n_leaking: int
    leaks: Mapping[str, float]
    has_statistics: bool = False

    @property
    def share(self) -> float:
        """The share of the trained scalars that is sealed."""
        return 1 - self.n_leaking / self.n_parameters

    def in_words(self) -> str:
        """One sentence with the sealed share and what leaks."""
        words = "all parameters are sealed"
        if self.leaks:
            names = ", ".join(self.leaks)
            share = f"{100 * self.share:.4g}%"
            words = f"{share} of the parameters are sealed; through {names} examples reach their flipped half"
        if self.has_statistics:
            words += "; batch norm has no masks: through its statistics examples reach both halves"
        return words


def sealing(problem: Problem, masks: SplitMasks, *, frozen: Collection[str] = ()) -> Sealing:
    """The sealing, measured on random examples at the initial parameters of the first replica."""
    parameters = dict(problem.initial_parameters(0))
    trained = [name for name in parameters if name in problem.trainable and name not in frozen]
    examples, readers = (_some(problem, split) for split in (problem.data.train, problem.data.test))
    leaks = {name: torch.zeros_like(parameters[name], dtype=torch.bool) for name in trained}
    for row in range(len(examples)):
        example = examples.rows(slice(row, row + 1))
        given = _gradients(problem, parameters, trained, example, example, masks, of_loss=True)
        read = _gradients(problem, parameters, trained, readers, example, masks.flipped(), of_loss=False)
        for name in trained:
            leaks[name] |= (given[name] != 0) & (read[name] != 0)
    return Sealing(
        n_parameters=sum(values.numel() for values in leaks.values()),
        n_leaking=int(sum(values.sum() for values in leaks.values())),
        leaks={name: float(values.double().mean()) for name, values in leaks.items() if values.any()},
        has_statistics=bool(problem.statistics),
    )


def _some(problem: Problem, split: Split) -> Split:
    generator = torch.Generator().manual_seed(derive(problem.seed, "sealing"))
    return split.rows(torch.randperm(len(split), generator=generator)[:_N_EXAMPLES])


def _gradients(
    problem: Problem,
    parameters: Mapping[str, Tensor],
    trained: Collection[str],
    examples: Split,
    owner: Split,
    masks: Masks,
    *,
    of_loss: bool,
) -> dict[str, Tensor]:
    """Gradients of the examples' loss, or of a random sum of their outputs, under the mask of `owner`."""
    leaves = {name: parameters[name].detach().clone().requires_grad_() for name in trained}
    factors = {
        site: masks(site, owner.ids, slice(0, 1), step=0)[0].to(examples.inputs.dtype).expand(len(examples), -1)
        for site in masks.sites
    }
    with torch.enable_grad():
        outputs = problem.forward({**parameters, **leaves}, examples.inputs, factors=factors)
        generator = torch.Generator().manual_seed(derive(problem.seed, "sealing", "outputs"))
        weights = torch.randn(outputs.shape, generator=generator, dtype=torch.float64).to(outputs)
        value = problem.loss(outputs, examples.labels).sum() if of_loss else (outputs * weights).sum()
        found = torch.autograd.grad(value, list(leaves.values()), allow_unused=True)
    return {
        name: torch.zeros_like(leaf) if gradient is None else gradient
        for (name, leaf), gradient in zip(leaves.items(), found, strict=True)
    }
