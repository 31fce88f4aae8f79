"""Runs a plan: what the judges train first, then every estimator against it. The one place that orders the steps."""

from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter

from influbench.api import Estimate, Estimator
from influbench.engine.described import about, judge_record, problem_record
from influbench.engine.estimating import estimated, same_scores
from influbench.engine.events import (
    AccuracyMeasured,
    EstimatorDone,
    EstimatorStarted,
    Event,
    ProblemDone,
    ProblemFailed,
    ProblemStarted,
    RunDone,
)
from influbench.engine.fronts import fronts
from influbench.engine.judgement import Bench, Trace, unjudged
from influbench.engine.obstacles import Obstacle, in_words
from influbench.engine.preparation import Candidate, Prepared, fitting_truth, prepare, resolved
from influbench.engine.trainings import Trained, train_for
from influbench.engine.written import score_tensors, write_truth, yardstick_arrays
from influbench.errors import InflubenchError, PluginError, whole_traceback
from influbench.plan import ALL, Plan
from influbench.problem import TrainingProblem
from influbench.registry import Registry, installed
from influbench.resources import Resources
from influbench.results import Cell, Failure, Fit, Result, Results
from influbench.shards import gather, in_order
from influbench.store.run_directory import RunDirectory, new_directory
from influbench.store.truths import Truths
from influbench.truth.fit import OrdinaryTrainings
from influbench.truth.leave_one_out import GroundTruth


def run(
    plan: Plan,
    *,
    directory: Path | None,
    registry: Registry | None = None,
    required: Collection[str] = (),
    resources: Resources | None = None,
    truth_file: Path | None = None,
) -> Iterator[Event]:
    """Run the plan and write the run directory (a new one below `runs` if None), reporting what happens.

    Names, values, data and models are checked before the first training. An estimator that raises or returns what it
    must not becomes a failed cell, a judge that raises loses its own columns, and the others still run; so do the other
    problems of a plan when one fails. `required` names the estimators for which being unsupported on every problem is
    an error. `resources` say where and within what limits networks are trained; they do not change what comes out.
    `truth_file` is an exported truth of one of the plan's problems.
    """
    registry, resources = registry or installed(), resources or Resources()
    named = set(plan.estimators) - {ALL}
    plan = resolved(plan, registry)
    required = set(required) - {ALL}
    prepared, failures = prepare(plan, registry, named=named, required=required, resources=resources)
    if truth_file is not None:
        fitting_truth(truth_file, prepared)
        Truths(resources.cache).take(truth_file)
    target = RunDirectory(directory or new_directory(plan.name))
    target.begin(plan)
    only_one = len(prepared) + len(failures) == 1
    results: list[Result] = []
    yield from map(ProblemFailed, failures)
    for index, problem in enumerate(prepared):
        try:
            for event in _run_problem(plan, problem, index, len(prepared), target, resources):
                if isinstance(event, ProblemDone):
                    results.append(event.result)
                yield event
        except Exception as error:
            if only_one:
                target.withdraw()
                raise _in_our_terms(error, problem) from error
            failures.append(
                Failure(problem=problem.plan.name, status="failed", reason=in_words(error), traceback=whole_traceback())
            )
            yield ProblemFailed(failures[-1])
    found = Results(plan=plan.name, seed=plan.seed, results=tuple(results), failures=tuple(failures))
    target.write_result(found)
    yield RunDone(target.path, found)


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
    name, data = prepared.plan.name, prepared.trainer.data
    yield ProblemStarted(name, index, n_problems)
    ground_truth = prepared.judged.ground_truth
    if any(work.folder == ground_truth.folder for seat in prepared.seats for work in seat.works):
        Truths(resources.cache).describe(ground_truth.key, about(plan, prepared))
    trained = yield from train_for(prepared.seats, resources, problem=name)
    truth = trained.finished_in(ground_truth.folder)
    write_truth(target, name, data, prepared.labels, truth.result if truth else None)
    benches = _benches(prepared, trained)
    fit = yield from _fit(replace(ground_truth, n_seeds=truth.result.n_seeds) if truth else ground_truth, resources)
    bench = benches[prepared.trainer.n_steps]
    target.write_yardsticks(name, yardstick_arrays(bench.yardsticks, prepared.trainer.dtype, bench.derived))
    trace = Trace(benches) if len(benches) > 1 else None
    cells: list[Cell] = []
    for number, candidate in enumerate(prepared.candidates):
        views = (*candidate.draws, *candidate.handed.values())
        selector, meters = str(candidate.selector), tuple(view.meter for view in views)
        yield EstimatorStarted(selector, number, len(prepared.candidates), meters)
        cells.append(_run_estimator(prepared, candidate, bench, trace, target))
        yield EstimatorDone(selector, cells[-1])
    compared, comparisons = bench.compared(cells)
    judges = tuple(judge_record(seat, trained, benches) for seat in prepared.seats)
    yield ProblemDone(
        Result(
            problem=problem_record(plan, prepared, fit),
            judges=judges,
            columns=bench.columns(),
            trust=bench.trust(),
            cells=compared,
            one_seed=bench.one_seed({judge.name: judge.seconds for judge in judges}),
            comparisons=comparisons,
            fronts=fronts(compared, bench.yardsticks),
            trace=trace.points() if trace else (),
        )
    )


