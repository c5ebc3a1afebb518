"""A table as the rest of the project sees it: typed columns in raw units, without torch.

Not here: reading files (`sources`), choosing rows (`splits`), turning columns into features (`encode`).
"""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import polars as pl

from pipelines.config.schema import TaskKind

DIGEST_ROWS = 1 << 16  # of one column at a time, so that no second table is made
ColumnKind = Literal["numeric", "boolean", "categorical", "date"]


@dataclass(frozen=True)
class Column:
    """A feature column and the form of its raw values.

    Numeric values keep the type they were read in, dates are days since 1970-01-01 with a fraction for the time of
    day: a large table is never copied only to change its type. Missing is null (NaN is understood too). Categorical
    values are labels with "" for missing.
    """

    name: str
    kind: ColumnKind


@dataclass(frozen=True)
class Target:
    """The column that is predicted.

    Attributes:
        name: of the column.
        kind: the task it makes.
        classes: labels as strings, in the order of their codes; empty for regression.
        reason: one sentence for the user that says why this task was inferred or that it was forced.
    """

    name: str
    kind: TaskKind
    classes: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class Table:
    """Feature columns and the target, rows in the order of the source.

    Attributes:
        name: of the experiment and the registered model.
        columns: what the features are, in the order of the source.
        features: one polars column a feature: numbers for numeric and date, Boolean, Enum for categorical.
        target: what is predicted.
        target_values: float64 in raw units for regression, int64 class codes otherwise; shape [N].
    """

    name: str
    columns: tuple[Column, ...]
    features: pl.DataFrame
    target: Target
    target_values: np.ndarray

    @cached_property
    def fingerprint(self) -> str:
        """Sha256 over names, kinds and values: two tables with the same one train the same models.

        The same in every process, on every machine and from every kind of file.
        """
        with ThreadPoolExecutor() as threads:
            digests = list(threads.map(_digest, self.features.iter_columns()))
        whole = hashlib.sha256(repr(self.columns).encode())
        for digest in (*digests, _digest(pl.Series(self.target_values))):
            whole.update(digest)
        return whole.hexdigest()


def _digest(values: pl.Series) -> bytes:
    digest = hashlib.sha256()
    if isinstance(values.dtype, pl.Enum):
        digest.update(repr(values.dtype.categories.to_list()).encode())
        values = values.to_physical()
    elif values.dtype == pl.String:
        digest.update(repr(values.to_list()).encode())
        return digest.digest()
    for start in range(0, len(values), DIGEST_ROWS):
        digest.update(as_numbers(values[start : start + DIGEST_ROWS]).to_numpy().data)
    return digest.digest()


def without_nan(values: pl.Series) -> pl.Series:
    """Null for NaN: the one form of missing that polars skips by itself."""
    return values.fill_nan(None) if values.dtype.is_float() and values.is_nan().any() else values


def as_numbers(values: pl.Series) -> pl.Series:
    """Numbers, booleans or days as Float64 with NaN for missing."""
    return values.cast(pl.Float64).fill_null(np.nan)


def as_whole(values: pl.Series) -> pl.Series:
    """Int64 for floats that are whole numbers, all of them; else as they are."""
    if not values.dtype.is_float():
        return values
    whole = values.cast(pl.Int64, strict=False)  # null for what is too large
    is_same = whole.cast(values.dtype) == values
    return whole if is_same.all() and whole.null_count() == values.null_count() else values


def is_whole(values: pl.Series) -> bool:
    """Whether every number that is not missing is a whole one."""
    if not values.dtype.is_float():
        return True
    known = without_nan(values).drop_nulls()
    return bool((known == known.round()).all())
