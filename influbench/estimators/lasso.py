"""Sparse linear regressions of many columns on the same predictors, each with a penalty chosen by cross-validation."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import lasso_path

Array = NDArray[np.float64]

PENALTIES = np.geomspace(1, 0.05, 25)  # as shares of the smallest penalty at which all coefficients are 0
TOLERANCE = 1e-4  # of the duality gap, as a share of the column's sum of squares


@dataclass(frozen=True, eq=False)
class SparseFit:
    """Coefficients of every column, and its solver's largest distance from the optimum over all of its fits."""

    coefficients: Array  # (n_predictors, n_columns)
    gaps: Array  # (n_columns,) largest duality gap, as a share of the column's sum of squares

    @property
    def unconverged(self) -> NDArray[np.bool_]:
        """True for the columns with at least one fit that stopped above the tolerance."""
        return self.gaps > TOLERANCE


def sparse_fit(
    predictors: Array, columns: Array, *, n_folds: int, max_iterations: int, penalties: Array = PENALTIES
) -> SparseFit:
    """Lasso of each of `columns` (n, n_columns) on `predictors` (n, n_predictors), both centered.

    It minimizes |y - X w|^2 / (2 n) + a |w|_1. Among the decreasing `penalties`, each column gets the one with the
    least squared error on held-out rows, summed over `n_folds` folds of consecutive rows; it is then fitted on all
    rows.
    """
    every = np.arange(len(predictors))
    held_out = np.array_split(every, n_folds)
    designs = [_Design.of(predictors, np.setdiff1d(every, rows)) for rows in held_out]
    whole = _Design.of(predictors, every)
    coefficients, gaps = np.zeros((predictors.shape[1], columns.shape[1])), np.zeros(columns.shape[1])
    for j, column in enumerate(columns.T):
        largest = whole.largest_penalty(column)
        if largest == 0:  # no predictor correlates with the column, so all coefficients are 0
            continue
        paths = [design.path(column, largest * penalties, max_iterations) for design in designs]
        best = _least_error(predictors, column, held_out, designs, [path for path, _ in paths])
        final, gap = whole.path(column, largest * penalties[: best + 1], max_iterations)
        coefficients[:, j], gaps[j] = final[:, -1], max(gap, *(gap for _, gap in paths))
    return SparseFit(coefficients, gaps)


@dataclass(frozen=True, eq=False)
class _Design:
    """The predictors of some rows, centered."""

    rows: NDArray[np.intp]
    means: Array  # (n_predictors,)
    centered: Array  # (n, n_predictors)
    gram: Array  # (n_predictors, n_predictors)

    @staticmethod
    def of(predictors: Array, rows: NDArray[np.intp]) -> "_Design":
        means = predictors[rows].mean(0)
        centered = np.asfortranarray(predictors[rows] - means)
        return _Design(rows, means, centered, np.ascontiguousarray(centered.T @ centered))

    def largest_penalty(self, column: Array) -> float:
        """The smallest penalty at which all coefficients are 0."""
        return float(np.abs(self.centered.T @ self._centered(column)).max() / len(self.rows))

    def path(self, column: Array, penalties: Array, max_iterations: int) -> tuple[Array, float]:
        """Coefficients (n_predictors, n_penalties), and the largest gap as a share of the column's sum of squares."""
        target = self._centered(column)
        squares = target @ target
        if squares == 0:
            return np.zeros((len(self.means), len(penalties))), 0.0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the returned gaps say the same
            _, coefficients, gaps = lasso_path(
                self.centered,
                target,
                alphas=penalties,
                precompute=self.gram,
                Xy=self.centered.T @ target,
                tol=TOLERANCE,
                max_iter=max_iterations,
                check_input=False,
                random_state=0,  # the order is cyclic; without a state scikit-learn draws from numpy's global one
            )
        return coefficients, float(gaps.max() * len(self.rows) / squares)

    def _centered(self, column: Array) -> Array:
        own: Array = column[self.rows]
        return own - np.mean(own)


def _least_error(
    predictors: Array,
    column: Array,
    held_out: Sequence[NDArray[np.intp]],
    designs: Sequence[_Design],
    paths: Sequence[Array],
) -> int:
    """Place of the penalty with the least squared error on held-out rows; of equals, the largest penalty."""
    errors = np.zeros(paths[0].shape[1])
    for rows, design, coefficients in zip(held_out, designs, paths, strict=True):
        predicted = column[design.rows].mean() + (predictors[rows] - design.means) @ coefficients
        errors += np.square(column[rows, None] - predicted).sum(0)
    return int(errors.argmin())
