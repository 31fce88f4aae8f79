"""Requirements on an optimizer and a schedule, so that trainings are what they claim to be; checked on few numbers."""

from collections.abc import Iterator, Mapping
from math import isfinite

import torch
from torch import Tensor

from influbench.api import OptimizerState
from influbench.engine.soundness import Fault
from influbench.errors import ModelError
from influbench.training.updates import Parameters, UpdateRule

_SHAPES = {"weight": (4, 3), "bias": (4,)}  # a matrix and a vector: some optimizers treat them differently
_N_REPLICAS = 2
_N_STEPS = 3  # the first two begin running means; the third only continues them
_STEP = 1e-6  # of the finite difference: its error is about 1e-10, of rounding as well as of curvature
_AGREES = 1e-10  # of what is computed twice in float64
_SLOPE_AGREES = 1e-5


def check_optimizer(rule: UpdateRule) -> None:
    """ModelError where an optimizer would not train networks as the contract says. Takes a few steps of 32 numbers."""
    for faults in (moment_faults, step_faults, argument_faults, in_place_faults, replica_faults):
        if fault := next(faults(rule), None):
            raise ModelError(str(fault))


def check_schedule(rule: UpdateRule, n_steps: int) -> None:
    """ModelError where a schedule gives what is not a learning rate at some step of a training."""
    if fault := next(schedule_faults(rule, n_steps), None):
        raise ModelError(str(fault))


def moment_faults(rule: UpdateRule) -> Iterator[Fault]:
    """Moments that are not tensors by name."""
    yield from _malformed_moments("initial_moments", rule.optimizer.initial_moments(rule.recipe, _start()))


def step_faults(rule: UpdateRule) -> Iterator[Fault]:
    """Steps that return something other than the parameters and the moments they were given."""
    start = _start()
    state = rule.initial_state(start)
    for gradients in _gradients():
        returned: object = rule.optimizer.step(rule.recipe, start, gradients, state, learning_rate=_rate(rule))
        if not isinstance(returned, tuple) or len(returned) != 2:
            yield Fault(f"step returned {_noun(returned)}", "return the parameters and the moments, a tuple of two")
            return
        stepped, moments = returned
        yield from _malformed("step returned parameters", stepped, start)
        yield from _malformed_moments("step", moments)
        if {*moments} != {*state.moments}:
            yield Fault(
                f"step returned moments {_listed(moments)} and was given {_listed(state.moments)}",
                "keep the same ones from `initial_moments` on",
            )
        for name, values in state.moments.items():
            yield from _malformed(f"step returned moments {name!r}", moments[name], values)
        start, state = stepped, OptimizerState(state.step + 1, moments)


def argument_faults(rule: UpdateRule) -> Iterator[Fault]:
    """Steps that write into what they are given, without `in_place`."""
    start, gradients = _start(), next(_gradients())
    state = rule.initial_state(start)
    given = {"parameters": start, "gradients": gradients, **state.moments}
    before = {what: _copied(values) for what, values in given.items()}
    rule.optimizer.step(rule.recipe, start, gradients, state, learning_rate=_rate(rule))
    for what, values in given.items():
        if not _same(before[what], values):
            yield Fault(f"step writes into the {what} that it is given", "do so with `in_place` alone")


def in_place_faults(rule: UpdateRule) -> Iterator[Fault]:
    """Other numbers where `in_place` is allowed, or at a second call."""
    if not _same(_trained(rule, _start()), _trained(rule, _start())):
        yield Fault("the same step twice gives other numbers", "draw no random numbers, and remember nothing in self")
    if not _same(_trained(rule, _start()), _trained(rule, _start(), in_place=True)):
        yield Fault("step gives other numbers with `in_place` than without", "write only what has been read")


def replica_faults(rule: UpdateRule) -> Iterator[Fault]:
    """Replicas that move each other."""
    together = _trained(rule, _start())
    for replica in range(_N_REPLICAS):
        one = slice(replica, replica + 1)
        alone = _trained(rule, {name: p[one] for name, p in _start().items()}, replicas=one)
        if not _same({name: p[one] for name, p in together.items()}, alone):
            yield Fault(
                "step moves a network in a stack otherwise than alone",
                "take norms, means and the like over all axes but the first, that of the replicas",
            )


