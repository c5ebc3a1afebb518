"""Small Arrow streams of plain columns are read as they lie, to what Arrow's own functions make of them."""

import random
import struct
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from serving.bundle import BooleanColumn, CategoricalColumn, Column, Contract, NumericColumn, Target
from serving.errors import ServingError
from serving.http.media_types import ARROW
from serving.reading.request_reader import RequestReader
from serving.schemas import make_schemas
from tests.serving.bundles import LINEAGE
from tests.serving.http.test_media_types import as_stream

COLUMNS: tuple[Column, ...] = (
    NumericColumn(name="size", nullable=True, minimum=0, maximum=9, integer=False, example=1.0),
    NumericColumn(name="count", nullable=False, minimum=0, maximum=9, integer=True, example=1),
    CategoricalColumn(name="city", nullable=True, categories=("Zürich", "Bern"), example="Bern"),
    CategoricalColumn(name="ward", nullable=False, categories=("A", "B"), example="A"),
    BooleanColumn(name="new", nullable=True, example=True),
)
PLAIN = {
    "size": pa.array([1.5, 2.5, -0.0], pa.float64()),
    "count": pa.array([1, 2, 3], pa.int64()),
    "city": pa.array(["Bern", "Zürich", "new"], pa.string()),
    "ward": pa.array(["A", "B", "AB"], pa.large_string()),
    "new": pa.array([True, False, True]),
}
OTHERS: dict[str, Any] = {
    "as before": {},
    "ASCII": {"city": pa.array(["a", "bc", "def"])},
    "no text at all": {"city": pa.array(["", "", ""])},
    "missing numbers": {"size": pa.array([None, 1.5, None], pa.float64())},
    "missing labels": {"city": pa.array([None, "Zürich", ""])},
    "missing truths": {"new": pa.array([None, None, False], pa.bool_())},
    "NaN": {"size": pa.array([1.0, np.nan, 2.0])},
    "an infinite number": {"size": pa.array([1.0, np.inf, 2.0])},
    "a number that is missing and must not be": {"count": pa.array([1, None, 2], pa.int64())},
    "a label that is missing and must not be": {"ward": pa.array(["A", None, "B"], pa.large_string())},
    "a label that is empty and must not be": {"ward": pa.array(["A", "", "B"], pa.large_string())},
    "a number where nothing is known": {
        "size": pa.Array.from_buffers(
            pa.float64(), 3, [pa.py_buffer(b"\x06"), pa.py_buffer(struct.pack("<3d", np.inf, 1, 2))]
        )
    },
    "text that is no UTF-8": {
        "city": pa.Array.from_buffers(
            pa.string(), 3, [None, pa.py_buffer(struct.pack("<4i", 0, 1, 2, 3)), pa.py_buffer(b"a\xffc")]
        )
    },
    "a character that is cut": {
        "city": pa.Array.from_buffers(
            pa.string(), 3, [None, pa.py_buffer(struct.pack("<4i", 0, 1, 2, 3)), pa.py_buffer("aü".encode())]
        )
    },
    "texts that end before they begin": {
        "city": pa.Array.from_buffers(
            pa.string(), 3, [None, pa.py_buffer(struct.pack("<4i", 0, 2, 1, 3)), pa.py_buffer(b"abc")]
        )
    },
}
Read = Callable[[bytes], Any]


@pytest.fixture(scope="module")
def contract() -> Contract:
    return Contract(
        name="cities",
        columns=COLUMNS,
        target=Target(name="target", task="regression", classes=()),
        metrics={},
        lineage=LINEAGE,
        golden=(),
        onnx_sha256="0" * 64,
        opset=20,
    )


def reader_of(contract: Contract, *before: bytes) -> Read:
    """What a reader that has read these streams makes of another: raw columns, or what is wrong."""
    reader = RequestReader(contract, make_schemas(contract, max_rows=5).row, max_rows=5)
    for body in before:
        reader.read(body, ARROW)

    def read(body: bytes) -> Any:
        try:
            columns = reader.read(body, ARROW)
        except ServingError as error:
            return str(error), error.details
        return {name: repr(own.tolist()) for name, own in sorted(columns.items())}

    return read


def without_opening_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise AssertionError("Arrow was asked")

    monkeypatch.setattr("pyarrow.ipc.open_stream", fail)


