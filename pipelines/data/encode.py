"""Columns to features: `fit_encoder` looks at the training part alone, `encode` applies what it saw to any rows.

The same arithmetic is written as an ONNX graph by `pipelines.export`; a change here is a change there.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class NumberEncoding:
    """`(raw or fill where missing, minus center) / scale`, computed in float64, then float32.

    Numeric and date columns: fill and center are the mean, scale the standard deviation (1 for a constant column).
    Boolean columns: fill and center 0.5, scale 0.5, so false is -1, true +1 and missing 0.
    """

    column: str
    fill: float
    center: float
    scale: float
    indicator: bool  # a further 0/1 feature "is missing", when the training part had missing values here


@dataclass(frozen=True)
class CycleEncoding:
    """`sin` and `cos` of `2 pi raw / period_days` of a date column, in float64, then float32; 0 and 0 where missing."""

    column: str
    period_days: float


@dataclass(frozen=True)
class CategoryEncoding:
    """Code `1 + index` in `categories`; code 0 for a label that the training part did not hold.

    Missing is the label "": one of the categories when the training part had missing values, else unseen.
    """

    column: str
    categories: tuple[str, ...]


@dataclass(frozen=True)
class Encoder:
    """All encodings of a table, in the order of its columns.

    The number features are: every scaled number, then every indicator, then sin and cos of every cycle.
    """

    numbers: tuple[NumberEncoding, ...]
    cycles: tuple[CycleEncoding, ...]
    categories: tuple[CategoryEncoding, ...]

    @property
    def n_numbers(self) -> int:
        """Width of the number features."""
        return len(self.numbers) + sum(number.indicator for number in self.numbers) + 2 * len(self.cycles)

    @property
    def cardinalities(self) -> tuple[int, ...]:
        """How many categories each categorical column has, code 0 not counted."""
        return tuple(len(category.categories) for category in self.categories)


@dataclass(frozen=True)
class Features:
    """Encoded rows: numbers float32 [N, n_numbers] and category codes int32 [N, n_categorical]."""

    numbers: np.ndarray
    codes: np.ndarray
