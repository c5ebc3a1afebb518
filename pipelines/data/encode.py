"""Columns to features: `fit_encoder` looks at the training part alone, `encode` applies what it saw to any rows.

The same arithmetic is written as an ONNX graph by `pipelines.export`; a change here is a change there.
"""

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, groupby
from operator import attrgetter

import numpy as np
import polars as pl

from pipelines.data.table import Column, Table, is_whole, without_nan

YEAR_DAYS = 365.2425  # the Gregorian mean
WEEK_DAYS = 7.0
NEGLIGIBLE = 1e-12  # a spread this small beside the mean is rounding, and the column a constant
SMALLEST_SCALE = 1e-30  # dividing by less would take values of ordinary size out of float32
SAME_PHASE_DAYS = 1e-9  # a tenth of a millisecond; moments in floating-point days are less exact than their fractions
MOST_TABLED_DAYS = 400_000  # a thousand years and more
PORTION_ROWS = 65_536  # enough to be worth a call of polars, few enough beside a table of millions


@dataclass(frozen=True)
class NumberEncoding:
    """`(raw or fill where missing, minus center) / scale`, computed in float64, then float32.

    Numeric and date columns: fill and center are the mean, scale the standard deviation.
    Boolean columns: fill and center 0.5, scale 0.5, so false is -1, true +1 and missing 0.
    Where training saw no two values the scale is infinite, and the feature 0 whatever comes: the weights behind any
    other number of it would be those that were drawn at random.
    """

    column: str
    fill: float
    center: float
    scale: float
    indicator: bool  # a further 0/1 feature "is missing", when the training part had missing values here and others


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
    is_train = _mask(train_rows, table.features.height)

    def fit(column: Column) -> list[NumberEncoding | CycleEncoding | CategoryEncoding]:
        return _fit(column, without_nan(table.features.get_column(column.name).filter(is_train)))

    with ThreadPoolExecutor(pl.thread_pool_size()) as threads:
        encodings = list(chain.from_iterable(threads.map(fit, table.columns)))
    return Encoder(
        numbers=tuple(encoding for encoding in encodings if isinstance(encoding, NumberEncoding)),
        cycles=tuple(encoding for encoding in encodings if isinstance(encoding, CycleEncoding)),
        categories=tuple(encoding for encoding in encodings if isinstance(encoding, CategoryEncoding)),
    )


def encode(encoder: Encoder, features: pl.DataFrame) -> Features:
    """Apply the statistics to rows in raw form, as `table.Table.features` holds them; labels may be strings too."""
    (everything,) = encode_parts(encoder, features, [np.arange(features.height)])
    return everything


def encode_parts(encoder: Encoder, features: pl.DataFrame, parts: Sequence[np.ndarray]) -> list[Features]:
    """Encode the rows of several parts in one pass over the table.

    Args:
        encoder: as fitted.
        features: raw columns; labels may be strings too.
        parts: the rows of each, indices into the table, ascending; rows of no part are encoded in vain.

    Raises:
        ValueError: the rows of a part are not in ascending order.
    """
    if any((np.diff(rows) < 0).any() for rows in parts):
        raise ValueError("The rows of a part must be in ascending order.")
    numbers, codes = _numbers(encoder, features), _codes(encoder, features)
    encoded = [_empty(encoder, len(rows)) for rows in parts]

    def write(start: int) -> None:
        portion = features.slice(start, PORTION_ROWS)
        whole = Features(_matrix(portion, numbers, np.float32), _matrix(portion, codes, np.int32))
        for rows, part in zip(parts, encoded, strict=True):
            places = slice(*np.searchsorted(rows, (start, start + portion.height)))
            chosen = rows[places] - start
            # "clip" writes into `out` itself; by default numpy writes into a copy of it first.
            whole.numbers.take(chosen, axis=0, out=part.numbers[places], mode="clip")
            whole.codes.take(chosen, axis=0, out=part.codes[places], mode="clip")

    with ThreadPoolExecutor(pl.thread_pool_size()) as threads:
        for _ in threads.map(write, range(0, features.height, PORTION_ROWS)):
            pass
    return encoded


def _empty(encoder: Encoder, n_rows: int) -> Features:
    numbers = np.empty((n_rows, encoder.n_numbers), dtype=np.float32)
    return Features(numbers, np.empty((n_rows, len(encoder.categories)), dtype=np.int32))


def _matrix(rows: pl.DataFrame, features: Sequence[pl.Expr], dtype: type[np.generic]) -> np.ndarray:
    """Features of rows side by side, [N, features]."""
    if not features:
        return np.empty((rows.height, 0), dtype=dtype)
    return rows.select(feature.alias(str(place)) for place, feature in enumerate(features)).to_numpy(order="c")


def _mask(rows: np.ndarray, n_rows: int) -> pl.Series:
    is_chosen = np.zeros(n_rows, dtype=bool)
    is_chosen[rows] = True
    return pl.Series(is_chosen)


