"""Cells that fit a contract, as the arrays that the model takes: whole columns at once, or nothing.

This is the requests' fast path, so it says only whether all is well; `reading_mistakes` says what is not. What it takes
must be what the documented model of a row takes: numbers that are no truths, truths that are no numbers, and so on.
"""

from collections.abc import Mapping, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any

import numpy as np

from serving.bundle import BooleanColumn, CategoricalColumn, Column, Contract, DateColumn, Json, NumericColumn
from serving.predictor import days_since_1970

NOTHING = type(None)
OF_LABELS = {str, int}
OF_NUMBERS = {float, int}
Cells = Sequence[Json]


class CellReader:
    """Turns cells of JSON into raw columns.

    Args:
        contract: names the columns.
    """

    def __init__(self, contract: Contract) -> None:
        self._names = tuple(column.name for column in contract.columns)
        numeric = [own for own in contract.columns if isinstance(own, NumericColumn)]
        self._numeric = tuple(column.name for column in numeric)
        self._nullable = np.array([column.nullable for column in numeric], dtype=bool)
        self._others = tuple(own for own in contract.columns if not isinstance(own, NumericColumn))
        pick = itemgetter(*self._names)
        self._pick = pick if len(self._names) > 1 else lambda row: (pick(row),)

    def from_rows(self, rows: Sequence[Any]) -> dict[str, np.ndarray] | None:
        """Raw columns, [N] each, of at least one row; None when something does not fit."""
        if set(map(type, rows)) != {dict} or set(map(len, rows)) != {len(self._names)}:
            return None
        try:
            cells = zip(*map(self._pick, rows), strict=True)
        except KeyError:
            return None
        return self._read(dict(zip(self._names, cells, strict=True)))

    def from_columns(self, columns: Mapping[str, Any]) -> dict[str, np.ndarray] | None:
        """As `from_rows`, for columns: name -> list of cells."""
        if columns.keys() != set(self._names) or set(map(type, columns.values())) != {list}:
            return None
        lengths = set(map(len, columns.values()))
        return self._read(columns) if len(lengths) == 1 and 0 not in lengths else None

    def _read(self, columns: Mapping[str, Cells]) -> dict[str, np.ndarray] | None:
        read = self._numbers([columns[name] for name in self._numeric]) if self._numeric else {}
        if read is None:
            return None
        for column in self._others:
            values = _values(column, columns[column.name])
            if values is None:
                return None
            read[column.name] = values
        return read

    def _numbers(self, cells: Sequence[Cells]) -> dict[str, np.ndarray] | None:
        """All numeric columns in one array: calls of NumPy cost more than what they do for a single row."""
        types = set(map(type, chain.from_iterable(cells)))
        if not types <= OF_NUMBERS and not types <= {*OF_NUMBERS, NOTHING}:
            return None
        try:
            block = np.array(cells, dtype=np.float64)  # [C, N]; None becomes NaN
        except OverflowError:  # a whole number of hundreds of digits
            return None
        if not np.isfinite(block).all():
            is_missing = np.isnan(block).any(axis=1)
            if np.isinf(block).any() or (is_missing & ~self._nullable).any():
                return None
        return dict(zip(self._numeric, block, strict=True))


def _values(column: Column, cells: Cells) -> np.ndarray | None:
    """A column that holds no numbers, [N]; None when a cell does not fit."""
    types = set(map(type, cells))
    if NOTHING in types:
        if not column.nullable:
            return None
        types.remove(NOTHING)
    if isinstance(column, CategoricalColumn):
        return _labels(cells, nullable=column.nullable) if types <= OF_LABELS else None
    if isinstance(column, BooleanColumn):
        return np.array(cells, dtype=np.float64) if types <= {bool} else None
    return _days(cells) if isinstance(column, DateColumn) and types <= {str} else None


def _labels(cells: Cells, *, nullable: bool) -> np.ndarray | None:
    if not nullable and "" in cells:
        return None
    return np.array(["" if cell is None else str(cell) for cell in cells], dtype=object)


def _days(cells: Cells) -> np.ndarray | None:
    try:
        return np.array([np.nan if cell is None else days_since_1970(str(cell)) for cell in cells])
    except (ValueError, OverflowError):
        return None
