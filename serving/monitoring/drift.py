"""How far columns and answers have moved from the training distribution: what is counted, and what it comes to.

Population stability index, PSI = sum over bins of (a - e) * ln(a / e) with the shares `a` now and `e` in training
(Siddiqi, Credit Risk Scorecards, 2006): below 0.1 nothing moved, above 0.25 much did.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from serving.bundle import BooleanColumn, CategoricalColumn, Column, DateColumn, NumericColumn, Reference, Target
from serving.reading.rows import days_since_1970

LEAST_SHARE = 1e-4  # stands for 0: a bin that is empty by chance must not make the index infinite
LEAST_ROWS = 200  # below, the index of ten bins is more than 0.04 by chance alone
STATES = ("usual", "missing", "unseen", "out_of_range")


def count_states(column: Column, values: np.ndarray) -> list[float]:
    """How many values, [N], are in each of `STATES`."""
    if isinstance(column, CategoricalColumn):
        counts = Counter(values.tolist())
        usual, missing = float(sum(counts[label] for label in column.categories)), float(counts[""])
        return [usual, missing, len(values) - usual - missing, 0.0]
    is_missing = np.isnan(values)
    missing = float(np.count_nonzero(is_missing))
    outside = 0.0
    if isinstance(column, NumericColumn | DateColumn):
        lowest, highest = _range(column)
        outside = float(np.count_nonzero((values < lowest) | (values > highest)))  # a comparison with NaN is False
    return [len(values) - missing - outside, missing, 0.0, outside]


def count_bins(column: Column, reference: Reference, values: np.ndarray) -> list[float]:
    """How many values, [N], fall into each bin of the reference, then how many rows there are."""
    if isinstance(column, CategoricalColumn):
        counts = Counter(values.tolist())
        return [*(float(counts[label]) for label in column.categories), float(len(values))]
    known = values[~np.isnan(values)]
    codes = known.astype(np.int64) if isinstance(column, BooleanColumn) else _bins(known, reference)
    return _counts(codes, reference, n_rows=len(values))


def count_answers(target: Target, reference: Reference, predictions: np.ndarray) -> list[float]:
    """As `count_bins`, for predictions, [N, P]."""
    codes = predictions.argmax(axis=1) if target.classes else _bins(predictions[:, 0], reference)
    return _counts(codes, reference, n_rows=len(predictions))


def psi(reference: Reference, counts: Sequence[float]) -> float | None:
    """The index, from what `count_bins` gives; None as long as there are few rows.

    What is in no bin, missing or unseen, is a bin too.
    """
    *bins, n_rows = counts
    if n_rows < LEAST_ROWS:
        return None
    now = [count / n_rows for count in bins]
    pairs = zip([*reference.shares, 1 - sum(reference.shares)], [*now, 1 - sum(now)], strict=True)
    bounded = [(max(then, LEAST_SHARE), max(share, LEAST_SHARE)) for then, share in pairs]
    return sum((share - then) * math.log(share / then) for then, share in bounded)


def references(columns: Sequence[Column]) -> Mapping[str, Reference]:
    """The distributions that are known, by name of their column."""
    return {column.name: column.reference for column in columns if column.reference is not None}


def _bins(values: np.ndarray, reference: Reference) -> np.ndarray:
    return np.searchsorted(np.asarray(reference.edges), values, side="left")


def _counts(codes: np.ndarray, reference: Reference, *, n_rows: int) -> list[float]:
    n_bins = len(reference.shares)
    return [*np.bincount(codes, minlength=n_bins)[:n_bins].astype(float).tolist(), float(n_rows)]


def _range(column: NumericColumn | DateColumn) -> tuple[float, float]:
    if isinstance(column, DateColumn):
        return days_since_1970(column.minimum), days_since_1970(column.maximum)
    return column.minimum, column.maximum
