"""A table as the rest of the project sees it: typed columns in raw units, without torch.

Not here: reading files (`sources`), choosing rows (`splits`), turning columns into features (`encode`).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from pipelines.config.schema import TaskKind

ColumnKind = Literal["numeric", "boolean", "categorical", "date"]


@dataclass(frozen=True)
class Column:
    """A feature column and the form of its raw values.

    Numeric, boolean (0 and 1) and date (days since 1970-01-01, with a fraction for the time of day) are float64
    with NaN for missing; categorical values are strings with "" for missing.
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
        features: one polars column a feature: Float64 for numeric, boolean and date, String or Categorical else.
        target: what is predicted.
        target_values: float64 in raw units for regression, int64 class codes otherwise; shape [N].
        fingerprint: sha256 over contents and column kinds; two tables with the same one train the same models.
    """

    name: str
    columns: tuple[Column, ...]
    features: pl.DataFrame
    target: Target
    target_values: np.ndarray
    fingerprint: str