def _fit(ground_truth: GroundTruth, resources: Resources) -> Generator[AccuracyMeasured, None, Fit]:
    """The accuracy of the truth's ordinary trainings. No estimator is charged for them."""
    work, shards = OrdinaryTrainings.of(ground_truth), []
    for shard in gather(work, resources):
        shards.append(shard)
        yield AccuracyMeasured(len(shards), len(work.names), shard.warning)
    return work.assemble(in_order(shards))


def _benches(prepared: Prepared, trained: Trained) -> dict[int, Bench]:
    """All judges after each step at which the truth is stored. PluginError where none of them has anything to say."""
    benches = {
        step: Bench(prepared.seats, trained.results, step=step) for step in prepared.judged.ground_truth.kept_steps
    }
    last = benches[prepared.trainer.n_steps]
    if not last.yardsticks:
        raise PluginError(next(one.reason for one in (*trained.obstacles.values(), *last.failures.values())))
    return benches


def _run_estimator(
    prepared: Prepared, candidate: Candidate, bench: Bench, trace: Trace | None, target: RunDirectory
) -> Cell:
    name, estimator = str(candidate.selector), candidate.estimator
    if candidate.obstacle is not None or estimator is None:
        assert candidate.obstacle is not None
        return unjudged(candidate.selector.name, name, candidate.obstacle)
    repeats: list[list[Estimate]] = []
    obstacle, start = None, perf_counter()
    for problem in candidate.draws:
        found = _estimate(candidate.supplied, estimator, problem, trace.steps if trace else ())
        if isinstance(found, Obstacle):
            obstacle = found
            break
        repeats.append(found)
    n_run = len(repeats) + (obstacle is not None)
    cost: dict[str, float | None] = {"seconds": None, "training_equivalents": None}
    if estimator.cost_is_counted:
        cost = {
            "seconds": (perf_counter() - start) / n_run,
            "training_equivalents": sum(problem.meter.trainings for problem in candidate.draws) / n_run,
        }
    if obstacle is not None:
        return unjudged(candidate.selector.name, name, obstacle).model_copy(update=cost)
    repeats = _different(repeats) if estimator.draws else repeats
    estimates = [of_repeat[-1] for of_repeat in repeats]
    handed = _with_runs(candidate.supplied, estimator, candidate.handed)
    cell = bench.cell(candidate.selector.name, name, estimates, draws=estimator.draws, handed=handed)
    if cell.status == "failed":
        return cell.model_copy(update={**cost, "reason": f"{candidate.supplied}: {cell.reason}"})
    scores = score_tensors(prepared.trainer.data, estimates, bench.held_apart(estimates, handed))
    place = target.write_scores(prepared.plan.name, name, scores)
    if trace and all(len(of_repeat) == len(trace.steps) for of_repeat in repeats):
        trace.add(candidate.selector.name, name, repeats, draws=estimator.draws)
    return cell.model_copy(update={**cost, "scores": place})


def _with_runs(
    who: str, estimator: Estimator, problems: Mapping[int, TrainingProblem]
) -> Mapping[int, Estimate] | Obstacle:
    """The estimates with one of the truth's runs in hand, by its seed; or what went wrong. They are not charged."""
    found = {}
    for run, problem in problems.items():
        estimates = _estimate(who, estimator, problem, ())
        if isinstance(estimates, Obstacle):
            return estimates
        found[run] = estimates[-1]
    return found


def _different(repeats: list[list[Estimate]]) -> list[list[Estimate]]:
    """The repeats; only one of them, with a note, if all have the same scores."""
    first, *others = [of_repeat[-1] for of_repeat in repeats]
    if not others or not all(same_scores(first, other) for other in others):
        return repeats
    notes = [note for of_repeat in repeats for note in of_repeat[-1].notes]
    notes.append(
        f"all of its {len(repeats)} draws have the same scores and count as one; if it never draws at random, set "
        "`draws = False` in its class"
    )
    return [[replace(one, notes=notes) for one in repeats[0]]]


def _estimate(
    who: str, estimator: Estimator, problem: TrainingProblem, steps: Sequence[int]
) -> list[Estimate] | Obstacle:
    """The estimates, after each of `steps` if the estimator can be traced; or what went wrong."""
    try:
        return estimated(estimator, problem, who=who, steps=steps)
    except Exception as error:
        return Obstacle("failed", in_words(error, who), whole_traceback())
