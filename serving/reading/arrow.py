"""An Arrow IPC stream to raw columns. Needs pyarrow, which the server does without until it is sent Arrow.

The stream comes from strangers: its types are looked at before its rows, what is compressed must say how large it gets,
and all of it is validated before a value is read. A few bytes may stand for many, in compressed buffers, dictionaries
and string views: what they come to is bounded before it is made.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from serving.bundle import CategoricalColumn, Column, Contract, DateColumn, NumericColumn
from serving.errors import Detail, InvalidRequestError
from serving.event_loop_budget import SMALL_ROWS
from serving.reading.arrow_columns import WrongCellError, is_text, read_column, text_bytes, text_lengths
from serving.reading.mistakes import Mistakes, check_n_rows, refuse

MOST_BYTES = 2**27  # that one body may become; 10,000 rows of a hundred float64 columns are 8 MB
MOST_MESSAGES = 1_000  # batches and dictionaries, which cost time even when they are empty
FILE_MAGIC = b"ARROW1"
# Columns are read one by one: a hundred rows are read before another thread has begun.
IN_THIS_THREAD = pa.ipc.IpcReadOptions(use_threads=False)
PLAIN_NUMBERS = frozenset({pa.float64(), pa.float32(), pa.int64(), pa.int32(), pa.int16(), pa.int8()})
# Numbers of fields of the tables Message, RecordBatch and DictionaryBatch (Arrow's format/Message.fbs).
HEADER, BUFFERS, COMPRESSION, DICTIONARY_DATA = 2, 2, 3, 1
OLD_COMPRESSION = b"ARROW:experimental_compression"  # before the format had a field for it; still obeyed
# Each with its own base. What pyarrow raises for broken streams beside its own errors is in no documentation.
BROKEN = (pa.ArrowException, OSError, UnicodeDecodeError, OverflowError, struct.error)


@dataclass(frozen=True)
class _Form:
    """How the rows of a schema that fits are read.

    Attributes:
        schema: names and types alone.
        indexes: where the contract's columns are in it.
        numbers: numeric columns of plain numbers.
        shared: columns whose values refer to common text.
        texts: columns of text, with those that refer to it.
    """

    schema: pa.Schema
    indexes: Mapping[str, int]
    numbers: Sequence[str]
    shared: Sequence[str]
    texts: Sequence[str]


class ArrowReader:
    """Reads the streams that one model is sent.

    Clients send one schema again and again, and to look at it takes as long as to read a hundred rows of it: the last
    one that fitted is remembered.

    Args:
        contract: names the columns.
        mistakes: words what does not fit.
        max_rows: of one request.
    """

    def __init__(self, contract: Contract, mistakes: Mistakes, *, max_rows: int) -> None:
        self._contract = contract
        self._mistakes = mistakes
        self._max_rows = max_rows
        self._last: _Form | None = None

    def read(self, body: bytes) -> dict[str, np.ndarray]:
        """The raw columns of a stream, [N] each: float64 with NaN for missing, or strings with "" for missing.

        Raises:
            InvalidRequestError: it is no stream, or does not fit the contract.
            TooManyRowsError: it has more rows than allowed.
        """
        if body.startswith(FILE_MAGIC):
            raise _no_stream(
                "This is a file (Feather). Send a stream: pyarrow.ipc.new_stream, polars' write_ipc_stream"
            )
        try:
            if _becomes(body):
                self._mistakes.take_time()
            with pa.ipc.open_stream(pa.py_buffer(body), options=IN_THIS_THREAD) as stream:
                form = self._look_at(stream.schema)
                batch = self._read_batch(stream)
            read = _finite_numbers(batch, form.numbers)
            values = {name: batch.column(index) for name, index in form.indexes.items() if name not in read}
            values |= {name: _plain(values[name]) for name in form.shared}
            # Buffers of several columns may be the same bytes.
            _check_bytes(sum(text_bytes(values[name]) for name in form.texts))
            refuse(_wrong_cells(self._contract, values, read))
        except BROKEN as error:
            raise _no_stream(str(error).partition("\n")[0][:200]) from None
        return read

    def _look_at(self, schema: pa.Schema) -> _Form:
        """How its rows are read; raises an InvalidRequestError where it does not fit."""
        form = self._last
        if form is None or not form.schema.equals(schema):
            refuse(_wrong_schema(schema, self._contract, self._mistakes))
            self._last = form = _form(schema, self._contract)
        return form

    def _read_batch(self, stream: pa.ipc.RecordBatchStreamReader) -> pa.RecordBatch:
        batches = []
        n_rows = 0
        for batch in stream:
            n_rows += batch.num_rows
            check_n_rows(n_rows, self._max_rows, form="rows")
            batches.append(batch)
        if not n_rows:
            raise _no_stream("There is no row")
        if n_rows > SMALL_ROWS:
            self._mistakes.take_time()
        for batch in batches:  # of a single row, a table of them would cost a fifth of all reading
            batch.validate(full=True)
        return batches[0] if len(batches) == 1 else pa.Table.from_batches(batches).combine_chunks().to_batches()[0]


def _form(schema: pa.Schema, contract: Contract) -> _Form:
    types = {column.name: schema.field(column.name).type for column in contract.columns}
    numeric = {column.name for column in contract.columns if isinstance(column, NumericColumn)}
    return _Form(
        schema=pa.schema([field.remove_metadata() for field in schema]),
        indexes={name: schema.get_field_index(name) for name in types},
        numbers=[name for name, given in types.items() if name in numeric and given in PLAIN_NUMBERS],
        shared=[name for name, given in types.items() if _is_shared(given)],
        texts=[name for name, given in types.items() if is_text(_inner(given))],
    )


def _wrong_schema(schema: pa.Schema, contract: Contract, mistakes: Mistakes) -> Iterator[Detail]:
    yield from mistakes.in_names(schema.names)
    known = {column.name: column for column in contract.columns}
    for field in schema:
        column = known.get(field.name)
        if column is not None and not _fits(column, field.type):
            yield Detail(
                path=["columns", field.name], message=f"A {column.kind} column cannot be {str(field.type)[:100]}"
            )


def _fits(column: Column, given: pa.DataType) -> bool:
    types = pa.types
    if types.is_null(given):
        return True
    if isinstance(column, CategoricalColumn):
        return is_text(_inner(given)) or bool(types.is_integer(_inner(given)))
    if isinstance(column, DateColumn):
        return is_text(given) or bool(types.is_date(given) or types.is_timestamp(given))
    if isinstance(column, NumericColumn):
        return bool(types.is_integer(given) or types.is_floating(given) or types.is_decimal(given))
    return bool(types.is_boolean(given))


def _inner(given: pa.DataType) -> pa.DataType:
    """What the values are, where they may stand in a dictionary."""
    return given.value_type if pa.types.is_dictionary(given) else given


def _is_shared(given: pa.DataType) -> bool:
    return bool(pa.types.is_dictionary(given) or pa.types.is_string_view(given))


def _plain(values: pa.Array) -> pa.Array:
    """Text without references to common text, once it is known what it comes to; other values as they are."""
    if pa.types.is_dictionary(values.type):
        known = _plain(values.dictionary)
        if is_text(known.type):
            _check_bytes(int(text_lengths(known)[values.indices.drop_null().to_numpy(zero_copy_only=False)].sum()))
        return known.take(values.indices)
    if pa.types.is_string_view(values.type):
        _check_bytes(int(_view_lengths(values).sum()))
        # Casting follows the views of missing texts too, which nothing validates: pyarrow 25 dies of it.
        return pa.array(values.to_numpy(zero_copy_only=False), pa.large_string())
    return values


def _view_lengths(texts: pa.Array) -> np.ndarray:
    """Bytes of each text, [N]; of a missing one anything."""
    views = texts.buffers()[1]  # of 16 bytes each, the first 4 are the length
    if views is None:
        return np.zeros(len(texts), dtype=np.int64)
    stop = texts.offset + len(texts)
    lengths = np.frombuffer(views, dtype=np.int32, count=4 * stop)[::4][texts.offset :]
    return np.maximum(lengths, 0, dtype=np.int64)


def _finite_numbers(batch: pa.RecordBatch, names: Sequence[str]) -> dict[str, np.ndarray]:
    """These columns, [N] each, if nothing is missing in any: all at once, which is ten times faster; or none."""
    if not names:
        return {}
    tensor = batch.select(names).to_tensor(null_to_nan=True, row_major=False).to_numpy()  # [N, C]
    block = np.asarray(tensor.T, dtype=np.float64)
    return dict(zip(names, block, strict=True)) if np.isfinite(block).all() else {}


def _wrong_cells(contract: Contract, values: dict[str, pa.Array], read: dict[str, np.ndarray]) -> Iterator[Detail]:
    """The first wrong cell of every column that is not read; a column that has none is put among those that are."""
    for column in contract.columns:
        if column.name in read:
            continue
        try:
            read[column.name] = read_column(column, values[column.name])
        except WrongCellError as error:
            yield Detail(path=["columns", column.name, error.row], message=f"The value {error.what}")


def _becomes(body: bytes) -> int:
    """Bytes that its compressed buffers say they become; 0 where it has none.

    Raises:
        InvalidRequestError: too many, or there are too many batches.
    """
    claimed = 0
    for count, message in enumerate(pa.ipc.MessageReader.open_stream(pa.py_buffer(body))):
        if count > MOST_MESSAGES:
            raise _no_stream(f"There are more than {MOST_MESSAGES:,} batches. Send fewer and larger ones")
        if message.type in ("record batch", "dictionary"):
            claimed += _claimed_bytes(message)
            _check_bytes(claimed)
    return claimed


def _check_bytes(n_bytes: int) -> None:
    if n_bytes > MOST_BYTES:
        raise _no_stream(f"It would become more than {MOST_BYTES:,} bytes. Send fewer rows at a time")


def _claimed_bytes(message: pa.ipc.Message) -> int:
    """What compressed buffers say they become; 0 for a batch without any. Arrow makes room for no more than that."""
    metadata = message.metadata.to_pybytes()
    batch = _follow(metadata, _field(metadata, _follow(metadata, 0), HEADER))
    if message.type == "dictionary":
        batch = _follow(metadata, _field(metadata, batch, DICTIONARY_DATA))
    if not _field(metadata, batch, COMPRESSION) and OLD_COMPRESSION not in metadata:
        return 0
    content = message.body.to_pybytes()
    vector = _follow(metadata, _field(metadata, batch, BUFFERS))
    (n_buffers,) = struct.unpack_from("<I", metadata, vector)
    claimed = 0
    for buffer in range(n_buffers):
        offset, length = struct.unpack_from("<qq", metadata, vector + 4 + 16 * buffer)
        if length >= struct.calcsize("<q"):  # -1: this one is not compressed
            claimed += max(struct.unpack_from("<q", content, offset)[0], 0)
    return claimed


def _follow(flatbuffer: bytes, position: int) -> int:
    """Where the offset at a position points to (the encoding of FlatBuffers)."""
    return position + int(struct.unpack_from("<I", flatbuffer, position)[0])


def _field(flatbuffer: bytes, table: int, number: int) -> int:
    """Where a table has its field; 0: nowhere."""
    vtable = table - int(struct.unpack_from("<i", flatbuffer, table)[0])
    (size,) = struct.unpack_from("<H", flatbuffer, vtable)
    slot = 4 + 2 * number
    offset = int(struct.unpack_from("<H", flatbuffer, vtable + slot)[0]) if slot < size else 0
    return table + offset if offset else 0


def _no_stream(message: str) -> InvalidRequestError:
    return InvalidRequestError("The body is no Arrow IPC stream of rows.", [Detail(path=[], message=message)])
