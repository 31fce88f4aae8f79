"""Runs a plan: ground truth first, then every estimator against it. The one place that orders the steps."""

from collections.abc import Collection, Generator, Iterator, Sequence
from pathlib import Path
from time import perf_counter

import torch

from influbench.api import Data, Estimate, Estimator, Shard
from influbench.engine.estimating import estimated
from influbench.engine.events import (
    EstimatorDone,
    EstimatorStarted,
    Event,
    ProblemDone,
    ProblemFailed,
    ProblemStarted,
    RunDone,
    ShardDone,
    SubsetsDone,
    TruthDone,
    TruthExtended,
)
from influbench.engine.fronts import fronts
from influbench.engine.judgement import Judge, Trace, unjudged
from influbench.engine.obstacles import Obstacle, in_words
from influbench.engine.preparation import Candidate, Prepared, prepare, resolved
from influbench.errors import InflubenchError, PluginError, UsageError, whole_traceback
from influbench.plan import ALL, Plan
from influbench.problem import TrainingProblem
from influbench.registry import Registry, installed
from influbench.resources import Resources
from influbench.results import Cell, Failure, Labels, ProblemRecord, Result, Results
from influbench.shards import gather, in_order
from influbench.statistics.comparison import influence_yardstick, statistic
from influbench.store.run_directory import RunDirectory, new_directory
from influbench.store.truths import Truths, exported_key
from influbench.training.loop import Trainer
from influbench.truth.leave_one_out import GroundTruth, Truth
from influbench.truth.linear_datamodeling import SubsetEffects, subset_banks, subset_effects


def run(
    plan: Plan,
    *,
    directory: Path | None,
    registry: Registry | None = None,
    required: Collection[str] = (),
    resources: Resources | None = None,
    truth_file: Path | None = None,
) -> Iterator[Event]:
    """Run the plan and write the run directory (a new one below `runs` if None), telling what happens.

    Names, values, data and models are checked before the first training. An estimator that raises or returns what it
    must not becomes a failed cell and the others go on; so do the other problems of a plan when one fails.
    `required` names the estimators for which being unsupported on every problem is an error. `resources` say where and
    within what the truth is trained; they do not change what comes out. `truth_file` is an exported truth of one of the
    plan's problems.
    """
    registry, resources = registry or installed(), resources or Resources()
    named = set(plan.estimators) - {ALL}
    plan = resolved(plan, registry)
    required = set(required) - {ALL}
    prepared, failures = prepare(plan, registry, named=named, required=required, resources=resources)
    if truth_file is not None:
        _take_truth(truth_file, prepared, resources)
    target = RunDirectory(directory or new_directory(plan.name))
    target.begin(plan)
    several = len(prepared) + len(failures) > 1
    results: list[Result] = []
    yield from map(ProblemFailed, failures)
    for index, problem in enumerate(prepared):
        try:
            for event in _run_problem(plan, problem, index, len(prepared), target, resources):
                if isinstance(event, ProblemDone):
                    results.append(event.result)
                yield event
        except Exception as error:
            if not several:
                target.withdraw()
                raise _in_our_terms(error, problem) from error
            failures.append(
                Failure(problem=problem.plan.name, status="failed", reason=in_words(error), traceback=whole_traceback())
            )
            yield ProblemFailed(failures[-1])
    whole: Result | Results = (
        Results(plan=plan.name, seed=plan.seed, results=tuple(results), failures=tuple(failures))
        if several
        else results[0]
    )
    target.write_result(whole)
    yield RunDone(target.path, whole)


def _in_our_terms(error: Exception, problem: Prepared) -> InflubenchError:
    if isinstance(error, InflubenchError):
        return error
    return PluginError(in_words(error, f"training {problem.plan.name}"))


