"""Tensors of the Open Inference Protocol: one column's values, from JSON or from bytes, and back to bytes.

Not here: which tensors a request must have (`request`) and what a column accepts (`columns`).
"""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from serving.bundle import Json

BYTES = "BYTES"
BOOL = "BOOL"
LENGTH = struct.Struct("<I")  # stands before each element of a binary BYTES tensor
# As they lie in a binary tensor, little-endian. A BOOL is a byte, and nothing keeps it from being 2.
DTYPES: dict[str, np.dtype[Any]] = {
    BOOL: np.dtype("u1"),
    "UINT8": np.dtype("u1"),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
    "INT8": np.dtype("i1"),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "FP16": np.dtype("<f2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
}
INTEGERS = frozenset(name for name, dtype in DTYPES.items() if dtype.kind in "iu") - {BOOL}
DATATYPES = (BYTES, *DTYPES)
NULL = type(None)
TEXT, TRUTH = frozenset({str, NULL}), frozenset({bool, NULL})
WHOLE, REAL = frozenset({int, NULL}), frozenset({int, float, NULL})


class WrongTensorError(Exception):
    """Data that its tensor cannot have.

    Attributes:
        index: of the element, counted from 0; None: all of them.
    """

    def __init__(self, message: str, index: int | None = None) -> None:
        super().__init__(message)
        self.index = index


@dataclass(frozen=True)
class Tensor:
    """A column's values as they were sent.

    Attributes:
        datatype: one of `DATATYPES`.
        n_rows: N, of the shape [N] or [N, 1].
        data: elements as JSON has them, flat or as lists of one; or the bytes of a binary tensor.
    """

    datatype: str
    n_rows: int
    data: list[Any] | memoryview

    def numbers(self) -> np.ndarray:
        """float64 [N], NaN for null; of any datatype but BYTES.

        Raises:
            WrongTensorError: there are more or fewer, or one is none of the datatype.
        """
        if isinstance(self.data, memoryview):
            return self._from_bytes(self.data).astype(np.float64)
        try:
            return np.array(self._elements(self.data), dtype=np.float64)
        except OverflowError:
            raise WrongTensorError("A number is too large") from None

    def cells(self) -> Sequence[Json]:
        """[N], as JSON has them; of BYTES or integers.

        Raises:
            WrongTensorError: there are more or fewer, or one is none of the datatype, or no UTF-8.
        """
        if not isinstance(self.data, memoryview):
            return self._elements(self.data)
        if self.datatype == BYTES:
            return _split(self.data, self.n_rows)
        return list(self._from_bytes(self.data).tolist())

    def _from_bytes(self, data: memoryview) -> np.ndarray:
        dtype = DTYPES[self.datatype]
        if len(data) != self.n_rows * dtype.itemsize:
            raise WrongTensorError(
                f"{self.n_rows:,} values of {self.datatype} are {self.n_rows * dtype.itemsize:,} bytes, "
                f"and binary_data_size is {len(data):,}"
            )
        return np.frombuffer(data, dtype)

    def _elements(self, data: list[Any]) -> list[Json]:
        if len(data) != self.n_rows:
            raise WrongTensorError(f"The shape has {self.n_rows:,} values, and data {len(data):,}")
        flat = [element[0] if type(element) is list and len(element) == 1 else element for element in data]
        allowed, named = _json_types(self.datatype)
        if not allowed.issuperset(map(type, flat)):
            index = next(index for index, value in enumerate(flat) if type(value) not in allowed)
            raise WrongTensorError(f"Input should be {named}, as {self.datatype} says", index)
        if self.datatype in INTEGERS:
            self._check_range(flat)
        return flat

    def _check_range(self, values: Sequence[int | None]) -> None:
        bounds = np.iinfo(DTYPES[self.datatype])
        least, most = int(bounds.min), int(bounds.max)
        for index, value in enumerate(values):
            if value is not None and not least <= value <= most:
                raise WrongTensorError(f"Input should be between {least} and {most}, as {self.datatype} says", index)


def join_texts(texts: Iterable[bytes]) -> bytes:
    """The bytes of a BYTES tensor."""
    return b"".join(LENGTH.pack(len(text)) + text for text in texts)


def _json_types(datatype: str) -> tuple[frozenset[object], str]:
    """Types of JSON that a datatype has, null beside them, and what they are called."""
    if datatype == BYTES:
        return TEXT, "a string"
    if datatype == BOOL:
        return TRUTH, "true or false"
    return (WHOLE, "a whole number") if datatype in INTEGERS else (REAL, "a number")


def _split(data: memoryview, n_rows: int) -> list[str]:
    texts = []
    start = 0
    for index in range(n_rows):
        if start + LENGTH.size > len(data):
            raise WrongTensorError(f"The shape has {n_rows:,} values, and the bytes end before this one", index)
        (length,) = LENGTH.unpack_from(data, start)
        start += LENGTH.size
        if start + length > len(data):
            raise WrongTensorError(f"Its length is {length:,} bytes, and {len(data) - start:,} follow", index)
        try:
            texts.append(str(data[start : start + length], "utf-8"))
        except UnicodeDecodeError:
            raise WrongTensorError("Input should be UTF-8", index) from None
        start += length
    if start != len(data):
        raise WrongTensorError(f"The shape has {n_rows:,} values, and {len(data) - start:,} bytes follow them")
    return texts
