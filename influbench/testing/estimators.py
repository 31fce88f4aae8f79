"""The contract that every estimator must keep."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from influbench.api import Data, Estimate, Estimator, Model, Split
from influbench.engine.boundary import Pristine, checked_estimate, checked_trace
from influbench.errors import EstimateError, ModelError
from influbench.isolation import isolated
from influbench.models.cnn import Cnn
from influbench.problem import TrainingProblem
from influbench.process import changes
from influbench.statistics.correlation import mean_over_columns, spearman, whole_table
from influbench.testing.checks import (
    Check,
    ContractError,
    NotApplicable,
    Promise,
    assert_unchanged,
    checks_of,
    described,
    instance,
)
from influbench.testing.known_effects import effects_on_classes, effects_on_regression
from influbench.testing.problems import blobs, line, permuted, pictures, small_problem

_TOLERANCE = 1e-4  # of the largest score; scores in the wrong order are off by about the largest score
_OR_UNSUPPORTED = (
    "fix it, or say in `unsupported` where it cannot run; if its defaults do not fit small problems, check it with "
    "others: NAME[parameter=value]"
)
_OPPOSITE = {"influence": -0.25, "memorization": -0.5}  # correlations that chance does not reach on this many points


def estimator_checks(estimator: str | Estimator, *, tolerance: float = _TOLERANCE) -> list[Check]:
    """The contract of estimators for one of them, an instance or what `-e` takes: a list of checks to be called.

    Scores that have to agree may differ by `tolerance` times the largest score. `Estimator.exempt` declares exceptions.
    """
    estimator = instance("estimator", estimator)
    return checks_of(_PROMISES, _Subject(estimator, tolerance), estimator)


@dataclass(frozen=True)
class _Subject:
    estimator: Estimator
    tolerance: float

    def estimate(self, problem: TrainingProblem) -> Estimate:
        """The estimate, checked as in a run; ContractError if it does not pass."""
        try:
            with isolated(problem.seed):
                returned = self.estimator.estimate(problem)
            return checked_estimate(returned, problem.data)
        except EstimateError as error:
            raise ContractError(str(error)) from error

    def unchecked(self) -> Estimate:
        """The estimate on the first setting on which it can run, as the estimator returns it."""
        problem = self.setting.problem()
        with isolated(problem.seed):
            return self.estimator.estimate(problem)

    def traced(self, *, then: Callable[[Estimate], object] | None = None) -> list[Estimate]:
        """Its trace over two steps, checked as in a run; NotApplicable if it has none.

        `then`, if given, is called with each estimate, as the estimator returns it, before the next one is asked for.
        """
        problem = self.setting.problem()
        steps = [1, problem.n_steps]
        try:
            with isolated(problem.seed):
                trace = self.estimator.trace(problem, steps)
                if trace is None:
                    raise NotApplicable("it has no trace")
                followed = trace if then is None else _followed(trace, then)
                return checked_trace(followed, problem.data, n_steps=len(steps))
        except EstimateError as error:
            raise ContractError(str(error)) from error

    def refusal(self, problem: TrainingProblem) -> str | None:
        """The reason it cannot run, from `unsupported` or from a ModelError; None if it can."""
        try:
            with isolated(problem.seed):
                return self.estimator.unsupported(problem)
        except ModelError as error:
            return str(error)

    @property
    def setting(self) -> "_Setting":
        """The first setting on which it can run."""
        found = next((one for one in _SETTINGS.values() if self.refusal(one.problem()) is None), None)
        if found is None:
            raise NotApplicable("it cannot run on any of the small problems")
        return found

    def any_estimate(self) -> Estimate:
        """The estimate on the first setting on which it can run."""
        return self.estimate(self.setting.problem())

    def changed(self) -> list[str]:
        """The names of what an estimate changes among data, model and recipe; all are restored."""
        problem = self.setting.problem()
        pristine = Pristine(problem)
        try:
            self.estimate(problem)
        finally:
            changed = pristine.restore()
        return changed

    def on_changed(self, change: Callable[[Data], Data]) -> Estimate:
        """The estimate on the same setting with changed data."""
        return self.estimate(self.setting.problem(change))


@dataclass(frozen=True)
class _Setting:
    """A small problem that can be made repeatedly, and on changed data."""

    data: Callable[[], Data]
    model: Model | None = None
    recipe: Mapping[str, object] = field(default_factory=dict)

    def problem(self, change: Callable[[Data], Data] = lambda data: data, *, seed: int = 1) -> TrainingProblem:
        return small_problem(change(self.data()), deepcopy(self.model), seed=seed, **self.recipe)  # type: ignore[arg-type]


_SETTINGS = {
    "classes": _Setting(blobs),
    "pictures": _Setting(pictures, Cnn(channels=(4,)), {"batch_size": 4}),
    "regression": _Setting(line, None, {"learning_rate": 0.01}),
}


def _says_where_it_cannot_run(subject: _Subject) -> None:
    for name, setting in _SETTINGS.items():
        problem = setting.problem()
        reason = subject.refusal(problem)
        if reason is not None and not (isinstance(reason, str) and reason.strip() and "\n" not in reason):
            raise ContractError(f"unsupported returned {reason!r} on {name}, expected one sentence or None")
        if problem.meter.announced:
            raise ContractError(f"unsupported trains networks on {name}")


def _estimates(subject: _Subject) -> None:
    reasons = {name: subject.refusal(setting.problem()) for name, setting in _SETTINGS.items()}
    for name, setting in _SETTINGS.items():
        if reasons[name] is None:
            try:
                subject.estimate(setting.problem())
            except ContractError as error:
                raise ContractError(f"on {name}: {error}") from error
            except Exception as error:
                raise ContractError(f"on {name}: {described(error)}", _OR_UNSUPPORTED) from error
    if None not in reasons.values():
        reason = next(iter(reasons.values()))
        raise ContractError(f"it is unsupported on all of {', '.join(reasons)}: {reason}")


def _same_seed_same_bytes(subject: _Subject) -> None:
    _assert_same(subject.any_estimate(), subject.any_estimate(), tolerance=0, said="two runs with one seed")


def _draws_as_declared(subject: _Subject) -> None:
    if subject.estimator.draws:
        raise NotApplicable("it declares that it draws")
    other = subject.estimate(subject.setting.problem(seed=2))
    _assert_same(
        subject.any_estimate(), other, tolerance=0, said="runs with two seeds, though it declares draws = False"
    )


def _follows_train_points(subject: _Subject) -> None:
    n_train = len(subject.setting.data().train)
    order = torch.randperm(n_train, generator=torch.Generator().manual_seed(3))
    reordered = subject.on_changed(lambda data: permuted(data, order))
    expected = _apply(subject.any_estimate(), lambda scores: scores[order])
    _assert_same(expected, reordered, tolerance=subject.tolerance, said="scores of train points in another order")


def _follows_test_points(subject: _Subject) -> None:
    some = torch.tensor([3, 0, 2])
    whole = subject.any_estimate()
    part = subject.on_changed(lambda data: Data(data.train, data.test.rows(some), data.n_classes))
    expected = replace(whole, influence=None if whole.influence is None else whole.influence[:, some])
    _assert_same(expected, part, tolerance=subject.tolerance, said="scores for some of the test points, alone")


def _duplicates(subject: _Subject) -> None:
    twice = subject.on_changed(_with_a_duplicate)
    tables = [scores for scores in (twice.influence, twice.memorization) if scores is not None]
    alike = all(
        float((scores[0] - scores[1]).abs().max()) <= subject.tolerance * float(scores.abs().max()) for scores in tables
    )
    if subject.estimator.scores_duplicates_alike and not alike:
        raise ContractError(
            "two train points with the same input and label score differently, but it declares that they score alike"
        )
    scores_them = any(bool(scores[:2].any()) for scores in tables)  # zeros are alike in sparse scores
    if alike and scores_them and not subject.estimator.scores_duplicates_alike:
        raise ContractError(
            "two train points with the same input and label score alike, but it declares that they need not"
        )


def _leaves_the_data_alone(subject: _Subject) -> None:
    if "data" in subject.changed():
        raise ContractError("it wrote into the data it was given")


def _leaves_the_model_alone(subject: _Subject) -> None:
    if changed := [name for name in subject.changed() if name != "data"]:
        raise ContractError(f"it changed the fields of the {' and the '.join(changed)} it was given")


def _leaves_the_process_alone(subject: _Subject) -> None:
    problem = subject.setting.problem()
    with changes() as changed:
        subject.estimator.estimate(problem)
    assert_unchanged(changed, type(subject.estimator), "it")


def _signs_agree(subject: _Subject) -> None:
    """Compare with exact effects of least squares, and with measured effects on classes."""
    checked = 0
    for problem, influence, memorization in (effects_on_regression(), effects_on_classes()):
        if subject.refusal(problem) is not None:
            continue
        estimate = subject.estimate(problem)
        own = None if estimate.memorization is None else estimate.memorization[:, None]
        for quantity, scores, truth in (
            ("influence", estimate.influence, influence),
            ("memorization", own, memorization),
        ):
            if scores is not None and truth is not None:
                checked += 1
                _assert_no_opposite(quantity, scores, truth)
    if not checked:
        raise NotApplicable("it cannot run on the problems whose effects are known")


def _traces_end_in_the_estimate(subject: _Subject) -> None:
    last = subject.traced()[-1]
    expected = subject.any_estimate()
    _assert_same(expected, last, tolerance=subject.tolerance, said="the last step of a trace and the estimate")


def _scores_are_new_tensors(subject: _Subject) -> None:
    """Overwrite what it returns, and run it again; each of the two must leave the other alone."""
    problem = subject.setting.problem()
    first = subject.unchecked()
    expected = checked_estimate(first, problem.data)
    subject.on_changed(_reversed)
    kept = checked_estimate(first, problem.data)
    _assert_same(expected, kept, tolerance=0, said="scores before and after a further estimate")
    _overwrite(first)
    again = subject.any_estimate()
    _assert_same(expected, again, tolerance=0, said="scores after the earlier ones were overwritten by the caller")


def _steps_are_new_tensors(subject: _Subject) -> None:
    expected = subject.traced()
    found = subject.traced(then=_overwrite)
    for untouched, one in zip(expected, found, strict=True):
        said = "scores of a trace of which each step is overwritten by the caller"
        _assert_same(untouched, one, tolerance=0, said=said)


_PROMISES = [
    Promise(
        "unsupported",
        "says in a sentence where it cannot run, without training",
        "return None or one line of text from `unsupported`, based on problem.data and problem.model",
        _says_where_it_cannot_run,
    ),
    Promise(
        "estimate",
        "returns finite scores of the right shape on classes, pictures and regression, wherever it is supported",
        "return Estimate(influence of (n_train, n_test), memorization of (n_train,)), or say why not in `unsupported`",
        _estimates,
    ),
    Promise(
        "determinism",
        "gives the same bytes for the same seed",
        "derive every random choice from problem.seed with influbench.seeds.derive",
        _same_seed_same_bytes,
        needs="estimate",
    ),
    Promise(
        "draws",
        "gives the same bytes for every seed if it declares that it does not draw",
        "remove `draws = False` if its scores depend on problem.seed, on trained networks, or on a bank",
        _draws_as_declared,
        needs="estimate",
    ),
    Promise(
        "permutation",
        "scores follow the train points in any order",
        "draw random choices by example id (influbench.seeds.hash_integers), not by row",
        _follows_train_points,
        needs="estimate",
    ),
    Promise(
        "columns",
        "scores for a test point do not depend on the other test points",
        "treat each test point by itself, without sums over columns or random choices by column",
        _follows_test_points,
        needs="estimate",
    ),
    Promise(
        "duplicates",
        "two train points with the same input and label score alike if and only if it declares so",
        "set the class attribute `scores_duplicates_alike` to what is true",
        _duplicates,
        needs="estimate",
    ),
    Promise(
        "data",
        "leaves the data unchanged",
        "copy a tensor before changing it: problem.data.train.inputs.clone()",
        _leaves_the_data_alone,
        needs="estimate",
    ),
    Promise(
        "model",
        "leaves the model and its recipe unchanged",
        "work on problem.module(parameters), which is a copy",
        _leaves_the_model_alone,
        needs="estimate",
    ),
    Promise(
        "process",
        "leaves random states, gradient mode, default dtype and device, and the number of threads unchanged",
        "draw from a torch.Generator of your own, or within torch.random.fork_rng(); restore settings in a `finally`",
        _leaves_the_process_alone,
        needs="estimate",
    ),
    Promise(
        "sign",
        "positive means that a train point helps: scores do not contradict known leave-one-out effects",
        "change the sign: influence is the measure (higher is better) with the train point minus without it",
        _signs_agree,
        needs="estimate",
    ),
    Promise(
        "trace",
        "the last step of its trace, if it has one, is its estimate",
        "trace the same trainings that `estimate` uses, and return one Estimate for each step",
        _traces_end_in_the_estimate,
        needs="estimate",
    ),
    Promise(
        "new tensors",
        "returns new tensors: no later estimate changes them, and they change no later estimate",
        "return a copy of a tensor that you keep: scores.clone()",
        _scores_are_new_tensors,
        needs="determinism",
    ),
    Promise(
        "new tensors in traces",
        "returns new tensors for each step of its trace, if it has one",
        "return a copy of a tensor that you write into at the next step: scores.clone()",
        _steps_are_new_tensors,
        needs="trace",
    ),
]


def _followed(trace: Iterable[Estimate], then: Callable[[Estimate], object]) -> Iterator[Estimate]:
    for one in trace:
        yield one
        then(one)


def _overwrite(estimate: Estimate) -> None:
    """Write one number into every score; larger than all, so that it shows."""
    with torch.inference_mode():
        for scores in (estimate.influence, estimate.memorization):
            if scores is not None:
                memory = _without_repeats(scores.detach())
                memory.fill_(1 + 2 * float(scores.double().abs().max()))


def _without_repeats(tensor: Tensor) -> Tensor:
    """Each number of an expanded tensor once."""
    for axis, stride in enumerate(tensor.stride()):
        if stride == 0:
            tensor = tensor.narrow(axis, 0, 1)
    return tensor


def _reversed(data: Data) -> Data:
    return permuted(data, torch.arange(len(data.train)).flip(0))


def _assert_same(expected: Estimate, found: Estimate, *, tolerance: float, said: str) -> None:
    for name in ("influence", "memorization"):
        x, y = getattr(expected, name), getattr(found, name)
        if (x is None) != (y is None):
            raise ContractError(f"{said}: only one of two estimates has {name}")
        if x is not None and (off := float((x - y).abs().max())) > tolerance * float(x.abs().max()):
            raise ContractError(f"{said}: {name} is off by {off:.2g}; the largest is {float(x.abs().max()):.2g}")


def _assert_no_opposite(quantity: str, scores: Tensor, truth: Tensor) -> None:
    mean = mean_over_columns(spearman, scores, truth, whole_table(*truth.shape)).estimation
    value = 0.0 if mean is None else float(mean.value)
    if value < _OPPOSITE[quantity]:
        raise ContractError(f"{quantity} has a rank correlation of {value:.2f} with known leave-one-out effects")


def _apply(estimate: Estimate, change: Callable[[Tensor], Tensor]) -> Estimate:
    influence, memorization = (None if x is None else change(x) for x in (estimate.influence, estimate.memorization))
    return replace(estimate, influence=influence, memorization=memorization)


def _with_a_duplicate(data: Data) -> Data:
    """The data with train points 0 and 1 made equal except for their ids."""
    train = Split(data.train.inputs.clone(), data.train.labels.clone(), data.train.ids)
    train.inputs[1], train.labels[1] = train.inputs[0], train.labels[0]
    return Data(train, data.test, data.n_classes)
