"""Bodies of requests to raw columns: JSON, CSV or Arrow in, arrays that fit the contract out, or what is wrong.

A body that fits is read fast, and whole columns at once (`cells`). Whatever is not taken there is read again,
slowly, by the models that the API documents, which say what is wrong with it (`mistakes`).
Whoever reads on the event loop has no time for that, nor for what a few bytes may stand for.
"""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from pydantic import BaseModel

from serving.bundle import Contract
from serving.errors import MOST_NAME
from serving.reading.cells import CellReader, Cells
from serving.reading.csv import read_csv
from serving.reading.media_types import ARROW, CSV, JSON
from serving.reading.mistakes import Mistakes, check_brackets, check_n_rows, parse, wrong_body
from serving.reading.rows import columns_from_rows

if TYPE_CHECKING:
    from serving.reading.arrow import ArrowReader

FORMS = ("rows", "columns")
Columns = dict[str, np.ndarray]


class RequestReader:
    """Reads the requests of one model.

    Args:
        contract: names the columns.
        row: the model of a row, as `schemas` makes it.
        max_rows: of one request.
        has_time: without, a NoTimeError is raised where reading, or saying what is wrong, would take long.

    Attributes:
        contract: names the columns.
        mistakes: finds what does not fit.
        max_rows: of one request.
    """

    def __init__(self, contract: Contract, row: type[BaseModel], *, max_rows: int, has_time: bool = True) -> None:
        self.contract = contract
        self._cells = CellReader(contract, max_rows=max_rows)
        self.mistakes = Mistakes(contract, row, has_time=has_time)
        self.max_rows = max_rows
        # One object a row, and one bracket in every label, such as "[0, 1)".
        self._most_brackets = max_rows * (1 + len(contract.columns)) + 2
        self._readers: Mapping[str, Callable[[bytes], Columns]] = {
            JSON: self._read_json,
            CSV: self._read_csv,
            ARROW: self._read_arrow,
        }

    def read(self, body: bytes, media: str = JSON) -> Columns:
        """The raw columns of a body, [N] each: float64 with NaN for missing, or strings with "" for missing.

        Args:
            body: of a request.
            media: one of `media_types.MEDIA`.

        Raises:
            InvalidRequestError: it is not what it is declared as, or does not fit the contract.
            TooManyRowsError: it has more rows than allowed.
        """
        return self._readers[media](body)

    def parse(self, body: bytes) -> Any:
        """JSON, with numbers of any size and the tokens NaN and Infinity.

        Raises:
            InvalidRequestError: it is none, or has too many lists and objects.
        """
        self._check_brackets(body)
        try:
            return msgspec.json.decode(body)
        except (msgspec.DecodeError, RecursionError):
            return parse(body)

    def cells(self, body: bytes) -> Cells | None:
        """The cells of a body of JSON, for `fit_cells`; None where one does not fit, and `read` says what is wrong."""
        return self._cells.decode(body)

    def fit_cells(self, cells: Cells) -> Columns | None:
        """The raw columns, [N] each, of cells that `cells` found; None when something does not fit."""
        return self._cells.fit(cells)

    def fit(self, columns: Mapping[str, Any]) -> Columns:
        """The raw columns, [N] each, of cells of JSON: name -> list of cells.

        Raises:
            InvalidRequestError: they do not fit the contract.
            TooManyRowsError: they have more rows than allowed.
        """
        fitting = self._cells.from_columns(columns)
        return self._fit_columns(columns) if fitting is None else fitting

    def _check_brackets(self, body: bytes) -> None:
        check_brackets(body, most=self._most_brackets, max_rows=self.max_rows)

    def _read_json(self, body: bytes) -> Columns:
        cells = self.cells(body)
        columns = None if cells is None else self.fit_cells(cells)
        return self._read_slowly(body) if columns is None else columns

    def _read_slowly(self, body: bytes) -> Columns:
        self.mistakes.take_time()
        self._check_brackets(body)
        form, cells = self._unwrap(parse(body))
        if form == "columns":
            return self._fit_columns(cells)
        self.mistakes.check_rows(cells)
        return columns_from_rows(self.contract, cells)

    def _unwrap(self, parsed: Any) -> tuple[str, Any]:
        if not isinstance(parsed, dict):
            raise wrong_body(
                [], 'Input should be an object: {"rows": [{...}, ...]} or {"columns": {"name": [...], ...}}'
            )
        unknown = next((name for name in parsed if name not in FORMS), None)
        if unknown is not None:
            raise wrong_body([unknown[:MOST_NAME]], 'There is no such field, only "rows" or "columns"')
        if len(parsed) > 1:
            raise wrong_body(["columns"], 'There are "rows" already. Send one of them')
        if "columns" in parsed:
            columns = parsed["columns"]
            if not isinstance(columns, dict):
                raise wrong_body(["columns"], "Input should be an object: column -> list of values")
            return "columns", columns
        rows = parsed.get("rows")
        if not isinstance(rows, list) or not rows:
            raise wrong_body(["rows"], "Input should be a list of at least one row")
        check_n_rows(len(rows), self.max_rows, form="rows")
        return "rows", rows

    def _fit_columns(self, columns: Mapping[str, Any]) -> Columns:
        longest = max((len(values) for values in columns.values() if isinstance(values, list)), default=0)
        check_n_rows(longest, self.max_rows, form="columns")
        return columns_from_rows(self.contract, self.mistakes.check_columns(columns))

    def _read_csv(self, body: bytes) -> Columns:
        return self.fit(read_csv(body, self.contract, self.mistakes, max_rows=self.max_rows))

    @cached_property
    def _arrow(self) -> "ArrowReader":
        from serving.reading.arrow import ArrowReader  # noqa: PLC0415  imports pyarrow, which a server may lack

        return ArrowReader(self.contract, self.mistakes, max_rows=self.max_rows)

    def _read_arrow(self, body: bytes) -> Columns:
        return self._arrow.read(body)


def count_of(columns: Mapping[str, np.ndarray]) -> int:
    """How many rows there are in columns, [N] each."""
    return len(next(iter(columns.values())))
