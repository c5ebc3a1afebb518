"""Reads a user's file into a polars frame, and says in plain words what is wrong with one that cannot be read.

Not here: what the columns mean (`kinds`) and which of them is predicted (`target`).
"""

import csv
import io
import json
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from pipelines.config.table_file import COMPRESSIONS, SEPARATORS, known_extension
from pipelines.data.signatures import LONGEST, what_it_is
from pipelines.errors import UserError
from serving.reading.missing_words import MISSING_WORDS

PORTION_BYTES = 1 << 22
PATTERN_SIGNS = frozenset("*?[")  # by which polars takes a name for a pattern of names
UNDECODED = "\ufffd"  # what stands for bytes that are no UTF-8


def read_file(path: Path) -> pl.DataFrame:
    """Read CSV, TSV, Parquet or JSON lines, each plain or compressed with gzip or zstd, by the name's ending.

    Raises:
        UserError: the file is missing, empty, of an unknown sort, or broken; with the line where there is one.
    """
    extension = _extension(path)
    with _failure_told(path):
        source = _source(path)
        if extension in SEPARATORS:
            frame = _read_separated(path, source, separator=SEPARATORS[extension])
        else:
            frame = _read_binary(path, source, extension=extension)
    if frame.height == 0:
        raise UserError(f"{path} has a header but no rows.")
    return frame


def column_names(path: Path, *, wanted: Collection[str]) -> list[str]:
    """The names of a file's columns: at least those that are wanted and there, and all of them where one is not.

    No more is read than that takes: the header, the first of JSON lines if it has what is wanted, the end of Parquet.

    Raises:
        UserError: as `read_file`, but only for what was read.
    """
    extension = _extension(path)
    with _failure_told(path):
        if extension in SEPARATORS:
            return _check_header(path, path, separator=SEPARATORS[extension])
        if extension == ".parquet":
            source = _source(path)
            with _refused_as(path, "Parquet"):
                return list(pl.read_parquet_schema(source))
        names = _names_of_first_line(path)
    return names if set(wanted) <= set(names) else read_file(path).columns


def _names_of_first_line(path: Path) -> list[str]:
    """Of JSON lines; none where it is no JSON object."""
    with io.TextIOWrapper(_open(path), encoding="utf-8", errors="replace") as text:
        try:
            first = json.loads(text.readline())
        except ValueError:
            return []
    return list(first) if isinstance(first, dict) else []


def _extension(path: Path) -> str:
    """That of a file that is there and holds something."""
    extension = known_extension(path)
    if path.stat().st_size == 0:
        raise _empty(path)
    if extension != ".parquet":
        _check_text(path)
    return extension


def _check_text(path: Path) -> None:
    """Refuse what its first bytes say is no text; polars would tell what it stumbled over in it."""
    with _failure_told(path), _open(path) as stream:
        said = what_it_is(stream.read(LONGEST))
    if said is not None:
        raise UserError(f"{path} {said}")


def _empty(path: Path) -> UserError:
    return UserError(f"{path} is empty. Give a file with a header line and rows.")


def _source(path: Path) -> Path | bytes:
    """What polars reads: a plain file itself, a compressed one decompressed; never empty."""
    if _compression(path) is None and not PATTERN_SIGNS & set(str(path)):
        return path
    with _open(path) as stream:
        content = stream.read()
    if not content:
        raise _empty(path)
    return content


def _compression(path: Path) -> str | None:
    return COMPRESSIONS.get(path.suffix.lower())


def _open(source: Path | bytes) -> io.BytesIO | io.BufferedReader:
    """A stream of what is decompressed on the way."""
    if isinstance(source, bytes):
        return io.BytesIO(source)
    compression = _compression(source)
    if compression is None:
        return source.open("rb")
    return io.BufferedReader(pa.input_stream(source, compression=compression))


@contextmanager
def _failure_told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        compression = _compression(path)
        how, advice = (f"decompressed as {compression}", " Is the file whole?") if compression else ("read", "")
        raise UserError(f"{path} cannot be {how}: {error}.{advice}") from error


def _read_binary(path: Path, source: Path | bytes, *, extension: str) -> pl.DataFrame:
    with _refused_as(path, "Parquet" if extension == ".parquet" else "JSON lines"):
        if extension == ".parquet":
            return pl.read_parquet(source)
        try:
            return pl.read_ndjson(source, infer_schema_length=None)
        except pl.exceptions.PolarsError:
            _find_broken_line(path, source)
            raise


def _find_broken_line(path: Path, source: Path | bytes) -> None:
    """Of JSON lines, of which polars says how they are broken, and not where."""
    with _open(source) as stream:
        for number, line in enumerate(stream, start=1):
            try:
                what = None if isinstance(json.loads(line or b"{}"), dict) else "no JSON object"
            except ValueError as error:
                what = f"no JSON ({error})"
            if what is not None and line.strip():
                raise UserError(
                    f"{path} cannot be read as JSON lines: line {number} is {what}. "
                    'Every line must be one row, such as {"size": 3, "price": 1.5}.'
                )


@contextmanager
def _refused_as(path: Path, kind: str) -> Iterator[None]:
    try:
        yield
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = _first_line(error)
        raise UserError(f"{path} cannot be read as {kind}: {reason}. Is it whole, and is it {kind}?") from error


