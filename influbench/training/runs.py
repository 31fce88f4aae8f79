"""A stack of trained networks and their outputs."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import count

import torch
from torch import Tensor

from influbench.api import Crossed, Masks, MeasureName, Model, Runs, Split, SplitMasks
from influbench.measures import measure_of
from influbench.networks.replicas import Parameters, Replicas
from influbench.training.course import Course, factors

_PAIRS_AT_A_TIME = 2**16  # of ids and examples, where masks are shared


class StackedRuns(Runs):
    """Trained replicas of one network. `kept` holds the parameters after each requested step."""

    def __init__(
        self,
        network: Replicas,
        model: Model,
        measure: str,
        *,
        course: Course,
        kept: Mapping[int, Parameters],
        learning_rates: Sequence[float],
        replicas_at_a_time: int,
        examples_at_a_time: int,
    ) -> None:
        self.n_replicas = course.n_replicas
        self.steps = tuple(sorted(kept))
        self.learning_rates = learning_rates
        self.batches = [rows.expand(course.n_replicas, -1) for rows in course.batches]
        self.weights = course.weights
        self._network, self._model, self._measure = network, model, measure
        self._kept = kept
        self._replicas_at_a_time, self._examples_at_a_time = replicas_at_a_time, examples_at_a_time

    def parameters(self, *, step: int | None = None) -> Parameters:
        step = self._step(step)
        if step not in self._kept:
            raise ValueError(
                f"no parameters were kept after step {step}; they were kept after {', '.join(map(str, self.steps))}"
            )
        return self._kept[step]

    def outputs(self, split: Split, *, step: int | None = None, masks: Masks | None = None) -> Tensor:
        step = self._step(step)
        with torch.no_grad():
            return torch.cat([self._outputs(split, step, masks, stack) for stack in self._stacks()])

    def crossed_outputs(
        self, split: Split, *, ids: Tensor, masks: SplitMasks, step: int | None = None
    ) -> Iterator[Crossed]:
        parameters, step = self.parameters(step=step), self._step(step)
        for replica in range(self.n_replicas):
            of_replica = {name: p[replica] for name, p in parameters.items()}
            one = slice(replica, replica + 1)
            of_masks = factors(masks, ids, one, step=step, dtype=self.weights.dtype)
            own = {site: of_site[0] for site, of_site in of_masks.items()}
            with torch.no_grad():
                distinct, place = _distinct(own)
                parts = self._network.crossed(of_replica, split.inputs, distinct, masks.p)
                if place is None:
                    yield from (Crossed(replica, rows, *halves) for rows, halves in parts)
                else:
                    first, second = (torch.cat(half) for half in zip(*(halves for _, halves in parts), strict=True))
                    at_a_time = max(1, _PAIRS_AT_A_TIME // len(split))
                    for start, of_rows in zip(count(step=at_a_time), place.split(at_a_time), strict=False):
                        rows = slice(start, start + len(of_rows))
                        yield Crossed(replica, rows, first[of_rows], second[of_rows])

    def measured(
        self,
        split: Split,
        *,
        step: int | None = None,
        masks: Masks | None = None,
        measure: MeasureName | None = None,
    ) -> Tensor:
        name = measure or self._measure
        return self.measured_by([name], split, step=step, masks=masks)[name]

    def p_correct(self, split: Split, *, step: int | None = None, masks: Masks | None = None) -> Tensor:
        return self.measured_by(["p_correct"], split, step=step, masks=masks)["p_correct"]

    def measured_by(
        self, measures: Sequence[str], split: Split, *, step: int | None = None, masks: Masks | None = None
    ) -> dict[str, Tensor]:
        """Each of the named measures of `outputs`, (n_replicas, n), float64."""
        outputs = self.outputs(split, step=step, masks=masks)
        return {name: measure_of(name, self._model)(outputs, split.labels[None]) for name in measures}

    def _step(self, step: int | None) -> int:
        return self.steps[-1] if step is None else step

    def _stacks(self) -> Iterator[slice]:
        for start in range(0, self.n_replicas, self._replicas_at_a_time):
            yield slice(start, min(start + self._replicas_at_a_time, self.n_replicas))

    def _outputs(self, split: Split, step: int, masks: Masks | None, stack: slice) -> Tensor:
        """Outputs of some of the replicas, a batch of examples at a time, in no more memory than training."""
        of_stack = {name: p[stack] for name, p in self.parameters(step=step).items()}
        batches = zip(
            split.inputs.split(self._examples_at_a_time), split.ids.split(self._examples_at_a_time), strict=True
        )
        outputs = []
        for inputs, ids in batches:
            of_batch = factors(masks, ids, stack, step=step, dtype=self.weights.dtype)
            outputs.append(self._network.outputs(of_stack, inputs[None], of_batch))
        return torch.cat(outputs, dim=1)


def _distinct(own: dict[str, Tensor]) -> tuple[dict[str, Tensor], Tensor | None]:
    """The factors (I, n_units) of each site without repeated masks, and each mask's place among them.

    The place is None if no mask is repeated.
    """
    sizes = [of_site.shape[1] for of_site in own.values()]
    distinct, place = torch.cat(list(own.values()), dim=1).unique(dim=0, return_inverse=True)
    if len(distinct) == len(place):
        return own, None
    return dict(zip(own, distinct.split(sizes, dim=1), strict=True)), place
