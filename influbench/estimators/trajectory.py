"""One training in float64, and reverse mode through its steps to differentiate its result by the examples' weights."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from math import ceil, sqrt

import torch
from torch import Tensor

from influbench.api import OptimizerState, Problem
from influbench.estimators.gradients import moved

_STORED = 2**26  # numbers of a trajectory that are stored; of a longer one, about every sqrt(n_steps)-th point
_PULLED_BACK = 2**26  # numbers that cotangents and the graph of a step may take


@dataclass(frozen=True, eq=False)
class Point:
    """A network between two steps. Every tensor has a replica axis of length 1; the state is None before step 0."""

    parameters: Mapping[str, Tensor]
    state: OptimizerState | None


class Trajectory:
    """The training of a replicate with known batches, repeated in float64 whatever the problem's dtype.

    With points `z_0, ..., z_T` (parameters and optimizer state) and steps `z_(t+1) = Phi_t(z_t, w)`, the cotangent
    `u_T` of a function of the trained network is pulled back by `u_t = (d Phi_t / d z_t)^T u_(t+1)`; the derivative by
    the weights is the sum over steps of `(d Phi_t / d w)^T u_(t+1)`. Only one step's graph is in memory at a time.
    """

    def __init__(self, problem: Problem, replicate: int, batches: Sequence[Tensor]) -> None:
        self._problem, self._replicate, self._batches = problem, replicate, batches
        start = {name: p.double()[None] for name, p in problem.initial_parameters(replicate).items()}
        moments = problem.optimizer.initial_moments(problem.recipe, start).values()
        n_numbers = sum(p.numel() for of_point in (start, *moments) for p in of_point.values())
        self._spacing = 1 if n_numbers * len(batches) <= _STORED else ceil(sqrt(len(batches)))
        self._kept: dict[int, Point] = {}
        self._last = Point(start, None)
        for step in range(len(batches)):
            if step % self._spacing == 0:
                self._kept[step] = self._last
            self._last = self._after(self._last, step)

    @property
    def parameters(self) -> dict[str, Tensor]:
        """The parameters of the trained network, averaged if the recipe says so, without a replica axis."""
        return {name: p[0] for name, p in {**self._last.parameters, **_average(self._last)}.items()}

    @cached_property
    def cotangents_at_a_time(self) -> int:
        """The number of cotangents that fit in memory together, if each needs about as much as the graph of a step."""
        sizes: list[int] = []

        def noted(tensor: Tensor) -> Tensor:
            sizes.append(tensor.numel())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(noted, lambda tensor: tensor):
            self._recorded(self._kept[0], 0)
        n_numbers = sum(sizes) + 2 * sum(tensor.numel() for tensor in _moving(self._problem, self._last))
        return max(1, _PULLED_BACK // n_numbers)

    def weight_gradients(self, gradients: Mapping[str, Tensor]) -> Tensor:
        """Derivatives by the weights, (n, n_train), from the derivatives by what training moves, (n, ...)."""
        problem = self._problem
        last = [gradients[name][:, None] for name in self.parameters if name in gradients]
        n, moving = len(last[0]), _moving(problem, self._last)
        cotangents = [tensor.new_zeros(n, *tensor.shape) for tensor in moving]
        # the network that is measured: the average is at the end of what a step moves, the parameters at its start
        first = len(moving) - len(last) if _average(self._last) else 0
        cotangents[first : first + len(last)] = last
        by_weight = last[0].new_zeros(n, len(problem.data.train))
        for step, point in self._backwards():
            cotangents, by_weight_of_batch = self._pulled_back(point, step, cotangents)
            by_weight.index_add_(1, self._batches[step], by_weight_of_batch)
        return by_weight

    def _backwards(self) -> Iterator[tuple[int, Point]]:
        """The points from which steps were taken, the last one first. Points that were not stored are recomputed."""
        for first, point in reversed(self._kept.items()):
            segment = [point]
            for step in range(first, min(first + self._spacing, len(self._batches)) - 1):
                segment.append(self._after(segment[-1], step))
            while segment:
                yield first + len(segment) - 1, segment.pop()

    def _after(self, point: Point, step: int) -> Point:
        with torch.no_grad():
            return Point(
                *self._problem.update(point.parameters, point.state, self._batches[step], replicate=self._replicate)
            )

    def _recorded(self, point: Point, step: int) -> tuple[list[Tensor], list[Tensor]]:
        """The inputs of one step, with the weights of its batch (1, n) at the end, and its outputs."""
        problem, batch = self._problem, self._batches[step]

        def leaves(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
            return {name: tensor.detach().requires_grad_() for name, tensor in tensors.items()}

        state = point.state and replace(
            point.state,
            moments={name: leaves(of_moment) for name, of_moment in point.state.moments.items()},
            average=leaves(point.state.average),
        )
        here = Point(leaves(point.parameters), state)
        weights = torch.ones(1, len(batch), dtype=torch.float64, device=batch.device, requires_grad=True)
        with torch.enable_grad():
            there = Point(*problem.update(here.parameters, here.state, batch, weights, replicate=self._replicate))
        return [*_moving(problem, here), weights], _moving(problem, there)

    def _pulled_back(self, point: Point, step: int, cotangents: list[Tensor]) -> tuple[list[Tensor], Tensor]:
        """Cotangents before a step, in the order of `_moving`, (n, 1, ...), and derivatives by its batch's weights."""
        before, after = self._recorded(point, step)
        # An optimizer may keep moments that affect nothing else, or moments that do not depend on anything.
        reached = [
            (tensor, of_tensor) for tensor, of_tensor in zip(after, cotangents, strict=True) if tensor.requires_grad
        ]
        found = torch.autograd.grad(
            [tensor for tensor, _ in reached],
            before,
            [of_tensor for _, of_tensor in reached],
            is_grads_batched=True,
            allow_unused=True,
        )
        n = len(cotangents[0])
        *pulled, by_weight = [
            tensor.new_zeros(n, *tensor.shape) if of_tensor is None else of_tensor
            for tensor, of_tensor in zip(before, found, strict=True)
        ]
        return pulled, by_weight[:, 0]


def _moving(problem: Problem, point: Point) -> list[Tensor]:
    """The tensors that a step changes: those of the network, the optimizer's moments, and the network's average."""
    of_network = moved(problem, point.parameters).values()
    of_moments = [] if point.state is None else point.state.moments.values()
    moments = chain.from_iterable(of_moment.values() for of_moment in of_moments)
    return [*of_network, *moments, *_average(point).values()]


def _average(point: Point) -> Mapping[str, Tensor]:
    return {} if point.state is None else point.state.average
