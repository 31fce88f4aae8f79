"""Agreements made into cells, and reliabilities into the truth's record."""

from functools import cached_property

from influbench.api import Data, Estimate
from influbench.engine.obstacles import Obstacle
from influbench.results import Cell, InfluenceTrust, Quantity, Statistic, Status, Trust, TruthRecord
from influbench.statistics.comparison import UNKNOWN, agreement, correlation, pooled_agreement
from influbench.statistics.correlation import Block, whole_table, within_classes
from influbench.statistics.reliability import Reliability, reliability
from influbench.truth.leave_one_out import Truth


class Judge:
    """Compares estimates of one problem with its truth, whose reliability is worked out once."""

    def __init__(self, truth: Truth, data: Data) -> None:
        self._truth, self._data = truth, data
        self._n_train, self._n_test = len(data.train), len(data.test)
        self._everything = whole_table(self._n_train, self._n_test)

    def cells(self, estimator: str, name: str, estimate: Estimate) -> list[Cell]:
        """A cell for each quantity that the estimate speaks of."""
        cells = []
        if estimate.influence is not None:
            overall = agreement(estimate.influence, self._truth.influence, self._everything, self._influence)
            cell = unknown_cell(estimator, name, "influence", status="ok", n=estimate.influence.numel())
            update: dict[str, object] = {
                "spearman": overall.spearman,
                "of_ceiling": overall.of_ceiling,
                "n_undefined": overall.n_undefined,
                "pooled_spearman": pooled_agreement(estimate.influence, self._truth.influence),
            }
            if self._classes is not None and self._within_class is not None:
                within = agreement(estimate.influence, self._truth.influence, self._classes, self._within_class)
                update |= {
                    "within_class": within.spearman,
                    "within_class_of_ceiling": within.of_ceiling,
                    "within_class_n_undefined": within.n_undefined,
                }
            cells.append(cell.model_copy(update=update))
        if estimate.memorization is not None and self._memorization is not None:
            assert self._truth.memorization is not None
            column = whole_table(self._n_train, 1)
            found = agreement(
                estimate.memorization[:, None], self._truth.memorization[:, :, None], column, self._memorization
            )
            cell = unknown_cell(estimator, name, "memorization", status="ok", n=self._n_train)
            cells.append(
                cell.model_copy(
                    update={
                        "spearman": found.spearman,
                        "of_ceiling": found.of_ceiling,
                        "n_undefined": found.n_undefined,
                    }
                )
            )
        return cells

    def truth_record(self) -> TruthRecord:
        """The truth's record, with its reliabilities."""
        truth = self._truth
        return TruthRecord(
            estimand=f"expected leave-one-out effect, {truth.n_seeds} seed{'s' * (truth.n_seeds != 1)}",
            n_seeds=truth.n_seeds,
            n_trainings=truth.n_trainings,
            seconds=truth.seconds,
            n_shards=truth.n_shards,
            n_shards_reused=truth.n_shards_reused,
            influence=InfluenceTrust(
                **_trust(self._influence),
                within_class=None if self._within_class is None else Trust(**_trust(self._within_class)),
            ),
            memorization=None if self._memorization is None else Trust(**_trust(self._memorization)),
        )

    @cached_property
    def _classes(self) -> list[Block] | None:
        if self._data.n_classes is None:
            return None
        return within_classes(self._data.train.labels.cpu(), self._data.test.labels.cpu())

    @cached_property
    def _influence(self) -> Reliability:
        return reliability(self._truth.influence, self._everything)

    @cached_property
    def _within_class(self) -> Reliability | None:
        return None if self._classes is None else reliability(self._truth.influence, self._classes)

    @cached_property
    def _memorization(self) -> Reliability | None:
        if self._truth.memorization is None:
            return None
        return reliability(self._truth.memorization[:, :, None], whole_table(self._n_train, 1))


def influence_reliability(truth: Truth) -> Statistic:
    """Reliability of the influence truth over all train points."""
    return correlation(reliability(truth.influence, whole_table(*truth.influence.shape[1:])).reliability)


def unjudged(estimator: str, name: str, data: Data, obstacle: Obstacle) -> tuple[Cell, ...]:
    """The cells of an estimator that did not run or failed: one for each quantity it might have spoken of."""
    sizes: dict[Quantity, int] = {"influence": len(data.train) * len(data.test)}
    if data.n_classes is not None:
        sizes["memorization"] = len(data.train)
    return tuple(
        unknown_cell(estimator, name, quantity, status=obstacle.status, n=n).model_copy(
            update={"reason": obstacle.reason, "traceback": obstacle.traceback}
        )
        for quantity, n in sizes.items()
    )


def unknown_cell(estimator: str, name: str, quantity: Quantity, *, status: Status, n: int) -> Cell:
    """A cell of which no statistic is known yet."""
    return Cell(
        estimator=estimator,
        name=name,
        quantity=quantity,
        status=status,
        spearman=UNKNOWN,
        within_class=UNKNOWN,
        of_ceiling=UNKNOWN,
        within_class_of_ceiling=UNKNOWN,
        pooled_spearman=UNKNOWN,
        n=n,
    )


def _trust(known: Reliability) -> dict[str, Statistic]:
    return {
        "reliability": correlation(known.reliability),
        "ceiling": correlation(known.ceiling),
        "single_seed_reliability": correlation(known.single_seed),
    }
