"""Descriptions of what was trained and judged, as records and in words."""

from collections.abc import Mapping

from influbench.api import Data
from influbench.engine.judgement import Bench
from influbench.engine.obstacles import Obstacle
from influbench.engine.preparation import Prepared
from influbench.engine.seats import Seat, attempt
from influbench.engine.trainings import Finished, Trained
from influbench.plan import Plan
from influbench.results import Fit, JudgeRecord, LabelNoise, ProblemRecord


def problem_record(plan: Plan, prepared: Prepared, fit: Fit | None = None) -> ProblemRecord:
    """The problem, with the key that problems of the same trainings share, and how well the networks fit."""
    trainer, labels = prepared.trainer, prepared.labels
    return ProblemRecord(
        name=prepared.plan.name,
        key=prepared.judged.ground_truth.key,
        dataset=prepared.plan.dataset,
        model=prepared.plan.model,
        n_train=len(trainer.data.train),
        n_test=len(trainer.data.test),
        n_duplicates=prepared.n_duplicates,
        n_classes=trainer.data.n_classes,
        n_parameters=sum(p.numel() for p in trainer.initial_parameters(0).values()),
        measure=trainer.measure,
        random_labels=LabelNoise(
            fraction=prepared.plan.random_labels,
            n_drawn=int(labels.drawn.sum()),
            n_wrong=int(labels.wrong.sum()),
        ),
        recipe=trainer.rule.settings(),
        n_steps=trainer.n_steps,
        dtype=plan.problem.dtype,
        device=str(trainer.device),
        fit=fit,
        class_names=None if trainer.data.class_names is None else tuple(trainer.data.class_names),
        notes=tuple(trainer.data.notes),
    )


_MOST_CLASSES = 10  # names of classes that fit into one sentence


def data_in_words(data: Data) -> str:
    """The numbers of points, the shape of inputs, and the classes, and then what the data set says about itself."""
    shape = tuple(data.train.inputs.shape[1:])
    pixels = ""
    if len(shape) == 3:
        pixels = f" ({shape[0]} channel{'s' * (shape[0] != 1)} of {shape[1]} x {shape[2]} pixels)"
    points = f"{_count(len(data.train), 'train point')} and {_count(len(data.test), 'test point')}"
    return " ".join([f"{points} of {'x'.join(map(str, shape))} numbers{pixels}, {_classes(data)}.", *data.notes])


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}{'s' * (n != 1)}"


def _classes(data: Data) -> str:
    if data.n_classes is None:
        return "regression"
    if data.class_names is None:
        return f"{data.n_classes} classes"
    more = f" and {data.n_classes - _MOST_CLASSES} more" if data.n_classes > _MOST_CLASSES else ""
    return f"{data.n_classes} classes ({', '.join(data.class_names[:_MOST_CLASSES])}{more})"


def about(plan: Plan, prepared: Prepared) -> dict[str, object]:
    """A description of a stored truth, for people."""
    record = problem_record(plan, prepared).model_dump(mode="json")
    del record["key"], record["fit"], record["class_names"], record["notes"]
    return {"problem": record.pop("name"), "root_seed": plan.seed, "steps": list(plan.truth.steps), **record}


def judge_record(seat: Seat, trained: Trained, benches: Mapping[int, Bench]) -> JudgeRecord:
    """A judge with what its trainings took, or why it did not judge."""
    in_order = [benches[step] for step in sorted(benches, reverse=True)]
    failures = [bench.failures[seat.name] for bench in in_order if seat.name in bench.failures]
    obstacle = seat.obstacle or trained.obstacles.get(seat.name) or next(iter(failures), None)
    finished = trained.by_judge.get(seat.name, [])
    estimand: str | Obstacle = ""
    if obstacle is None:
        estimand = attempt(seat.supplied, lambda: seat.estimand([one.result for one in finished]))
    if isinstance(estimand, Obstacle):
        obstacle, estimand = estimand, ""
    record = JudgeRecord(
        name=seat.name,
        status="ok" if obstacle is None else obstacle.status,
        reason=None if obstacle is None else obstacle.reason,
        traceback=None if obstacle is None else obstacle.traceback,
        estimand=estimand,
        columns=tuple(column.key for column in seat.columns if column.key in in_order[0].yardsticks),
    )
    return record.model_copy(update=_spent(finished))


def _spent(finished: list[Finished]) -> dict[str, int | float]:
    shards = [shard for one in finished for shard in one.shards]
    return {
        "n_trainings": sum(one.n_trainings for one in finished),
        "seconds": sum(shard.seconds for shard in shards),
        "n_shards": len(shards),
        "n_shards_reused": sum(shard.reused for shard in shards),
    }