@pytest.mark.parametrize("changes", OTHERS.values(), ids=OTHERS.keys())
def test_a_stream_comes_to_the_same_however_it_is_read(contract: Contract, changes: dict[str, Any]):
    plain, other = as_stream(pa.table(PLAIN)), as_stream(pa.table(PLAIN | changes))
    assert reader_of(contract, plain)(other) == reader_of(contract)(other)


@pytest.mark.parametrize(
    "kind", ["as before", "ASCII", "no text at all", "missing numbers", "missing labels", "missing truths"]
)
def test_a_plain_stream_is_read_without_arrow_once_its_schema_is_known(
    contract: Contract, kind: str, monkeypatch: pytest.MonkeyPatch
):
    other = as_stream(pa.table(PLAIN | OTHERS[kind]))
    expected, read = reader_of(contract)(other), reader_of(contract, as_stream(pa.table(PLAIN)))
    without_opening_streams(monkeypatch)
    assert read(other) == expected


@pytest.mark.parametrize("given", [pa.float64(), pa.float32(), pa.int64(), pa.int32(), pa.int16(), pa.int8()])
def test_numbers_of_every_width_are_read(contract: Contract, given: pa.DataType, monkeypatch: pytest.MonkeyPatch):
    body = as_stream(pa.table(PLAIN | {"size": pa.array([1, 2, -3], given)}).slice(1))
    expected, read = reader_of(contract)(body), reader_of(contract, body)
    without_opening_streams(monkeypatch)
    assert read(body) == expected


def test_what_is_more_than_one_small_plain_batch_is_left_to_arrow(contract: Contract):
    table = pa.table(PLAIN)
    bodies: Sequence[bytes] = [
        as_stream(pa.concat_tables([table, table[:1]])),
        as_stream(table, compression="zstd"),
        as_stream(table, compression="lz4"),
        as_stream(pa.concat_tables([table, table]).combine_chunks()),  # more rows than allowed
        as_stream(table[:0]),
        as_stream(table).removesuffix(b"\xff\xff\xff\xff" + bytes(4)),
        as_stream(table) + b"more",
        as_stream(table)[:-100],
        as_stream(table)[: table.schema.serialize().size],
    ]
    read = reader_of(contract, as_stream(table))
    assert [read(body) for body in bodies] == [reader_of(contract)(body) for body in bodies]


def test_bytes_that_are_changed_come_to_the_same_or_change_nothing(contract: Contract):
    """Arrow looks at more than lies in columns, so it refuses some that are read here."""
    body = as_stream(pa.table(PLAIN))
    read, untouched = reader_of(contract, body), reader_of(contract)(body)
    draw = random.Random(0)
    n_same = 0
    for place in range(pa.table(PLAIN).schema.serialize().size, len(body)):
        changed = bytearray(body)
        changed[place] = draw.choice([0, 1, 2, 0x7F, 0x80, 0xFF])
        found, expected = read(bytes(changed)), reader_of(contract)(bytes(changed))
        n_same += found == expected
        assert found in (expected, untouched), place
    assert n_same > 0.9 * (len(body) - pa.table(PLAIN).schema.serialize().size)


def test_numbers_in_the_other_order_of_bytes_are_never_taken_as_they_lie(contract: Contract):
    numbers = {"size": pa.array(np.array([1.5, 2.5]).byteswap()), "count": pa.array(np.array([1.0, 2.0]).byteswap())}
    only = contract.model_copy(update={"columns": COLUMNS[:2]})
    body = big_endian(as_stream(pa.table(numbers)))
    read = reader_of(only, body)
    assert read(body) == {"count": "[1.0, 2.0]", "size": "[1.5, 2.5]"}


def big_endian(stream: bytes) -> bytes:
    """A stream whose schema says that its numbers are: the field, which pyarrow leaves out, is put into the table."""
    changed = bytearray(stream)
    message = 8 + struct.unpack_from("<I", stream, 8)[0]
    header = message - struct.unpack_from("<i", stream, message)[0] + 4 + 2 * 2
    schema = message + struct.unpack_from("<H", stream, header)[0]
    schema += struct.unpack_from("<I", stream, schema)[0]
    vtable = schema - struct.unpack_from("<i", stream, schema)[0]
    struct.pack_into("<H", changed, vtable + 4, 4 + 2 * 0)  # where the table has something that is not 0
    return bytes(changed)
