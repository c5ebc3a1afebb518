"""Cells that fit a contract, as the arrays that the model takes: whole bodies and columns at once, or nothing.

msgspec reads a body of JSON straight into the types of the contract's columns, so that a number is no truth, a truth no
number, and a column that had no missing values has none. This is the requests' fast path, so it says only whether all
is well; `mistakes` says what is not. What it takes must be what the documented model of a row takes.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec.structs import astuple

from serving.bundle import BooleanColumn, CategoricalColumn, Column, Contract, DateColumn, Json, NumericColumn
from serving.reading.labels import labels_of
from serving.reading.rows import days_since_1970

Cells = Sequence[Sequence[Json]]  # [C][N], the columns in the order of the contract


class CellReader:
    """Turns cells of JSON into raw columns.

    Args:
        contract: names the columns.
        max_rows: of one request.
    """

    def __init__(self, contract: Contract, *, max_rows: int) -> None:
        self._columns = contract.columns
        self._names = tuple(column.name for column in contract.columns)
        numeric = [index for index, column in enumerate(self._columns) if isinstance(column, NumericColumn)]
        self._numeric = tuple(numeric)
        self._nullable = np.array([self._columns[index].nullable for index in numeric], dtype=bool)
        self._others = tuple(index for index in range(len(self._columns)) if index not in numeric)
        bounds = msgspec.Meta(min_length=1, max_length=max_rows)
        self._type: Any = tuple[tuple(_list_of(_type(column), bounds) for column in self._columns)]  # type: ignore[misc]  # made here
        self._decoder = _decoder(self._columns, bounds)

    def decode(self, body: bytes) -> Cells | None:
        """The cells of a body, `{"rows": [...]}` or `{"columns": {...}}`; None when something does not fit."""
        if self._decoder is None:
            return None
        try:
            request = self._decoder.decode(body)
        except msgspec.DecodeError:
            return None
        has_rows = request.rows is not msgspec.UNSET
        if has_rows == (request.columns is not msgspec.UNSET):
            return None
        if has_rows:
            return list(zip(*map(astuple, request.rows), strict=True))
        return _of_one_length(astuple(request.columns))

    def from_columns(self, columns: Mapping[str, Any]) -> dict[str, np.ndarray] | None:
        """Raw columns, [N] each, of parsed ones: name -> list of cells; None when something does not fit."""
        if columns.keys() != set(self._names):
            return None
        try:
            cells = _of_one_length(msgspec.convert([columns[name] for name in self._names], self._type))
        except msgspec.ValidationError:
            return None
        return None if cells is None else self.fit(cells)

    def fit(self, cells: Cells) -> dict[str, np.ndarray] | None:
        """Raw columns, [N] each, of decoded cells; None when a number is not finite, or a text no label or date."""
        fitting = self._numbers([cells[index] for index in self._numeric]) if self._numeric else {}
        if fitting is None:
            return None
        for index in self._others:
            values = _values(self._columns[index], cells[index])
            if values is None:
                return None
            fitting[self._names[index]] = values
        return fitting

    def _numbers(self, cells: Cells) -> dict[str, np.ndarray] | None:
        """All numeric columns in one array: calls of NumPy cost more than what they do for a single row."""
        block = np.array(cells, dtype=np.float64)  # [C, N]; None becomes NaN
        if not np.isfinite(block).all():
            is_missing = np.isnan(block).any(axis=1)
            if np.isinf(block).any() or (is_missing & ~self._nullable).any():
                return None
        return {self._names[index]: values for index, values in zip(self._numeric, block, strict=True)}


def _decoder(columns: Sequence[Column], bounds: msgspec.Meta) -> msgspec.json.Decoder[Any] | None:
    """Reads a whole body; None where the name of a column is one that msgspec cannot look for."""

    def struct(name: str, types: Sequence[Any]) -> Any:
        fields = [
            (f"column_{index}", kind, msgspec.field(name=column.name))
            for index, (column, kind) in enumerate(zip(columns, types, strict=True))
        ]
        return msgspec.defstruct(name, fields, forbid_unknown_fields=True, gc=False)

    types = [_type(column) for column in columns]
    try:
        row, by_columns = struct("Row", types), struct("Columns", [_list_of(kind, bounds) for kind in types])
    except ValueError:  # it compares names as they are sent, so it takes none with characters that JSON escapes
        return None
    fields = [
        ("rows", _list_of(row, bounds) | msgspec.UnsetType, msgspec.UNSET),
        ("columns", by_columns | msgspec.UnsetType, msgspec.UNSET),
    ]
    return msgspec.json.Decoder(msgspec.defstruct("Request", fields, forbid_unknown_fields=True, gc=False))


def _list_of(kind: Any, bounds: msgspec.Meta) -> Any:
    return Annotated[list[kind], bounds]


def _type(column: Column) -> Any:
    base: Any
    if isinstance(column, CategoricalColumn):
        base = str | int  # tables hold codes as numbers, and clients send them so
    elif isinstance(column, DateColumn):
        base = str
    else:
        base = bool if isinstance(column, BooleanColumn) else float
    return base | None if column.nullable else base


def _of_one_length(cells: Cells) -> Cells | None:
    return cells if len(set(map(len, cells))) == 1 else None


def _values(column: Column, cells: Sequence[Json]) -> np.ndarray | None:
    """A column that holds no numbers, [N]; None when a cell does not fit."""
    if isinstance(column, CategoricalColumn):
        if not column.nullable and "" in cells:
            return None
        return np.array(labels_of(column, cells), dtype=object)
    return _days(cells) if isinstance(column, DateColumn) else np.array(cells, dtype=np.float64)


def _days(cells: Sequence[Json]) -> np.ndarray | None:
    try:
        return np.array([np.nan if cell is None else days_since_1970(str(cell)) for cell in cells])
    except (ValueError, OverflowError):
        return None
