"""Columns of a pandas frame and of a Parquet file. pandas is imported only if a Parquet file is read."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from influbench.datasets.table import Column, cells_are_read, check_names
from influbench.errors import DataError, first_line


def read_parquet(path: Path, label: str) -> dict[str, Column]:
    """The columns of a Parquet file. DataError that begins with a verb if it cannot be read."""
    try:
        from pandas import read_parquet as read
    except ImportError:
        raise DataError("needs pandas: pip install pandas pyarrow") from None
    if not path.is_file():
        raise FileNotFoundError(2, "No such file or directory")
    try:
        frame = read(path)
    except ImportError:
        raise DataError("needs pyarrow: pip install pyarrow") from None
    except OSError:
        raise
    except Exception as error:  # pyarrow's own exceptions, which are not imported here
        raise DataError(f"is damaged or not a Parquet file: {first_line(error)}") from error
    return columns_of(frame, label)


def columns_of(frame: Any, label: str) -> dict[str, Column]:
    """The columns of a pandas frame, as those of a CSV file with the same content."""
    names = [str(name) for name in frame.columns]
    check_names(names)
    if not len(frame):
        raise DataError("has no examples")
    places = [f"row {row}" for row in range(len(frame))]
    return {name: _column(name, frame.iloc[:, n], places, label) for n, name in enumerate(names)}


def _column(name: str, series: Any, places: Sequence[str], label: str) -> Column:
    if not cells_are_read(name, label) and (values := _numbers(series)) is not None:
        return Column(name, (), places, torch.from_numpy(values))
    missing = series.isna().tolist()
    cells = ["" if gone else str(value).strip() for value, gone in zip(series.tolist(), missing, strict=True)]
    return Column(name, cells, places)


def _numbers(series: Any) -> Any:
    """The values as float64 if all are finite numbers, else None."""
    if getattr(series.dtype, "kind", "O") not in "biuf" or series.isna().any():
        return None
    values = series.to_numpy(dtype=np.float64, copy=True)
    return values if np.isfinite(values).all() else None