def _read_separated(path: Path, source: Path | bytes, *, separator: str) -> pl.DataFrame:
    names = _check_header(path, source, separator=separator)
    try:
        frame = _scan_separated(source, separator=separator)
    except pl.exceptions.PolarsError as error:
        _find_wrong_encoding(path, source)
        _find_broken_row(path, source, separator=separator)
        raise UserError(
            f"{path} cannot be read: {_first_line(error)}. "
            "A double quote inside a value must be doubled, and the value be in double quotes."
        ) from error
    if frame.height == 0 and len(list(islice(_rows(path, source, separator=separator), 2))) > 1:
        raise UserError(f"{path}: its lines end in carriage returns alone. Save it with line feeds, as UTF-8 text.")
    if frame.width == len(names):  # else a quote in the header is not closed
        frame.columns = names  # polars leaves doubled quotes in names doubled
    # A row that is too short reads as one whose last values are missing.
    has_gaps = frame.get_column(frame.columns[-1]).null_count() > 0
    # The header has as many separators as a row.
    if has_gaps and _count_separators(source, separator) != (frame.height + 1) * (frame.width - 1):
        _find_broken_row(path, source, separator=separator)
    return frame


def _count_separators(source: Path | bytes, separator: str) -> int:
    """How many stand outside double quotes; a doubled quote opens and closes, which changes nothing."""
    n_separators, is_quoted = 0, 0
    with _open(source) as stream:
        for portion in iter(partial(stream.read, PORTION_BYTES), b""):
            pieces = portion.split(b'"')
            outside = np.frombuffer(b"".join(pieces[is_quoted::2]), dtype=np.uint8)
            n_separators += int(np.count_nonzero(outside == ord(separator)))
            is_quoted = (is_quoted + len(pieces) - 1) % 2
    return n_separators


def _scan_separated(source: Path | bytes, *, separator: str) -> pl.DataFrame:
    """Types are inferred from the first rows; where a later row contradicts them, from all rows.

    Whole numbers beyond the largest type are numbers with fractions.
    """
    read = partial(pl.read_csv, source, separator=separator, null_values=list(MISSING_WORDS), encoding="utf8")
    with suppress(pl.exceptions.ComputeError):
        return read(infer_schema_length=10_000)
    try:
        return read(infer_schema_length=None)
    except pl.exceptions.ComputeError:
        schema = read(infer_schema_length=None, n_rows=0).schema
        too_narrow = [name for name, dtype in schema.items() if dtype == pl.Int128]
        if not too_narrow:
            raise
        return read(infer_schema_length=None, schema_overrides=dict.fromkeys(too_narrow, pl.Float64))


def _rows(path: Path, source: Path | bytes, *, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Number of the last line, from 1, and fields of every row that is not blank."""
    with io.TextIOWrapper(_open(source), encoding="utf-8-sig", errors="replace", newline="") as text:
        reader = csv.reader(text, delimiter=separator, strict=True)
        try:
            for fields in reader:
                if fields:
                    yield reader.line_num, fields
        except csv.Error as error:
            raise UserError(f"{path}, line {reader.line_num}: {error}. Mend the quotes of this line.") from error


def _check_header(path: Path, source: Path | bytes, *, separator: str) -> list[str]:
    """The names of the columns."""
    names = next((fields for _, fields in _rows(path, source, separator=separator)), [])
    if not names:
        raise _empty(path)
    if any(UNDECODED in name for name in names):
        _find_wrong_encoding(path, source)
    if len(names) == 1:
        _check_separator(path, names[0], separator=separator)
    nameless = [str(place + 1) for place, name in enumerate(names) if not name.strip()]
    if len(nameless) > 1:
        raise UserError(f"{path}, line 1: columns {', '.join(nameless)} have no name. Is the first line a header?")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UserError(f"{path}, line 1: more than one column is called {', '.join(map(repr, twice))}. Rename them.")
    return names


def _check_separator(path: Path, header: str, *, separator: str) -> None:
    """A header that reads as one name, but holds what separates names elsewhere."""
    advice = {
        ",": "seems to be separated by ',': name it .csv",
        "\t": "seems to be separated by tabs: name it .tsv",
        ";": f"seems to be separated by ';': save it with {separator!r} instead",
        "|": f"seems to be separated by '|': save it with {separator!r} instead",
    }
    other = max(advice.keys() - {separator}, key=header.count)
    if other in header:
        raise UserError(f"{path}, line 1: one column only, {header!r}. The file {advice[other]}.")


def _find_broken_row(path: Path, source: Path | bytes, *, separator: str) -> None:
    rows = _rows(path, source, separator=separator)
    _, header = next(rows)
    for line, fields in rows:
        if len(fields) != len(header):
            raise UserError(
                f"{path}, line {line}: {len(fields)} fields where the header has {len(header)}. "
                "Mend the line; a value that holds the separator must be in double quotes."
            )


def _find_wrong_encoding(path: Path, source: Path | bytes) -> None:
    with _open(source) as stream:
        for line, content in enumerate(stream, start=1):
            try:
                content.decode("utf-8")
            except UnicodeDecodeError as error:
                raise UserError(
                    f"{path}, line {line}, byte {error.start + 1}: not UTF-8 (0x{content[error.start]:02x}). "
                    "Save the file as UTF-8, e.g. iconv -f latin1 -t utf-8."
                ) from error


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
