"""Rows in and out of files, a portion at a time: Parquet and CSV."""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from serving.batch.columns import ScoringError

SUFFIXES = (".parquet", ".csv")


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


def column_names(path: Path) -> list[str]:
    """Of a file of rows.

    Raises:
        ScoringError: it cannot be read.
    """
    try:
        if path.suffix.lower() == ".parquet":
            return list(pyarrow.parquet.read_schema(path).names)
        with pyarrow.csv.open_csv(path) as reader:
            return list(reader.schema.names)
    except (OSError, pa.ArrowInvalid) as error:
        raise ScoringError(f"{path} cannot be read: {_first_line(error)}") from error


def count_rows(path: Path) -> int | None:
    """How many there are; None where the file does not say."""
    return int(pyarrow.parquet.read_metadata(path).num_rows) if path.suffix.lower() == ".parquet" else None


def read_portions(path: Path, *, columns: list[str], n_rows: int) -> Iterator[pa.RecordBatch]:
    """The rows in order, exactly `n_rows` at a time save for the last portion.

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
    except (OSError, pa.ArrowInvalid) as error:
        raise ScoringError(f"{path} cannot be read: {_first_line(error)}") from error
    if sum(map(len, waiting)):
        yield pa.Table.from_batches(waiting).combine_chunks().to_batches()[0]


def open_writer(path: Path, schema: pa.Schema) -> Writer:
    """A writer of this kind of file."""
    kind = pyarrow.parquet.ParquetWriter if path.suffix.lower() == ".parquet" else pyarrow.csv.CSVWriter
    writer: Writer = kind(path, schema)
    return writer


def _batches(path: Path, columns: list[str], n_rows: int) -> Iterator[pa.RecordBatch]:
    if path.suffix.lower() == ".parquet":
        with pyarrow.parquet.ParquetFile(path) as file:
            yield from file.iter_batches(batch_size=n_rows, columns=columns)
        return
    convert = pyarrow.csv.ConvertOptions(include_columns=columns, strings_can_be_null=True)
    with pyarrow.csv.open_csv(path, convert_options=convert) as reader:
        yield from reader


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
