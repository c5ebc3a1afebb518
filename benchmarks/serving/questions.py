"""What is asked: the same rows in each server's own form, and how its predictions are read from the answer."""

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.serving.load import OK, LoadError, ask_once
from benchmarks.serving.model import Columns

TOLERANCE = 1e-5  # of a probability: float32, in portions of another size
JSON = "application/json"
ARROW = "application/vnd.apache.arrow.stream"


@dataclass(frozen=True)
class Question:
    """A request, and what it is answered.

    Attributes:
        path: that is asked.
        body: of the request; empty: nothing is sent.
        media: of the body.
        read: a body of an answer -> the predictions, [N], of the last class.
    """

    path: str
    body: bytes
    media: str
    read: Callable[[bytes], np.ndarray]

    @property
    def request(self) -> bytes:
        """Head and body; the connection stays open."""
        sent = f"Content-Type: {self.media}\r\nContent-Length: {len(self.body)}\r\n" if self.body else ""
        method = "POST" if self.body else "GET"
        return f"{method} {self.path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{sent}\r\n".encode() + self.body


def prove(port: int, question: Question, expected: np.ndarray) -> bytes:
    """Ask twice; the body of the answer, whose predictions are as expected.

    Args:
        port: of the server.
        question: that is asked.
        expected: predictions, [N].

    Raises:
        LoadError: another status, other predictions, or two different answers.
    """
    (status, body), (_, again) = (ask_once(port, question.request) for _ in range(2))
    if status != OK:
        raise LoadError(f"answered {status}: {body[:200].decode(errors='replace')}")
    found = question.read(body)
    if found.shape != expected.shape or not np.allclose(found, expected, rtol=0.0, atol=TOLERANCE):
        raise LoadError(f"predicted {found[:3]} in place of {expected[:3]}")
    if body != again:
        raise LoadError(f"two answers differ: {body[:200]!r} and {again[:200]!r}")
    return body


def rows_as_json(columns: Columns) -> list[dict[str, Any]]:
    """One object a row."""
    lists = [values.tolist() for values in columns.values()]
    return [dict(zip(columns, row, strict=True)) for row in zip(*lists, strict=True)]


def dumped(content: Any) -> bytes:
    """JSON as clients send it, without spaces."""
    return json.dumps(content, separators=(",", ":")).encode()


def ask_rows(columns: Columns, *, last_class: str) -> Question:
    """`{"rows": [...]}` of the native protocol."""
    return Question("/predict", dumped({"rows": rows_as_json(columns)}), JSON, _native_reader(last_class))


def ask_columns(columns: Columns, *, last_class: str) -> Question:
    """`{"columns": {...}}` of the native protocol."""
    body = dumped({"columns": {name: values.tolist() for name, values in columns.items()}})
    return Question("/predict", body, JSON, _native_reader(last_class))


def ask_arrow(columns: Columns, *, last_class: str) -> Question:
    """A stream of one batch, answered by another."""
    batch = pa.record_batch({name: pa.array(values.tolist()) for name, values in columns.items()})
    stream = io.BytesIO()
    with pa.ipc.new_stream(stream, batch.schema) as writer:
        writer.write_batch(batch)

    def read(body: bytes) -> np.ndarray:
        with pa.ipc.open_stream(body) as reader:
            return np.asarray(reader.read_all().column(f"probability_{last_class}").to_numpy())

    return Question("/predict", stream.getvalue(), ARROW, read)


def _native_reader(last_class: str) -> Callable[[bytes], np.ndarray]:
    def read(body: bytes) -> np.ndarray:
        return np.array([own["probabilities"][last_class] for own in json.loads(body)["predictions"]])

    return read
