"""Explanations of one point of a run: who helps and hurts it, and by whose account."""

from collections.abc import Mapping

import torch
from torch import Tensor

from influbench.errors import UsageError
from influbench.reading.stored import TRUTH, Stored
from influbench.results import Account, Effect, ExplanationRecord, MemorizationAccount, Side, Strongest
from influbench.statistics.retrieval import membership


def explain_point(stored: Stored, *, test: int | None, train: int | None, k: int = 5) -> ExplanationRecord:
    """The explanation of the test point or of the train point of this id; pass one of the two.

    UsageError if none or both are, or if the problem lacks that point.
    """
    if test is not None and train is None:
        return explain_test(stored, test, k=k)
    if train is not None and test is None:
        return explain_train(stored, train, k=k)
    raise UsageError(
        f"choose one point: a test point, for instance {stored.example('test')}, or a train point, for instance "
        f"{stored.example('train')}"
    )


def explain_test(stored: Stored, test_id: int, *, k: int = 5) -> ExplanationRecord:
    """The k strongest proponents and opponents of a test point, by the truth and by each estimator.

    UsageError if no test point has this id.
    """
    row = stored.row("test", test_id)
    effects = {name: scores["influence"][:, row] for name, scores in stored.accounts.items() if "influence" in scores}
    return _explanation(stored, "test", row, effects, k=k)


def explain_train(stored: Stored, train_id: int, *, k: int = 5) -> ExplanationRecord:
    """The memorization of a train point and the k test points that it helps and hurts most, likewise.

    UsageError if no train point has this id.
    """
    row = stored.row("train", train_id)
    effects = {name: scores["influence"][row] for name, scores in stored.accounts.items() if "influence" in scores}
    memorization = tuple(
        _memorization(name, scores["memorization"], row)
        for name, scores in stored.accounts.items()
        if "memorization" in scores
    )
    return _explanation(stored, "train", row, effects, k=k).model_copy(update={"memorization": memorization})


def strongest(effects: Tensor, k: int) -> Tensor:
    """Rows of the k largest effects above 0, largest first, in the order of the points where they tie."""
    largest = effects.argsort(descending=True, stable=True)[:k]
    return largest[effects[largest] > 0]


def _explanation(stored: Stored, side: Side, row: int, effects: Mapping[str, Tensor], *, k: int) -> ExplanationRecord:
    """`effects` (n,) by account: of all points of the other side on this one, or of this one on all of them."""
    record = stored.result.problem
    others: Side = "test" if side == "train" else "train"
    truth = effects[TRUTH]
    return ExplanationRecord(
        problem=record.name,
        measure=record.measure,
        n_seeds=stored.trust.n_seeds,
        reliability=stored.trust.reliability,
        n_train=record.n_train,
        n_test=record.n_test,
        side=side,
        point=stored.point(side, row),
        k=k,
        accounts=tuple(
            Account(
                name=name,
                helps=_strongest(stored, others, of_account, None if name == TRUTH else truth, sign=1, k=k),
                hurts=_strongest(stored, others, of_account, None if name == TRUTH else truth, sign=-1, k=k),
            )
            for name, of_account in effects.items()
        ),
        notes=tuple(_notes(stored)),
    )


def _strongest(stored: Stored, side: Side, effects: Tensor, truth: Tensor | None, *, sign: int, k: int) -> Strongest:
    """The strongest of one sign, held against those of the truth if that is given."""
    rows = strongest(sign * effects, k)
    listed = effects[rows]
    points = tuple(
        Effect(**stored.point(side, row).model_dump(), effect=effect)
        for row, effect in zip(rows.tolist(), listed.tolist(), strict=True)
    )
    n_tied = int((effects == listed[-1]).sum() - (listed == listed[-1]).sum()) if points else 0
    found = None
    if truth is not None:
        found = float((_membership(sign * effects, k) * _membership(sign * truth, k)).sum())
    return Strongest(points=points, found=found, n_tied=n_tied)


def _membership(effects: Tensor, k: int) -> Tensor:
    """The membership of each point among the k largest effects above 0, (n,) in [0, 1]."""
    n_members = min(k, int((effects > 0).sum()))
    return membership(effects[:, None], n_members)[:, 0] if n_members else torch.zeros(len(effects))


def _memorization(name: str, values: Tensor, row: int) -> MemorizationAccount:
    return MemorizationAccount(name=name, value=float(values[row]), rank=1 + int((values > values[row]).sum()))


def _notes(stored: Stored) -> list[str]:
    repeated = [name for name, scores in stored.estimates.items() if any("@" in key for key in scores)]
    return [f"{', '.join(repeated)}: the first of their draws"] if repeated else []
