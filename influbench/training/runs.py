"""A stack of trained networks, and what they answer."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from influbench.api import Masks, Model, Runs, Split
from influbench.measures import measure_of
from influbench.training.replicas import Parameters, Replicas

_OUTPUTS_PER_CHUNK = 2**20  # examples times replicas that are evaluated at a time


class StackedRuns(Runs):
    """Trained replicas of one network. `kept` holds the parameters after each step that was asked for."""

    def __init__(
        self,
        network: Replicas,
        model: Model,
        measure: str,
        *,
        kept: Mapping[int, Parameters],
        weights: Tensor,
        batches: Sequence[Tensor],
        learning_rates: Sequence[float],
    ) -> None:
        self.n_replicas = len(weights)
        self.steps = tuple(sorted(kept))
        self.learning_rates = learning_rates
        self.batches = batches
        self.weights = weights
        self._network, self._model, self._measure = network, model, measure
        self._kept = kept

    def parameters(self, *, step: int | None = None) -> Parameters:
        step = self.steps[-1] if step is None else step
        if step not in self._kept:
            raise ValueError(f"no parameters were kept after step {step}; kept are {', '.join(map(str, self.steps))}")
        return self._kept[step]

    def outputs(self, split: Split, *, step: int | None = None, masks: Masks | None = None) -> Tensor:
        parameters = self.parameters(step=step)
        at_a_time = max(1, _OUTPUTS_PER_CHUNK // self.n_replicas)
        with torch.no_grad():
            return torch.cat(
                [
                    self._network.outputs(parameters, inputs[None], self._site_masks(masks, ids))
                    for inputs, ids in zip(split.inputs.split(at_a_time), split.ids.split(at_a_time), strict=True)
                ],
                dim=1,
            )

    def crossed_outputs(self, split: Split, *, ids: Tensor, masks: Masks, step: int | None = None) -> Tensor:
        with torch.no_grad():
            return self._network.crossed_outputs(
                self.parameters(step=step), split.inputs[None], self._site_masks(masks, ids)
            )

    def measured(self, split: Split, *, step: int | None = None, masks: Masks | None = None) -> Tensor:
        return self.measured_by([self._measure], split, step=step, masks=masks)[self._measure]

    def p_correct(self, split: Split, *, step: int | None = None, masks: Masks | None = None) -> Tensor:
        return self.measured_by(["p_correct"], split, step=step, masks=masks)["p_correct"]

    def measured_by(
        self, measures: Sequence[str], split: Split, *, step: int | None = None, masks: Masks | None = None
    ) -> dict[str, Tensor]:
        """Each of the named measures of `outputs`, (n_replicas, n), float64."""
        outputs = self.outputs(split, step=step, masks=masks)
        return {name: measure_of(name, self._model)(outputs, split.labels[None]) for name in measures}

    def _site_masks(self, masks: Masks | None, ids: Tensor) -> dict[str, Tensor]:
        return {site: masks(site, ids, slice(0, self.n_replicas)) for site in masks.sites} if masks else {}