def _fit(column: Column, values: pl.Series) -> list[NumberEncoding | CycleEncoding | CategoryEncoding]:
    match column.kind:
        case "categorical":
            return [CategoryEncoding(column.name, tuple(values.unique().cast(pl.String).sort().to_list()))]
        case "boolean":
            scale = math.inf if values.min() == values.max() else 0.5
            return [NumberEncoding(column.name, fill=0.5, center=0.5, scale=scale, indicator=_has_missing(values))]
        case "numeric":
            return [_standardised(values)]
        case "date":
            return [_standardised(values), *(CycleEncoding(column.name, period) for period in _periods(values))]


def _has_missing(values: pl.Series) -> bool:
    """Whether some values are missing, and not all: only then is there something to learn from it."""
    return 0 < values.null_count() < len(values)


def _standardised(values: pl.Series) -> NumberEncoding:
    """Mean and standard deviation of what is known."""
    known = values.cast(pl.Float64)
    mean, deviation = pl.select(mean=known.mean(), deviation=known.std(ddof=0)).fill_null(0.0).row(0)
    scale = deviation if deviation > max(NEGLIGIBLE * abs(mean), SMALLEST_SCALE) else math.inf
    return NumberEncoding(values.name, fill=mean, center=mean, scale=scale, indicator=_has_missing(values))


def _periods(days: pl.Series) -> list[float]:
    """Those of which training saw more than one phase: of a weekly table no weekday is to be learned."""
    known = days.cast(pl.Float64)
    periods = (YEAR_DAYS, WEEK_DAYS, 1.0)
    spreads = (pl.select(pl.lit(known % period).max() - pl.lit(known % period).min()).item() for period in periods)
    return [period for period, spread in zip(periods, spreads, strict=True) if (spread or 0.0) > SAME_PHASE_DAYS]


def _numbers(encoder: Encoder, raw: pl.DataFrame) -> list[pl.Expr]:
    """The number features, each Float32; what leaves float32 is infinite, as in the exported graph."""
    scaled = [_scaled(number) for number in encoder.numbers]
    indicators = [
        _as_float64(number.column).is_null().cast(pl.Float32) for number in encoder.numbers if number.indicator
    ]
    cycles = groupby(encoder.cycles, key=attrgetter("column"))
    return [
        *scaled,
        *indicators,
        *chain.from_iterable(_waves(list(of_column), raw.get_column(name)) for name, of_column in cycles),
    ]


def _as_float64(column: str) -> pl.Expr:
    """Numbers, booleans or days, null for missing."""
    return pl.col(column).cast(pl.Float64).fill_nan(None)


def _scaled(number: NumberEncoding) -> pl.Expr:
    known = _as_float64(number.column).fill_null(number.fill)
    return ((known - number.center) / number.scale).cast(pl.Float32)


def _waves(cycles: Sequence[CycleEncoding], days: pl.Series) -> list[pl.Expr]:
    """Sin and cos of every cycle of a column.

    Whole days are looked up among all from the first to the last: a sine costs 20 times as much.
    """
    name, days = days.name, without_nan(days)
    first, last = pl.select(days.min(), last=days.max()).cast(pl.Float64).row(0)
    if first is None or last - first > min(len(days), MOST_TABLED_DAYS) or not is_whole(days):
        return _sin_cos(cycles, _as_float64(name))
    every_day = pl.DataFrame({name: np.append(np.arange(first, last + 1), np.nan)})
    place = (_as_float64(name) - first).fill_null(last - first + 1).cast(pl.UInt32)
    return [pl.lit(every_day.select(wave).to_series()).gather(place) for wave in _sin_cos(cycles, _as_float64(name))]


def _sin_cos(cycles: Sequence[CycleEncoding], days: pl.Expr) -> list[pl.Expr]:
    """Float32; 0 where missing."""
    angles = [2 * np.pi * days / cycle.period_days for cycle in cycles]
    waves = chain.from_iterable((angle.sin(), angle.cos()) for angle in angles)
    return [wave.cast(pl.Float32).fill_null(0.0) for wave in waves]


def _codes(encoder: Encoder, raw: pl.DataFrame) -> list[pl.Expr]:
    return [_code(category, raw.get_column(category.column)) for category in encoder.categories]


def _code(category: CategoryEncoding, labels: pl.Series) -> pl.Expr:
    codes = {label: code for code, label in enumerate(category.categories, start=1)}
    column = pl.col(category.column)
    if not isinstance(labels.dtype, pl.Enum):
        return column.cast(pl.String).replace_strict(codes, default=0, return_dtype=pl.Int32)
    code_of_label = pl.Series([codes.get(label, 0) for label in labels.dtype.categories], dtype=pl.Int32)
    return pl.lit(code_of_label).gather(column.to_physical())
