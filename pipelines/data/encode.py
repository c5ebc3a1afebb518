"""Columns to features: `fit_encoder` looks at the training part alone, `encode` applies what it saw to any rows.

The same arithmetic is written as an ONNX graph by `pipelines.export`; a change here is a change there.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from pipelines.data.table import Column, Table

YEAR_DAYS = 365.2425  # the Gregorian mean
WEEK_DAYS = 7.0
NEGLIGIBLE = 1e-12  # a spread this small beside the mean is rounding, and the column a constant
SMALLEST_SCALE = 1e-30  # dividing by less would take values of ordinary size out of float32
PORTION_ROWS = 16_384  # so many rows of features stay in a core's cache while their columns are written


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


def fit_encoder(table: Table, train_rows: np.ndarray) -> Encoder:
    """Learn the statistics of the training rows; no other row is looked at."""
    encodings = [
        encoding
        for column in table.columns
        for encoding in _fit(column, table.features.get_column(column.name).gather(train_rows))
    ]
    return Encoder(
        numbers=tuple(encoding for encoding in encodings if isinstance(encoding, NumberEncoding)),
        cycles=tuple(encoding for encoding in encodings if isinstance(encoding, CycleEncoding)),
        categories=tuple(encoding for encoding in encodings if isinstance(encoding, CategoryEncoding)),
    )


def encode(encoder: Encoder, features: pl.DataFrame, rows: np.ndarray | None = None) -> Features:
    """Apply the statistics to rows in raw form, as `table.Table.features` holds them.

    Args:
        encoder: as fitted.
        features: raw columns.
        rows: which rows of them, [M]; all when None.
    """
    n_rows = features.height if rows is None else len(rows)
    numbers = np.empty((n_rows, encoder.n_numbers), dtype=np.float32)
    codes = np.empty((n_rows, len(encoder.categories)), dtype=np.int32)
    for start in range(0, n_rows, PORTION_ROWS):
        places = slice(start, start + PORTION_ROWS)
        portion = features[places] if rows is None else features[rows[places]]
        for place, feature in enumerate(_number_features(encoder, portion)):
            numbers[places, place] = feature
        for place, category in enumerate(encoder.categories):
            codes[places, place] = _codes(category, portion.get_column(category.column))
    return Features(numbers, codes)


def _fit(column: Column, values: pl.Series) -> list[NumberEncoding | CycleEncoding | CategoryEncoding]:
    match column.kind:
        case "categorical":
            return [CategoryEncoding(column.name, tuple(values.unique().sort().to_list()))]
        case "boolean":
            has_missing = bool(values.is_nan().any())
            return [NumberEncoding(column.name, fill=0.5, center=0.5, scale=0.5, indicator=has_missing)]
        case "numeric":
            return [_standardised(values)]
        case "date":
            return [_standardised(values), *(CycleEncoding(column.name, period) for period in _periods(values))]


def _standardised(values: pl.Series) -> NumberEncoding:
    """Mean and standard deviation of what is known; a column that training never saw filled becomes zeros."""
    known = values.drop_nans()
    has_missing = len(known) < len(values)
    if not len(known):
        return NumberEncoding(values.name, fill=0.0, center=0.0, scale=1.0, indicator=has_missing)
    array = known.to_numpy()
    mean, deviation = float(array.mean()), float(array.std())
    scale = deviation if deviation > max(NEGLIGIBLE * abs(mean), SMALLEST_SCALE) else 1.0
    return NumberEncoding(values.name, fill=mean, center=mean, scale=scale, indicator=has_missing)


def _periods(days: pl.Series) -> list[float]:
    has_time_of_day = bool((days.drop_nans() % 1 != 0).any())
    return [YEAR_DAYS, WEEK_DAYS, *([1.0] if has_time_of_day else [])]


def _number_features(encoder: Encoder, features: pl.DataFrame) -> Iterator[np.ndarray]:
    for number in encoder.numbers:
        values = features.get_column(number.column).to_numpy()
        yield (np.where(np.isnan(values), number.fill, values) - number.center) / number.scale
    for number in encoder.numbers:
        if number.indicator:
            yield np.isnan(features.get_column(number.column).to_numpy())
    for cycle in encoder.cycles:
        angle = 2 * np.pi * features.get_column(cycle.column).to_numpy() / cycle.period_days
        yield np.nan_to_num(np.sin(angle))
        yield np.nan_to_num(np.cos(angle))


def _codes(category: CategoryEncoding, labels: pl.Series) -> np.ndarray:
    # A label outside the Enum casts to null, which stands for unseen; the Enum's own codes start at 0.
    known = labels.cast(pl.Enum(list(category.categories)), strict=False)
    return (known.to_physical().cast(pl.Int32) + 1).fill_null(0).to_numpy()
