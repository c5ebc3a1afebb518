"""Rows in and out of files, a portion at a time: Parquet and CSV."""

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from serving.batch.mistakes import SAVE_AS_UTF8, FileAwayError, ScoringError

SUFFIXES = (".parquet", ".csv")
MARKS_OF_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
PARSING = pyarrow.csv.ParseOptions(newlines_in_values=True)


class Writer(Protocol):
    """What pyarrow's writers of Parquet and CSV have in common."""

    def write_table(self, table: pa.Table) -> None:
        """Append rows."""
        ...

    def close(self) -> None:
        """Finish the file."""
        ...


def check_suffix(path: Path, field: str) -> None:
    """Raise a ScoringError for a file of an unknown kind."""
    if path.suffix.lower() not in SUFFIXES:
        raise ScoringError(f"{field} {path}: the name must end in {' or '.join(SUFFIXES)}.")


def nearest_name(path: Path) -> str:
    """` Did you mean <name>?`, of what lies where a path should; nothing where it is there or no name is near."""
    if path.exists():
        return ""
    names = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
    near = get_close_matches(path.name, names, n=1)
    return f" Did you mean {near[0]}?" if near else ""


def check_writable(columns: Mapping[str, pa.Array], output: Path) -> None:
    """Raise a ScoringError for a column that this kind of file cannot hold: pyarrow would say so at the very end."""
    if not is_csv(output):
        return
    for name, values in columns.items():
        try:
            pyarrow.csv.write_csv(pa.table({name: values}), pa.MockOutputStream())
        except pa.ArrowInvalid as error:
            raise ScoringError(
                f"--keep {name}: its values cannot be written to CSV: {_first_line(error)}. "
                "Let --output end in .parquet, or leave the column out."
            ) from error


def column_names(path: Path) -> list[str]:
    """Of a file of rows.

    Raises:
        ScoringError: it cannot be read.
    """
    try:
        if not is_csv(path):
            return list(pyarrow.parquet.read_schema(path).names)
        _refuse_utf16(path)
        with pyarrow.csv.open_csv(path, parse_options=PARSING) as reader:
            return list(reader.schema.names)
    except UnicodeDecodeError:
        _find_wrong_encoding(path)
        raise
    except (OSError, pa.ArrowInvalid) as error:
        if is_csv(path):
            _find_wrong_encoding(path)
        raise ScoringError(f"{path} cannot be read: {_first_line(error)}") from error


def count_rows(path: Path) -> int | None:
    """How many there are; None where the file does not say."""
    return None if is_csv(path) else int(pyarrow.parquet.read_metadata(path).num_rows)


def is_csv(path: Path) -> bool:
    """Whether it is text, of which nobody knows the types."""
    return path.suffix.lower() == ".csv"


def read_portions(path: Path, *, columns: Sequence[str], n_rows: int) -> Iterator[pa.RecordBatch]:
    """The rows in order, exactly `n_rows` at a time save for the last portion.

    Args:
        path: of the file.
        columns: that are read; of CSV as text, which is not checked to be UTF-8.
        n_rows: of a portion.

    Raises:
        ScoringError: the file is broken.
    """
    waiting: list[pa.RecordBatch] = []
    try:
        for batch in _batches(path, columns, n_rows):
            waiting.append(batch)
            while sum(map(len, waiting)) >= n_rows:
                whole = pa.Table.from_batches(waiting).combine_chunks().to_batches()[0]
                yield whole.slice(0, n_rows)
                waiting = [whole.slice(n_rows)]
    except OSError as error:
        raise FileAwayError(f"{path} cannot be read: {_first_line(error)}") from error
    except pa.ArrowInvalid as error:
        raise ScoringError(f"{path} cannot be read: {_first_line(error)}") from error
    if sum(map(len, waiting)):
        yield pa.Table.from_batches(waiting).combine_chunks().to_batches()[0]


def open_writer(path: Path, schema: pa.Schema) -> Writer:
    """A writer of this kind of file."""
    kind = pyarrow.csv.CSVWriter if is_csv(path) else pyarrow.parquet.ParquetWriter
    writer: Writer = kind(path, schema)
    return writer


def _batches(path: Path, columns: Sequence[str], n_rows: int) -> Iterator[pa.RecordBatch]:
    if not is_csv(path):
        with pyarrow.parquet.ParquetFile(path) as file:
            yield from file.iter_batches(batch_size=n_rows, columns=list(columns))
        return
    convert = pyarrow.csv.ConvertOptions(
        include_columns=list(columns),
        column_types=dict.fromkeys(columns, pa.string()),
        check_utf8=False,
    )
    with pyarrow.csv.open_csv(path, parse_options=PARSING, convert_options=convert) as reader:
        yield from reader


def _refuse_utf16(path: Path) -> None:
    with path.open("rb") as stream:
        if stream.read(2) in MARKS_OF_UTF_16:
            raise ScoringError(f"{path} is encoded as UTF-16. Save it as UTF-8, e.g. iconv -f utf-16 -t utf-8.")


def _find_wrong_encoding(path: Path) -> None:
    with path.open("rb") as stream:
        for line, content in enumerate(stream, start=1):
            try:
                content.decode("utf-8")
            except UnicodeDecodeError as error:
                where = f"{path}, line {line}, byte {error.start + 1}"
                raise ScoringError(f"{where}: not UTF-8 (0x{content[error.start]:02x}). {SAVE_AS_UTF8}") from None


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
