"""Small Arrow streams as most clients send them: one batch of numbers, truths and texts that is not compressed.

For a hundred rows each of Arrow's functions costs as much as reading a column, and a stream takes dozens of them. So
what lies there as a column is taken as it lies, once another stream of the same schema has been read. Whatever is
otherwise in any respect, or wrong, is left to `arrow`, which has the last word: nothing is refused here.

The layout is that of Arrow's columnar format since 1.0 (metadata version V5), little-endian.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa

from serving.bundle import BooleanColumn, CategoricalColumn, Column, Contract, NumericColumn
from serving.reading.flatbuffers import field_at, follow, integer_of, integers_of
from serving.scheduling.event_loop_budget import SMALL_ROWS

NUMBERS: Mapping[pa.DataType, np.dtype] = {
    own: np.dtype(own.to_pandas_dtype()).newbyteorder("<")
    for own in (pa.float64(), pa.float32(), pa.int64(), pa.int32(), pa.int16(), pa.int8())
}
ENDS: Mapping[pa.DataType, np.dtype] = {pa.string(): np.dtype("<i4"), pa.large_string(): np.dtype("<i8")}
BYTES = np.dtype(np.uint8)
# Numbers of fields of the tables Message, RecordBatch and Schema, and values of them (Arrow's format/*.fbs).
VERSION, HEADER_TYPE, HEADER, BODY_LENGTH = 0, 1, 2, 3
N_ROWS, NODES, BUFFERS, COMPRESSION = 0, 1, 2, 3
ENDIANNESS = 0
V5, RECORD_BATCH = 4, 3
OLD_COMPRESSION = b"ARROW:experimental_compression"  # before the format had a field for it; still obeyed
CONTINUES = b"\xff\xff\xff\xff"  # begins every message, before the length of what it says of itself
STREAM_ENDS = (b"", CONTINUES + bytes(4))


class _OtherwiseError(Exception):
    """Not as most clients send it."""


@dataclass(frozen=True)
class _Plain:
    """How a column lies in a batch.

    Attributes:
        column: of the contract.
        index: of it in the schema.
        buffer: number of its first buffer, which says which values are known.
        kind: of its numbers, or of the ends of its texts; of truths, packed into bytes.
    """

    column: Column
    index: int
    buffer: int
    kind: np.dtype


@dataclass(frozen=True)
class _Batch:
    """A batch.

    Attributes:
        n_rows: in it.
        nodes: of each column, how many values there are and how many of them are missing.
        buffers: of each, where it begins in the content and how long it is.
        content: what they lie in.
    """

    n_rows: int
    nodes: Sequence[int]
    buffers: Sequence[int]
    content: bytes

    def start(self, buffer: int, *, least: int) -> int:
        """Where a buffer begins, of so many bytes at least."""
        start, length = self.buffers[2 * buffer], self.buffers[2 * buffer + 1]
        if start < 0 or length < least or start + length > len(self.content):
            raise _OtherwiseError
        return start

    def values(self, buffer: int, kind: np.dtype, n: int) -> np.ndarray:
        """The first n of a buffer, [n]."""
        return np.frombuffer(self.content, kind, n, self.start(buffer, least=n * kind.itemsize))

    def truths(self, buffer: int) -> np.ndarray:
        """A bit a row, [N]."""
        packed = self.values(buffer, BYTES, -(-self.n_rows // 8))
        return np.unpackbits(packed, count=self.n_rows, bitorder="little").astype(bool)

    def known(self, own: _Plain) -> np.ndarray | None:
        """Which values of a column there are, [N]; None: all."""
        n_missing = self.nodes[2 * own.index + 1]
        if not n_missing:
            if self.buffers[2 * own.buffer + 1]:  # it may say otherwise
                raise _OtherwiseError
            return None
        known = self.truths(own.buffer)
        if not own.column.nullable or self.n_rows - np.count_nonzero(known) != n_missing:
            raise _OtherwiseError
        return known


class PlainReader:
    """Reads the streams of one schema.

    Attributes:
        head: the message of the schema, with which they begin.

    Args:
        head: the same.
        columns: all that are in it.
        max_rows: of one request.
    """

    def __init__(self, head: bytes, columns: Sequence[_Plain], *, max_rows: int) -> None:
        self.head = head
        self._max_rows = min(max_rows, SMALL_ROWS)
        self._n_columns, self._n_buffers = len(columns), sum(_n_buffers(own.column) for own in columns)
        self._numbers = [own for own in columns if isinstance(own.column, NumericColumn)]
        self._truths = [own for own in columns if isinstance(own.column, BooleanColumn)]
        self._labels = [own for own in columns if isinstance(own.column, CategoricalColumn)]

    def read(self, body: bytes) -> dict[str, np.ndarray] | None:
        """The raw columns, as `ArrowReader.read` has them; None where the stream is otherwise, or does not fit."""
        if not body.startswith(self.head):
            return None
        try:
            batch = self._find_batch(body)
            read = _read_numbers(batch, self._numbers)
            read |= {own.column.name: _read_truths(batch, own) for own in self._truths}
            read |= {own.column.name: _read_labels(batch, own) for own in self._labels}
        except (_OtherwiseError, struct.error, UnicodeDecodeError):
            return None
        return read

    def _find_batch(self, body: bytes) -> _Batch:
        """The only one. Where its buffers lie is not looked at yet."""
        metadata, start = _split_message(body, len(self.head))
        message = follow(metadata, 0)
        table = follow(metadata, field_at(metadata, message, HEADER))
        stop = start + integer_of(metadata, message, BODY_LENGTH, "<q")
        n_rows = integer_of(metadata, table, N_ROWS, "<q")
        nodes, buffers = integers_of(metadata, table, NODES), integers_of(metadata, table, BUFFERS)
        is_plain = (
            integer_of(metadata, message, HEADER_TYPE, "<B") == RECORD_BATCH
            and integer_of(metadata, message, VERSION, "<h") == V5
            and not field_at(metadata, table, COMPRESSION)
            and OLD_COMPRESSION not in metadata
            and start <= stop <= len(body)
            and body[stop:] in STREAM_ENDS
            and 0 < n_rows <= self._max_rows
            and nodes[::2] == (n_rows,) * self._n_columns
            and len(buffers) == 2 * self._n_buffers
        )
        if not is_plain:
            raise _OtherwiseError
        return _Batch(n_rows, nodes, buffers, body[start:stop])


def plain_reader(body: bytes, schema: pa.Schema, contract: Contract, *, max_rows: int) -> PlainReader | None:
    """A reader of streams that begin as this one; None where a column is of another kind.

    Args:
        body: a stream that has been read.
        schema: of it, which fits the contract.
        contract: names the columns.
        max_rows: of one request.
    """
    known = {column.name: column for column in contract.columns}
    columns, buffer = [], 0
    for index, field in enumerate(schema):
        column = known[field.name]
        kind = _kind(column, field.type)
        if kind is None:
            return None
        columns.append(_Plain(column, index, buffer, kind))
        buffer += _n_buffers(column)
    try:
        metadata, stop = _split_message(body, 0)
    except _OtherwiseError:
        return None
    message = follow(metadata, 0)
    table = follow(metadata, field_at(metadata, message, HEADER))
    is_big_endian = integer_of(metadata, table, ENDIANNESS, "<h") != 0
    has_content = integer_of(metadata, message, BODY_LENGTH, "<q") != 0
    return None if is_big_endian or has_content else PlainReader(body[:stop], columns, max_rows=max_rows)


def _kind(column: Column, given: pa.DataType) -> np.dtype | None:
    if isinstance(column, NumericColumn):
        return NUMBERS.get(given)
    if isinstance(column, CategoricalColumn):
        return ENDS.get(given)
    return BYTES if isinstance(column, BooleanColumn) and pa.types.is_boolean(given) else None


def _n_buffers(column: Column) -> int:
    """Which values are known, and the values; of texts, where each ends, and all of them."""
    return 3 if isinstance(column, CategoricalColumn) else 2


def _split_message(body: bytes, start: int) -> tuple[bytes, int]:
    """What a message says of itself, and where its content begins."""
    if body[start : start + 4] != CONTINUES:
        raise _OtherwiseError
    (size,) = struct.unpack_from("<I", body, start + 4)
    return body[start + 8 : start + 8 + size], start + 8 + size


def _read_numbers(batch: _Batch, columns: Sequence[_Plain]) -> dict[str, np.ndarray]:
    """All in one array: calls of NumPy cost more than what they do for a hundred rows."""
    if not columns:
        return {}
    lying = [batch.values(own.buffer + 1, own.kind, batch.n_rows) for own in columns]
    block = np.array(lying, dtype=np.float64)  # [C, N]
    missing = [(row, ~known) for row, own in enumerate(columns) if (known := batch.known(own)) is not None]
    for row, is_missing in missing:
        block[row, is_missing] = 0.0  # what lies there means nothing
    if not np.isfinite(block).all():
        raise _OtherwiseError
    for row, is_missing in missing:
        block[row, is_missing] = np.nan
    return {own.column.name: numbers for own, numbers in zip(columns, block, strict=True)}


def _read_truths(batch: _Batch, own: _Plain) -> np.ndarray:
    truths = batch.truths(own.buffer + 1).astype(np.float64)
    known = batch.known(own)
    if known is not None:
        truths[~known] = np.nan
    return truths


def _read_labels(batch: _Batch, own: _Plain) -> np.ndarray:
    ends = batch.values(own.buffer + 1, own.kind, batch.n_rows + 1).tolist()
    if ends[0] < 0 or ends != sorted(ends):
        raise _OtherwiseError
    start = batch.start(own.buffer + 2, least=ends[-1])
    content = batch.content[start : start + ends[-1]]
    if content.isascii():
        text = content.decode()
        labels = [text[start:stop] for start, stop in pairwise(ends)]
    else:
        labels = [content[start:stop].decode() for start, stop in pairwise(ends)]
    known = batch.known(own)
    if known is not None:
        labels = [label if is_known else "" for label, is_known in zip(labels, known.tolist(), strict=True)]
    if not own.column.nullable and "" in labels:
        raise _OtherwiseError
    return np.array(labels, dtype=object)