def _run_problem(
    plan: Plan,
    prepared: Prepared,
    index: int,
    n_problems: int,
    target: RunDirectory,
    resources: Resources,
) -> Iterator[Event]:
    trainer = prepared.trainer
    yield ProblemStarted(prepared.plan.name, index, n_problems)
    Truths(resources.cache).describe(prepared.ground_truth.key, _about(plan, prepared))
    truth = yield from _train_truth(prepared.ground_truth, resources)
    _write_truth(target, prepared, truth)
    subsets = yield from _train_subsets(plan, trainer, resources)
    judge = Judge(truth, trainer.data, subsets, wrong=prepared.labels.wrong)
    trace = Trace({**truth.earlier, trainer.n_steps: truth}, trainer.data) if truth.earlier else None
    cells: list[Cell] = []
    for number, candidate in enumerate(prepared.candidates):
        name = str(candidate.selector)
        yield EstimatorStarted(name, number, len(prepared.candidates), tuple(view.meter for view in candidate.problems))
        found = _run_estimator(prepared, candidate, judge, trace, target)
        cells += found
        yield EstimatorDone(name, found)
    compared, comparisons = judge.compared(cells)
    yield ProblemDone(
        Result(
            plan=plan.name,
            seed=plan.seed,
            problem=_problem_record(plan, prepared),
            truth=judge.truth_record().model_copy(update={"key": prepared.ground_truth.key}),
            cells=compared,
            comparisons=comparisons,
            fronts=fronts(compared),
            trace=trace.points() if trace else (),
        )
    )


def _train_truth(ground_truth: GroundTruth, resources: Resources) -> Generator[Event, None, Truth]:
    """The truth with the plan's seeds; with more of them, where the plan asks for a reliability."""
    shards: list[Shard] = []
    while True:
        for shard in gather(ground_truth, resources, known=shards):
            shards.append(shard)
            yield ShardDone(len(shards), len(ground_truth.names), shard.reused, shard.warning)
        truth = ground_truth.assemble(in_order(shards))
        further = ground_truth.further(truth)
        if further is None or ground_truth.reliability is None:
            yield TruthDone(truth.n_seeds)
            return truth
        known = statistic(influence_yardstick(truth.influence).reliability.reliability)
        yield TruthExtended(truth.n_seeds, known, ground_truth.reliability)
        ground_truth = further


def _train_subsets(plan: Plan, trainer: Trainer, resources: Resources) -> Generator[Event, None, SubsetEffects | None]:
    """The second truth, where the plan asks for one."""
    if not plan.truth.subsets:
        return None
    ratio = plan.truth.subset_ratio
    banks = subset_banks(trainer, plan.seed, n_subsets=plan.truth.subsets, ratio=ratio)
    n_shards, n_done, found = sum(len(bank.names) for bank in banks), 0, []
    for bank in banks:
        shards: list[Shard] = []
        for shard in gather(bank, resources):
            shards.append(shard)
            n_done += 1
            yield ShardDone(n_done, n_shards, shard.reused, shard.warning, of_subsets=True)
        found.append(bank.assemble(in_order(shards)))
    yield SubsetsDone(plan.truth.subsets)
    return subset_effects(found, ratio=ratio)


def _run_estimator(
    prepared: Prepared,
    candidate: Candidate,
    judge: Judge,
    trace: Trace | None,
    target: RunDirectory,
) -> tuple[Cell, ...]:
    name, estimator, data = str(candidate.selector), candidate.estimator, prepared.trainer.data
    if candidate.obstacle is not None or estimator is None:
        assert candidate.obstacle is not None
        return unjudged(candidate.selector.name, name, data, candidate.obstacle)
    repeats: list[list[Estimate]] = []
    obstacle, start = None, perf_counter()
    for problem in candidate.problems:
        found = _estimate(candidate.supplied, estimator, problem, trace.steps if trace else ())
        if isinstance(found, Obstacle):
            obstacle = found
            break
        repeats.append(found)
    estimates = [of_repeat[-1] for of_repeat in repeats]
    n_run = len(estimates) + (obstacle is not None)
    cost: dict[str, float | None] = {"seconds": None, "training_equivalents": None}
    if estimator.cost_is_counted:
        cost = {
            "seconds": (perf_counter() - start) / n_run,
            "training_equivalents": sum(problem.meter.trainings for problem in candidate.problems) / n_run,
        }
    if obstacle is not None:
        return tuple(cell.model_copy(update=cost) for cell in unjudged(candidate.selector.name, name, data, obstacle))
    scores = target.write_scores(prepared.plan.name, name, _arrays(estimates, candidate.problems[0]))
    judged = judge.cells(candidate.selector.name, name, estimates)
    if trace and all(len(of_repeat) == len(trace.steps) for of_repeat in repeats):
        trace.add(candidate.selector.name, name, repeats)
    return tuple(cell.model_copy(update={**cost, "scores": scores}) for cell in judged)


