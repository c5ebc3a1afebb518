"""Bodies of requests to rows: JSON in, rows that fit the contract out, or an error that names every wrong cell.

What a body may cost is bounded. pydantic collects an error for every unknown field, and parsing JSON by itself copies
the row into the error of every missing one: 16 MiB of unknown columns took it 40 s and 4 GB. So JSON is parsed first,
rows of the wrong size never reach pydantic whole, and mistakes are counted out up to `MOST_DETAILS`. An empty list is
2 bytes of JSON and 100 of memory, so a large body that opens more brackets than its rows could need is not parsed.
"""

from collections.abc import Iterator
from difflib import get_close_matches
from itertools import islice
from typing import Annotated, Any

from pydantic import BaseModel, FailFast, TypeAdapter, ValidationError

from serving.bundle import CategoricalColumn, Column, Contract
from serving.errors import MOST_NAME, Detail, InvalidRequestError, TooManyRowsError
from serving.predictor import Row

MOST_DETAILS = 100  # of one answer, which must stay readable
LARGE_BODY_BYTES = 2**20  # what a smaller one costs does not matter
ANYTHING: TypeAdapter[Any] = TypeAdapter(Any)


class RequestReader:
    """Reads the requests of one model.

    Args:
        contract: names the columns.
        row: the model of a row, as `schemas` makes it.
        max_rows: of one request.
    """

    def __init__(self, contract: Contract, row: type[BaseModel], *, max_rows: int) -> None:
        self._columns = {column.name: column for column in contract.columns}
        self._row = row
        rows: Any = Annotated[list[row], FailFast()]  # type: ignore[valid-type]  # made from the contract
        self._rows: TypeAdapter[Any] = TypeAdapter(rows)
        self._max_rows = max_rows
        # One object a row, and one bracket in every label, such as "[0, 1)".
        self._most_brackets = max_rows * (1 + len(self._columns)) + 2

    def read(self, body: bytes) -> list[Row]:
        """The rows of a body, as they were sent.

        Raises:
            InvalidRequestError: it is no JSON, or does not fit the contract.
            TooManyRowsError: it has more rows than allowed.
        """
        if len(body) > LARGE_BODY_BYTES and body.count(b"[") + body.count(b"{") > self._most_brackets:
            raise _wrong([], f"More lists and objects than {self._max_rows:,} rows can have")
        rows = self._unwrap(_parse(body))
        width = len(self._columns)
        try:
            if all(type(row) is dict and len(row) == width for row in rows):
                self._rows.validate_python(rows)
                return rows
        except ValidationError:
            pass  # told below, in our words and with bounds
        details = list(islice(self._mistakes(rows), MOST_DETAILS + 1))
        cut = len(details) > MOST_DETAILS
        raise InvalidRequestError(
            f"{f'More than {MOST_DETAILS}' if cut else len(details)} "
            f"{'value does' if len(details) == 1 else 'values do'} not fit the model's columns.",
            details[:MOST_DETAILS],
        )

    def _unwrap(self, parsed: Any) -> list[Any]:
        if not isinstance(parsed, dict):
            raise _wrong([], 'Input should be an object: {"rows": [{...}, ...]}')
        unknown = next((name for name in parsed if name != "rows"), None)
        if unknown is not None:
            raise _wrong([unknown[:MOST_NAME]], 'There is no such field, only "rows"')
        rows = parsed.get("rows")
        if not isinstance(rows, list) or not rows:
            raise _wrong(["rows"], "Input should be a list of at least one row")
        if len(rows) > self._max_rows:
            detail = Detail(path=["rows"], message=f"{len(rows):,} rows, at most {self._max_rows:,}")
            raise TooManyRowsError(f"A request may have {self._max_rows:,} rows. Send several.", [detail])
        return rows

    def _mistakes(self, rows: list[Any]) -> Iterator[Detail]:
        for place, row in enumerate(rows):
            if not isinstance(row, dict):
                yield Detail(path=["rows", place], message="Input should be an object: column -> value")
                continue
            for name in row:
                if name not in self._columns:
                    yield Detail(path=["rows", place, name[:MOST_NAME]], message=self._unknown(name))
            for name, message in self._wrong_cells(row):
                yield Detail(path=["rows", place, name], message=message)

    def _wrong_cells(self, row: dict[str, Any]) -> Iterator[tuple[str, str]]:
        known = {name: row[name] for name in self._columns if name in row}
        try:
            self._row.model_validate(known)
        except ValidationError as error:
            # A cell that may be a label or a number has an error for each.
            first = {str(own["loc"][0]): own for own in reversed(error.errors(include_url=False))}
            for name, column in self._columns.items():
                if name in first:
                    yield name, _message(column, row, first[name]["msg"])

    def _unknown(self, name: str) -> str:
        near = get_close_matches(name[:MOST_NAME], self._columns, n=1)
        return f"There is no such column. Did you mean {near[0]!r}?" if near else "There is no such column"


def _parse(body: bytes) -> Any:
    try:
        return ANYTHING.validate_json(body)
    except ValidationError as error:
        raise _wrong([], error.errors(include_url=False, include_input=False)[0]["msg"]) from None


def _wrong(path: list[str | int], message: str) -> InvalidRequestError:
    return InvalidRequestError("The body is not a request.", [Detail(path=path, message=message)])


def _message(column: Column, row: dict[str, Any], said: str) -> str:
    if column.name not in row:
        return "This column is missing" + (" (null is accepted)" if column.nullable else "")
    if row[column.name] is None:
        return "null is not accepted: the column had no missing values in training"
    if isinstance(column, CategoricalColumn):
        empty = ", and not be empty: the column had no missing values in training" if row[column.name] == "" else ""
        return f"Input should be a string or a whole number{empty}"
    return said.removeprefix("Value error, ")
