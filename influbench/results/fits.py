"""The fit of the networks that everything else is about."""

from typing import Literal

from influbench.results.records import Record


class Fit(Record):
    """The accuracy of ordinary trainings on all train points, or R2 for regression: the mean over `n_seeds` seeds.

    Accuracies are shares of correct answers, on train points by the labels that they were trained with. `train_sd` and
    `test_sd` are standard deviations over the seeds. A majority is the share of the most frequent label, the accuracy
    of always giving that answer. Null is for what is not known or not defined.
    """

    statistic: Literal["accuracy", "R2"]
    n_seeds: int
    n_test: int
    train: float | None
    test: float | None
    train_sd: float | None = None
    test_sd: float | None = None
    train_majority: float | None = None
    test_majority: float | None = None
