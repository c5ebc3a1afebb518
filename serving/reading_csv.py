"""CSV to cells: a header with the columns' names, commas, UTF-8; words for a missing value are those of training.

Text becomes what JSON would have: a number, a truth, or text. What cannot be turned stays text, so it is refused in the
words that text in JSON is refused in. Not here: whether a cell fits its column (`reading_cells`, `reading_mistakes`).
"""

import csv
import io
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal

from serving.bundle import CategoricalColumn, Column, Contract, Json
from serving.errors import Detail, InvalidRequestError
from serving.missing_words import missing_words
from serving.reading_mistakes import Mistakes, check_n_rows, refuse

# A number as training writes it into a label; where one label is "01", the column was text there.
AS_WRITTEN = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?(e[+-]?[0-9]+)?")
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


def as_training_reads(column: Column, texts: Sequence[str]) -> Sequence[str]:
    """Texts of a column to what they stand for: "" for the words of a missing value, and labels as training has them.

    A column of whole numbers, say, is read as such before its labels are made: there "01" is the label "1".
    """
    categories = column.categories if isinstance(column, CategoricalColumn) else ()
    words = missing_words(categories)
    if not words.isdisjoint(texts):
        texts = ["" if text in words else text for text in texts]
    others = set(texts).difference(categories, {""}) if categories else set()
    known = dict(_as_known(others, frozenset(categories) - {""}))
    return [known.get(text, text) for text in texts] if known else texts


def _as_known(texts: Iterable[str], categories: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Each that is another way to write a category, with it, where the categories are all numbers or all truths."""
    if categories and categories <= TRUTHS.keys():
        yield from ((text, text.lower()) for text in texts if text.lower() in categories)
    elif all(map(AS_WRITTEN.fullmatch, categories)):
        known = {Decimal(label): label for label in categories}  # float64 would take long numbers for each other
        numbers = ((text, known.get(Decimal(text))) for text in texts if _is_number(text))
        yield from ((text, label) for text, label in numbers if label is not None)


def _is_number(text: str) -> bool:
    return not isinstance(_number(text), str)


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
    for place, line in enumerate(lines):
        if len(line) != width:
            yield Detail(path=["rows", place], message=f"{len(line):,} cells, and the header has {width:,}")


def _number(text: str) -> Json:
    """Python reads more as a number than others do: underscores, digits of other scripts, nan."""
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        return text
    return number if math.isfinite(number) and text.isascii() and "_" not in text else text


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
