"""CSV to cells: a header with the columns' names, commas, UTF-8; words for a missing value are those of training.

Text becomes what JSON would have: a number, a truth, or text. What cannot be turned stays text, so it is refused in the
words that text in JSON is refused in. Not here: whether a cell fits its column (`cells`, `mistakes`).
"""

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence

from serving.bundle import Column, Contract, Json
from serving.errors import Detail, InvalidRequestError
from serving.reading.labels import as_training_reads, is_number
from serving.reading.mistakes import Mistakes, check_n_rows, refuse

TRUTHS: Mapping[str, Json] = {"true": True, "false": False}


def read_csv(body: bytes, contract: Contract, mistakes: Mistakes, *, max_rows: int) -> dict[str, list[Json]]:
    """The cells of every column.

    Raises:
        InvalidRequestError: it is no CSV, has other columns than the model, or lines of another length.
        TooManyRowsError: it has more rows than allowed.
    """
    header, lines = csv_lines(body, most=max_rows + 1)
    refuse(mistakes.in_names(header))
    return csv_cells(header, lines, contract, max_rows=max_rows, reread=as_training_reads)


def csv_cells(
    header: Sequence[str],
    lines: Sequence[Sequence[str]],
    contract: Contract,
    *,
    max_rows: int,
    reread: Callable[[Column, Sequence[str]], Sequence[str]],
) -> dict[str, list[Json]]:
    """The cells of every column that the model has.

    Args:
        header: names of all columns.
        lines: after it.
        contract: names the model's columns.
        max_rows: of one request.
        reread: texts of a column to what they stand for; "" is missing.

    Raises:
        InvalidRequestError: there is no line, or one of another length than the header.
        TooManyRowsError: there are more lines than allowed.
    """
    check_n_rows(len(lines), max_rows, form="rows")
    if not lines:
        raise _no_csv("There is no line after the header")
    refuse(_ragged(lines, width=len(header)))
    known = {column.name: column for column in contract.columns}
    columns = zip(header, zip(*lines, strict=True), strict=True)
    return {
        name: list(map(READERS[known[name].kind], reread(known[name], texts)))
        for name, texts in columns
        if name in known
    }


def csv_lines(body: bytes, *, most: int) -> tuple[list[str], list[list[str]]]:
    """The header and the lines after it, so many at most; empty lines are none.

    Raises:
        InvalidRequestError: it is no CSV.
    """
    try:
        text = body.decode("utf-8-sig")  # spreadsheets begin with a byte order mark
        lines: Iterator[list[str]] = filter(None, csv.reader(io.StringIO(text, newline=""), strict=True))
        header = next(lines, None)
        if header is None:
            raise _no_csv("There is no header")
        return header, [line for _, line in zip(range(most), lines, strict=False)]
    except UnicodeDecodeError as error:
        raise _no_csv(f"It is not encoded as UTF-8: byte {error.start} cannot be read") from None
    except csv.Error as error:
        raise _no_csv(str(error)) from None


def _ragged(lines: Sequence[Sequence[str]], *, width: int) -> Iterator[Detail]:
    for index, line in enumerate(lines):
        if len(line) != width:
            yield Detail(path=["rows", index], message=f"{len(line):,} cells, and the header has {width:,}")


def _number(text: str) -> Json:
    return (float(text) if is_number(text) else text) if text else None


def _truth(text: str) -> Json:
    return TRUTHS.get(text.lower(), text) if text else None


def _text(text: str) -> Json:
    return text or None


def _no_csv(message: str) -> InvalidRequestError:
    return InvalidRequestError("The body is no CSV.", [Detail(path=[], message=message)])


READERS: Mapping[str, Callable[[str], Json]] = {
    "numeric": _number,
    "boolean": _truth,
    "categorical": _text,
    "date": _text,
}
