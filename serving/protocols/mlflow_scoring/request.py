"""Bodies of MLflow's scoring protocol to raw columns.

MLflow's server makes a DataFrame of them and the model that training logs there takes much: further columns are passed
over, those that had missing values in training may be left out, numbers may be text, truths 0 and 1, a missing date ""
or "NaT". So it is here. Not taken are a missing value in a column that had none in training, and whatever has no finite
prediction.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from serving.bundle import Column, Contract, Json
from serving.errors import Detail, InvalidRequestError
from serving.event_loop_budget import SMALL_ROWS, NoTimeError
from serving.reading.csv import READERS, csv_cells, csv_lines
from serving.reading.media_types import CSV
from serving.reading.mistakes import check_n_rows, refuse, wrong_body
from serving.reading.request_reader import Columns, RequestReader

SPLIT, RECORDS, INSTANCES, INPUTS = "dataframe_split", "dataframe_records", "instances", "inputs"
FORMS = (SPLIT, RECORDS, INSTANCES, INPUTS)
SPLIT_FIELDS = frozenset({"columns", "data", "index"})
# What pandas takes for a missing value in CSV.
NOT_A_NUMBER = ("-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "NaN", "nan")
MISSING = frozenset((*NOT_A_NUMBER, "#N/A", "#N/A N/A", "#NA", "<NA>", "N/A", "NA", "NULL", "None", "n/a", "null"))
# What pandas takes for a missing date, in JSON, too.
NO_DATE = frozenset({"", "NaT", "nat", "NAT", "NaN", "nan", "NAN"})
Table = dict[str, list[Any]]


def read_invocation(body: bytes, media: str, reader: RequestReader) -> Columns:
    """The raw columns of a body, [N] each: float64 with NaN for missing, or strings with "" for missing.

    Args:
        body: of a request.
        media: JSON or CSV.
        reader: of the model's requests.

    Raises:
        InvalidRequestError: it is not what it is declared as, or does not fit the contract.
        TooManyRowsError: it has more rows than allowed.
        NoTimeError: as the reader's.
    """
    table = _read_csv(body, reader) if media == CSV else _read_json(reader.parse(body), reader)
    try:
        return reader.fit(table)
    except (InvalidRequestError, NoTimeError):
        contract = {column.name: column for column in reader.contract.columns}
        return reader.fit({name: _loosened(contract[name], cells) for name, cells in table.items()})


def _read_csv(body: bytes, reader: RequestReader) -> Table:
    header, lines = csv_lines(body, most=reader.max_rows + 1)
    cells = csv_cells(header, lines, reader.contract, max_rows=reader.max_rows, reread=_as_pandas_reads)
    return _completed(cells, header, reader)


def _as_pandas_reads(_: Column, texts: Sequence[str]) -> Sequence[str]:
    return ["" if text in MISSING else text for text in texts]


def _read_json(parsed: Any, reader: RequestReader) -> Table:
    if not isinstance(parsed, dict):
        raise wrong_body([], "Input should be an object")
    forms = [form for form in FORMS if form in parsed]
    if len(forms) != 1:
        raise wrong_body([], f"Input should have exactly one of the fields {', '.join(FORMS)}")
    (form,) = forms
    if form == SPLIT:
        return _from_split(parsed[form], reader)
    if form != RECORDS:
        return _from_tensors(form, parsed[form], reader)
    return _from_records(form, parsed[form], reader)


def _from_split(given: Any, reader: RequestReader) -> Table:
    if not isinstance(given, dict) or not given.keys() <= SPLIT_FIELDS:
        raise wrong_body([SPLIT], 'Input should be an object of "columns", "data" and perhaps "index"')
    names, rows = given.get("columns"), given.get("data")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise wrong_body([SPLIT, "columns"], "Input should be a list of the columns' names")
    if not isinstance(rows, list) or not rows:
        raise wrong_body([SPLIT, "data"], "Input should be a list of at least one row")
    check_n_rows(len(rows), reader.max_rows, form="data")
    refuse(_ragged(rows, width=len(names)))
    return _completed(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)), names, reader)


def _from_records(form: str, given: Any, reader: RequestReader) -> Table:
    if not isinstance(given, list) or not given:
        raise wrong_body([form], "Input should be a list of at least one row")
    check_n_rows(len(given), reader.max_rows, form=form)
    _take_time_for(len(given), reader)
    refuse(
        Detail(path=[form, index], message="Input should be an object: column -> value")
        for index, row in enumerate(given)
        if not isinstance(row, dict)
    )
    names = {name for row in given for name in row}
    cells = {name: [row.get(name) for row in given] for name in _known(reader.contract) if name in names}
    return _completed(cells, list(names), reader)


def _from_tensors(form: str, given: Any, reader: RequestReader) -> Table:
    """Rows, columns, one row, or the cells of an only column."""
    known = _known(reader.contract)
    if isinstance(given, dict):
        if not any(isinstance(value, list) for value in given.values()):
            return _from_records(form, [given], reader)
        cells = {name: values for name, values in given.items() if name in known}
        check_n_rows(max(map(_length, cells.values()), default=0), reader.max_rows, form=form)
        return _completed(cells, list(given), reader)
    if isinstance(given, list) and len(known) == 1 and not any(isinstance(value, dict) for value in given):
        return _from_tensors(form, {known[0]: given}, reader)
    return _from_records(form, given, reader)


def _completed(cells: Mapping[str, list[Any]], given: Sequence[str], reader: RequestReader) -> Table:
    """The columns of the contract, of those that were given; what may be left out, and was, is missing in every row."""
    columns = {column.name: column for column in reader.contract.columns}
    absent = [name for name, column in columns.items() if column.nullable and name not in cells]
    refuse(reader.mistakes.in_names([*(name for name in given if name in columns), *absent]))
    n_rows = max(map(_length, cells.values()), default=0)
    _take_time_for(n_rows, reader)
    nothing = [None] * n_rows
    return {name: cells.get(name, nothing) for name in columns}


def _take_time_for(n_rows: int, reader: RequestReader) -> None:
    """What is left out of a few bytes may be the cells of a thousand columns, in each of many rows."""
    if n_rows > SMALL_ROWS:
        reader.mistakes.take_time()


def _known(contract: Contract) -> list[str]:
    return [column.name for column in contract.columns]


def _length(values: Any) -> int:
    return len(values) if isinstance(values, list) else 0


def _ragged(rows: Sequence[Any], *, width: int) -> Iterator[Detail]:
    for index, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != width:
            yield Detail(path=[SPLIT, "data", index], message=f"Input should be a list of {width:,} values")


def _loosened(column: Column, cells: Any) -> Any:
    """Cells as the strict reading of the native protocol takes them."""
    loosen = LOOSE[column.kind]
    return [loosen(None if cell != cell else cell) for cell in cells] if isinstance(cells, list) else cells  # noqa: PLR0124  only NaN differs from itself


def _number(cell: Any) -> Any:
    if isinstance(cell, bool):
        return float(cell)
    return READERS["numeric"](cell.strip()) if isinstance(cell, str) else cell


def _truth(cell: Any) -> Any:
    return bool(cell) if isinstance(cell, (int, float)) and cell in (0, 1) else cell


def _label(cell: Any) -> Any:
    return str(cell) if isinstance(cell, (bool, float)) else cell


def _date(cell: Any) -> Any:
    return None if isinstance(cell, str) and cell in NO_DATE else cell


LOOSE: Mapping[str, Callable[[Any], Json]] = {
    "numeric": _number,
    "boolean": _truth,
    "categorical": _label,
    "date": _date,
}
