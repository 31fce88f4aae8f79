"""Runs a plan: ground truth first, then every estimator against it. The one place that orders the steps."""

from collections.abc import Collection, Iterator
from dataclasses import asdict
from pathlib import Path
from time import perf_counter
from traceback import format_exc

import torch

from influbench.api import Data, Estimate
from influbench.engine.boundary import checked_estimate, isolated
from influbench.engine.events import (
    EstimatorDone,
    EstimatorStarted,
    Event,
    ProblemDone,
    ProblemFailed,
    ProblemStarted,
    RunDone,
    ShardDone,
    TruthDone,
)
from influbench.engine.judgement import Judge, unjudged
from influbench.engine.preparation import Candidate, Prepared, prepare
from influbench.errors import InflubenchError
from influbench.plan import Plan
from influbench.problem import TrainingProblem
from influbench.registry import Registry, installed
from influbench.results import Cell, Failure, Labels, ProblemRecord, Result, Results
from influbench.store.cache import Cache
from influbench.store.run_directory import RunDirectory
from influbench.truth.leave_one_out import Truth, assemble, leave_one_out, shard_names


def run(
    plan: Plan,
    *,
    directory: Path,
    cache: Cache,
    registry: Registry | None = None,
    required: Collection[str] = (),
) -> Iterator[Event]:
    """Run the plan and write the run directory, telling what happens.

    Names, values, data and models are checked before the first training. An estimator that raises or returns what it
    must not becomes a failed cell and the others go on; so do the other problems of a plan when one fails.
    `required` names the estimators for which being unsupported on every problem is an error.
    """
    prepared = prepare(plan, registry or installed(), required=required)
    target = RunDirectory(directory)
    target.begin(plan)
    results: list[Result] = []
    failures: list[Failure] = []
    for index, problem in enumerate(prepared):
        try:
            for event in _run_problem(plan, problem, index, len(prepared), target, cache):
                if isinstance(event, ProblemDone):
                    results.append(event.result)
                yield event
        except Exception as error:
            if len(prepared) == 1:
                raise
            reason = str(error) if isinstance(error, InflubenchError) else f"{type(error).__name__}: {error}"
            failures.append(Failure(problem=problem.plan.name, reason=reason, traceback=format_exc()))
            yield ProblemFailed(failures[-1])
    whole: Result | Results = (
        results[0]
        if len(prepared) == 1
        else Results(plan=plan.name, seed=plan.seed, results=tuple(results), failures=tuple(failures))
    )
    target.write_result(whole)
    yield RunDone(directory, whole)


def _run_problem(
    plan: Plan, prepared: Prepared, index: int, n_problems: int, target: RunDirectory, cache: Cache
) -> Iterator[Event]:
    trainer = prepared.trainer
    n_train, n_seeds = len(trainer.data.train), plan.truth.seeds
    n_shards = len(shard_names(n_train, n_seeds))
    yield ProblemStarted(prepared.plan.name, index, n_problems, n_shards)
    shards = []
    for shard in leave_one_out(trainer, cache, root_seed=plan.seed, n_seeds=n_seeds):
        shards.append(shard)
        yield ShardDone(len(shards), n_shards, shard.reused, shard.warning)
    truth = assemble(shards, measure=trainer.measure, n_train=n_train, n_seeds=n_seeds)
    yield TruthDone(n_seeds)
    _write_truth(target, prepared, truth)
    judge = Judge(truth, trainer.data)
    cells: list[Cell] = []
    for number, candidate in enumerate(prepared.candidates):
        name = str(candidate.selector)
        yield EstimatorStarted(name, number, len(prepared.candidates), candidate.problem.meter)
        found = _run_estimator(prepared, candidate, judge, target)
        cells += found
        yield EstimatorDone(name, found)
    yield ProblemDone(
        Result(
            plan=plan.name,
            seed=plan.seed,
            problem=_problem_record(plan, prepared),
            truth=judge.truth_record(),
            cells=tuple(cells),
        )
    )


def _run_estimator(prepared: Prepared, candidate: Candidate, judge: Judge, target: RunDirectory) -> tuple[Cell, ...]:
    estimator, name, problem = candidate.selector.name, str(candidate.selector), candidate.problem
    data = problem.data
    if candidate.unsupported is not None:
        return unjudged(estimator, name, data, status="unsupported", reason=candidate.unsupported)
    start = perf_counter()
    try:
        with isolated(problem.seed):
            returned = candidate.estimator.estimate(problem)
        seconds = perf_counter() - start
        estimate = checked_estimate(returned, n_train=len(data.train), n_test=len(data.test))
    except Exception as error:
        message = (
            f"{name}: {error}"
            if isinstance(error, InflubenchError)
            else f"{name} raised {type(error).__name__}: {error}"
        )
        return unjudged(estimator, name, data, status="failed", reason=message, traceback=format_exc())
    scores = target.write_scores(prepared.plan.name, name, _arrays(estimate, problem))
    return tuple(
        cell.model_copy(update={"seconds": seconds, "training_equivalents": problem.meter.trainings, "scores": scores})
        for cell in judge.cells(estimator, name, estimate)
    )


def _arrays(estimate: Estimate, problem: TrainingProblem) -> dict[str, torch.Tensor]:
    """What is stored of an estimate, in the problem's dtype, with the ids of its rows and columns."""
    scores = {"influence": estimate.influence, "memorization": estimate.memorization}
    return {
        **_ids(problem.data),
        **{quantity: values.to(problem.dtype) for quantity, values in scores.items() if values is not None},
    }


def _write_truth(target: RunDirectory, prepared: Prepared, truth: Truth) -> None:
    """The mean truth and the random labels' flags, beside the scores that are judged by it."""
    tensors = {
        **_ids(prepared.trainer.data),
        "influence": truth.influence.mean(0).to(prepared.trainer.dtype),
        "label_drawn": prepared.labels.drawn,
        "label_wrong": prepared.labels.wrong,
    }
    if truth.memorization is not None:
        tensors["memorization"] = truth.memorization.mean(0).to(prepared.trainer.dtype)
    target.write_scores(prepared.plan.name, "truth", tensors)


def _ids(data: Data) -> dict[str, torch.Tensor]:
    return {"train_ids": data.train.ids, "test_ids": data.test.ids}


def _problem_record(plan: Plan, prepared: Prepared) -> ProblemRecord:
    trainer, labels = prepared.trainer, prepared.labels
    return ProblemRecord(
        name=prepared.plan.name,
        dataset=prepared.plan.dataset,
        model=prepared.plan.model,
        n_train=len(trainer.data.train),
        n_test=len(trainer.data.test),
        n_classes=trainer.data.n_classes,
        n_parameters=sum(p.numel() for p in trainer.initial_parameters(0).values()),
        measure=trainer.measure,
        random_labels=Labels(
            fraction=prepared.plan.random_labels,
            n_drawn=int(labels.drawn.sum()),
            n_wrong=int(labels.wrong.sum()),
        ),
        recipe=asdict(trainer.recipe),
        n_steps=trainer.n_steps,
        dtype=plan.problem.dtype,
        device=str(trainer.device),
    )