def derivative_faults(rule: UpdateRule) -> Iterator[Fault]:
    """A step whose derivative by the first gradients, through the moments, is not what autograd finds."""
    gradients = list(_gradients())
    direction = {name: g.cos() for name, g in gradients[0].items()}
    distance = torch.zeros((), dtype=torch.float64, requires_grad=True)

    def end(at: Tensor) -> Tensor:
        first = {name: g + at * direction[name] for name, g in gradients[0].items()}
        ended = _trained(rule, _start(), gradients=[first, *gradients[1:]])
        return torch.stack([(p * p.detach().sin()).sum() for p in ended.values()]).sum()

    def projected(at: float) -> Tensor:
        first = {name: g + at * direction[name] for name, g in gradients[0].items()}
        ended, here = (_trained(rule, _start(), gradients=[one, *gradients[1:]]) for one in (first, gradients[0]))
        return torch.stack([(p * here[name].sin()).sum() for name, p in ended.items()]).sum()

    with torch.enable_grad():
        value = end(distance)
        slope = torch.autograd.grad(value, distance)[0] if value.requires_grad else torch.zeros(())
    difference = (projected(_STEP) - projected(-_STEP)) / (2 * _STEP)
    if abs(float(slope) - float(difference)) > _SLOPE_AGREES * max(abs(float(difference)), _rate(rule)):
        yield Fault(
            f"autograd finds the derivative {float(slope):.3g} of a step, finite differences {float(difference):.3g}",
            "keep every operation from gradients to parameters differentiable: no detach(), .data or .item()",
        )


def schedule_faults(rule: UpdateRule, n_steps: int) -> Iterator[Fault]:
    """Steps whose learning rate is not a number that can be stepped by."""
    for step in range(n_steps):
        rate: object = rule.schedule.learning_rate(rule.recipe, step, n_steps)
        if not isinstance(rate, int | float) or isinstance(rate, bool):
            yield Fault(f"learning_rate returned {_noun(rate)} at step {step}", "return a number (float)")
        elif not (isfinite(rate) and rate >= 0):
            yield Fault(
                f"learning_rate returned {rate} at step {step} of {n_steps}",
                "return a finite number that is not negative",
            )


def _start() -> dict[str, Tensor]:
    return _numbers(0)


def _gradients() -> Iterator[dict[str, Tensor]]:
    return (_numbers(step) for step in range(1, _N_STEPS + 1))


def _numbers(seed: int) -> dict[str, Tensor]:
    """Numbers of both signs, none of them 0, which differ between replicas."""
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(_N_REPLICAS, *shape, generator=generator, dtype=torch.float64, device="cpu")
        for name, shape in _SHAPES.items()
    }


def _rate(rule: UpdateRule) -> float:
    return rule.recipe.learning_rate


def _trained(
    rule: UpdateRule,
    parameters: Parameters,
    *,
    gradients: list[dict[str, Tensor]] | None = None,
    replicas: slice = slice(None),
    in_place: bool = False,
) -> Parameters:
    """Parameters after all steps."""
    state = rule.initial_state(parameters)
    for of_step in gradients or _gradients():
        of_replicas = {name: g[replicas] for name, g in of_step.items()}
        parameters, state = rule.step(parameters, of_replicas, state, learning_rate=_rate(rule), in_place=in_place)
    return parameters


def _malformed_moments(who: str, moments: object) -> Iterator[Fault]:
    if not isinstance(moments, Mapping):
        yield Fault(f"{who} returned {_noun(moments)} as moments", "return a dict of moments by name, {} for none")
        return
    for name, of_moment in moments.items():
        tensors = list(of_moment.values()) if isinstance(of_moment, Mapping) else [of_moment]
        if not isinstance(of_moment, Mapping) or not all(_is_stack(tensor) for tensor in tensors):
            yield Fault(
                f"{who} returned moments {name!r} that are not float tensors with an axis of replicas, by parameter",
                "return {moment: {parameter: tensor}} with the replicas on the first axis",
            )


def _is_stack(tensor: object) -> bool:
    return isinstance(tensor, Tensor) and tensor.is_floating_point() and tensor.shape[:1] == (_N_REPLICAS,)


def _malformed(what: str, found: object, expected: Parameters) -> Iterator[Fault]:
    """The difference of named tensors from those expected in names, shapes or types, or that they are not finite."""
    if not isinstance(found, Mapping):
        yield Fault(f"{what} as {_noun(found)}", "return a dict of tensors by the parameters' names")
        return
    if {*found} != {*expected}:
        yield Fault(f"{what} {_listed(found)}, expected {_listed(expected)}", "return one for each that is given")
    for name, values in expected.items():
        one = found[name]
        if not isinstance(one, Tensor) or (one.shape, one.dtype) != (values.shape, values.dtype):
            seen = f"shape {tuple(one.shape)}, {one.dtype}" if isinstance(one, Tensor) else _noun(one)
            yield Fault(
                f"{what} with {seen} for {name!r}, expected shape {tuple(values.shape)}, {values.dtype}",
                "return tensors like those that are given",
            )
        elif not bool(one.isfinite().all()):
            yield Fault(f"{what} that are not finite", "divide by nothing that may be 0")


def _copied(values: Parameters) -> Parameters:
    return {name: value.clone() for name, value in values.items()}


def _same(first: Parameters, second: Parameters) -> bool:
    return all(torch.allclose(value, second[name], rtol=_AGREES, atol=_AGREES) for name, value in first.items())


def _listed(names: Mapping[str, object]) -> str:
    return ", ".join(map(repr, names)) or "none"


def _noun(value: object) -> str:
    return "None" if value is None else f"a {type(value).__name__}"
