"""What is wrong with a request, in words: every wrong cell by its path, up to `MOST_DETAILS`.

Slow, and only for requests that `cells` does not take: JSON is parsed by pydantic, which says where it ceases
to be JSON, and cells are checked one by one by the model of a row that the API documents. Both agree on what fits; this
one has the last word.

What a mistake may cost is bounded. pydantic collects an error for every unknown field, and parsing JSON by itself
copies the row into the error of every missing one: 16 MiB of unknown columns took it 40 s and 4 GB. So rows of the
wrong size never reach it whole, and mistakes are counted out.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from itertools import islice
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from serving.bundle import CategoricalColumn, Column, Contract, Json
from serving.errors import MOST_NAME, Detail, InvalidRequestError, TooManyRowsError
from serving.event_loop_budget import NoTimeError
from serving.reading.rows import Row

MOST_DETAILS = 100  # of one answer, which must stay readable
LARGE_BODY_BYTES = 2**20  # what a smaller one costs does not matter
Wrong = Callable[[list[str | int], str], InvalidRequestError]  # of a path and a message
ANYTHING: TypeAdapter[Any] = TypeAdapter(Any)


class Mistakes:
    """Finds what does not fit one model.

    Args:
        contract: names the columns.
        row: the model of a row, as `schemas` makes it.
        has_time: without, whatever there is to find raises a NoTimeError, unless it is found soon.
    """

    def __init__(self, contract: Contract, row: type[BaseModel], *, has_time: bool = True) -> None:
        self._has_time = has_time
        self._columns = {column.name: column for column in contract.columns}
        self._row = row

    def take_time(self) -> None:
        """To be called before what may take long.

        Raises:
            NoTimeError: there is none.
        """
        if not self._has_time:
            raise NoTimeError

    def check_rows(self, rows: Sequence[Any]) -> None:
        """Raise an InvalidRequestError that names the wrong cells of these rows, if any."""
        refuse(self._in_rows(rows))

    def check_columns(self, columns: Mapping[str, Any]) -> list[Row]:
        """The rows of these columns.

        Raises:
            InvalidRequestError: names the wrong columns and cells.
        """
        self.take_time()
        refuse(self._in_names(columns))
        refuse(_in_lengths(columns))
        rows: list[Row] = [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]
        refuse(
            Detail(path=["columns", name, index], message=message)
            for index, row in enumerate(rows)
            for name, message in self._wrong_cells(row)
        )
        return rows

    def in_names(self, names: Iterable[str]) -> Iterator[Detail]:
        """Columns that the model does not have, and those that are missing."""
        names = list(names)
        if len(names) == len(self._columns) == len(self._columns.keys() & names):
            return
        self.take_time()
        given = set()
        for name in names:
            if name not in self._columns:
                yield Detail(path=["columns", name[:MOST_NAME]], message=self._unknown(name))
            elif name in given:
                yield Detail(path=["columns", name], message="There is more than one column of this name")
            given.add(name)
        for name in self._columns:
            if name not in given:
                yield Detail(path=["columns", name], message="This column is missing")

    def _in_names(self, columns: Mapping[str, Any]) -> Iterator[Detail]:
        yield from self.in_names(columns)
        for name, values in columns.items():
            if name in self._columns and not isinstance(values, list):
                yield Detail(path=["columns", name], message="Input should be a list of values")

    def _in_rows(self, rows: Sequence[Any]) -> Iterator[Detail]:
        for index, row in enumerate(rows):
            if not isinstance(row, dict):
                yield Detail(path=["rows", index], message="Input should be an object: column -> value")
                continue
            for name in row:
                if name not in self._columns:
                    yield Detail(path=["rows", index, name[:MOST_NAME]], message=self._unknown(name))
            for name, message in self._wrong_cells(row):
                yield Detail(path=["rows", index, name], message=message)

    def _wrong_cells(self, row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        known = {name: row[name] for name in self._columns if name in row}
        try:
            self._row.model_validate(known)
        except ValidationError as error:
            # A cell that may be a label or a number has an error for each.
            first = {str(mistake["loc"][0]): mistake for mistake in reversed(error.errors(include_url=False))}
            for name, column in self._columns.items():
                if name in first:
                    yield name, _message(column, row, first[name]["msg"])

    def _unknown(self, name: str) -> str:
        near = get_close_matches(name[:MOST_NAME], self._columns, n=1)
        return f"There is no such column. Did you mean {near[0]!r}?" if near else "There is no such column"


def wrong_body(path: list[str | int], message: str) -> InvalidRequestError:
    """The error for a body that is something else than rows."""
    return InvalidRequestError("The body is not a request.", [Detail(path=path, message=message)])


def parse(body: bytes, *, wrong: Wrong = wrong_body) -> Any:
    """JSON, with numbers of any size and the tokens NaN and Infinity.

    Raises:
        InvalidRequestError: as `wrong` makes it; says where it ceases to be JSON.
    """
    try:
        return ANYTHING.validate_json(body)
    except ValidationError as error:
        raise wrong([], error.errors(include_url=False, include_input=False)[0]["msg"]) from None


def check_brackets(body: bytes, *, most: int, max_rows: int, wrong: Wrong = wrong_body) -> None:
    """Refuse a large body of JSON that opens more brackets than so many rows could need.

    An empty list is 2 bytes of JSON and 100 of memory, so they are counted before it is parsed.

    Raises:
        InvalidRequestError: as `wrong` makes it.
    """
    if len(body) > LARGE_BODY_BYTES and body.count(b"[") + body.count(b"{") > most:
        raise wrong([], f"More lists and objects than {max_rows:,} rows can have")


def check_n_rows(n_rows: int, max_rows: int, *, form: str) -> None:
    """Raise a TooManyRowsError when there are more than allowed."""
    if n_rows > max_rows:
        detail = Detail(path=[form], message=f"{n_rows:,} rows, at most {max_rows:,}")
        raise TooManyRowsError.from_limit(max_rows, detail)


def refuse(mistakes: Iterable[Detail]) -> None:
    """Raise an InvalidRequestError with the first mistakes, if there are any."""
    details = list(islice(mistakes, MOST_DETAILS + 1))
    if not details:
        return
    cut = len(details) > MOST_DETAILS
    raise InvalidRequestError(
        f"{f'More than {MOST_DETAILS}' if cut else len(details)} "
        f"{'value does' if len(details) == 1 else 'values do'} not fit the model's columns.",
        details[:MOST_DETAILS],
    )


def _in_lengths(columns: Mapping[str, list[Json]]) -> Iterator[Detail]:
    first = next(iter(columns))
    for name, values in columns.items():
        if len(values) != len(columns[first]):
            message = f"{len(values):,} values, and {first!r} has {len(columns[first]):,}"
            yield Detail(path=["columns", name], message=message)
        elif not values:
            yield Detail(path=["columns", name], message="Input should be a list of at least one value")


def _message(column: Column, row: Mapping[str, Any], said: str) -> str:
    if column.name not in row:
        return "This column is missing" + (" (null is accepted)" if column.nullable else "")
    if row[column.name] is None:
        return "null is not accepted: the column had no missing values in training"
    if isinstance(column, CategoricalColumn):
        empty = ", and not be empty: the column had no missing values in training" if row[column.name] == "" else ""
        return f"Input should be a string or a whole number{empty}"
    return said.removeprefix("Value error, ")