def _estimate(
    who: str, estimator: Estimator, problem: TrainingProblem, steps: Sequence[int]
) -> list[Estimate] | Obstacle:
    """What the estimator returns, after each of `steps` if it can be traced; or what went wrong."""
    try:
        return estimated(estimator, problem, who=who, steps=steps)
    except Exception as error:
        return Obstacle("failed", in_words(error, who), whole_traceback())


def _arrays(estimates: Sequence[Estimate], problem: TrainingProblem) -> dict[str, torch.Tensor]:
    """What is stored of the estimates, in the problem's dtype, with the ids of its rows and columns.

    Those of further repeats are named `influence@1`, `influence@2` and so on.
    """
    scores = {
        f"{quantity}@{repeat}" if repeat else quantity: values.to(problem.dtype)
        for repeat, estimate in enumerate(estimates)
        for quantity, values in (("influence", estimate.influence), ("memorization", estimate.memorization))
        if values is not None
    }
    return {**_ids(problem.data), **scores}


def _write_truth(target: RunDirectory, prepared: Prepared, truth: Truth) -> None:
    """The mean truth, the labels and which of them are random, beside the scores that are judged by it."""
    data = prepared.trainer.data
    tensors = {
        **_ids(data),
        "train_labels": data.train.labels,
        "test_labels": data.test.labels,
        "influence": truth.influence.mean(0).to(prepared.trainer.dtype),
        "label_drawn": prepared.labels.drawn,
        "label_wrong": prepared.labels.wrong,
    }
    if truth.memorization is not None:
        tensors["memorization"] = truth.memorization.mean(0).to(prepared.trainer.dtype)
    target.write_scores(prepared.plan.name, "truth", tensors)


def _ids(data: Data) -> dict[str, torch.Tensor]:
    return {"train_ids": data.train.ids, "test_ids": data.test.ids}


def _take_truth(path: Path, prepared: Sequence[Prepared], resources: Resources) -> None:
    """Store an exported truth, if it is that of one of the problems."""
    key, of_problem = exported_key(path)
    if key not in {problem.ground_truth.key for problem in prepared}:
        raise UsageError(
            f"{path} holds the truth of {of_problem}, and no problem of this plan has that key: data, model, recipe, "
            "random labels or root seed differ"
        )
    Truths(resources.cache).take(path)


def _about(plan: Plan, prepared: Prepared) -> dict[str, object]:
    """What a stored truth is of, for people."""
    record = _problem_record(plan, prepared).model_dump(mode="json")
    return {"problem": record.pop("name"), "root_seed": plan.seed, "steps": list(plan.truth.steps), **record}


def _problem_record(plan: Plan, prepared: Prepared) -> ProblemRecord:
    trainer, labels = prepared.trainer, prepared.labels
    return ProblemRecord(
        name=prepared.plan.name,
        dataset=prepared.plan.dataset,
        model=prepared.plan.model,
        n_train=len(trainer.data.train),
        n_test=len(trainer.data.test),
        n_classes=trainer.data.n_classes,
        fewest_in_class=_fewest_in_class(trainer.data),
        n_parameters=sum(p.numel() for p in trainer.initial_parameters(0).values()),
        measure=trainer.measure,
        random_labels=Labels(
            fraction=prepared.plan.random_labels,
            n_drawn=int(labels.drawn.sum()),
            n_wrong=int(labels.wrong.sum()),
        ),
        recipe=trainer.rule.settings(),
        n_steps=trainer.n_steps,
        dtype=plan.problem.dtype,
        device=str(trainer.device),
    )


def _fewest_in_class(data: Data) -> int | None:
    """Train points of a test point's class, at the least."""
    if data.n_classes is None:
        return None
    return int(data.train.labels.bincount(minlength=data.n_classes)[data.test.labels].min())
