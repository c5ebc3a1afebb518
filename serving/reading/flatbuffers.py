"""What is read by hand of FlatBuffers, the encoding of what Arrow's messages say of themselves.

What does not lie in the buffer raises `struct.error`.
"""

import struct


def follow(flatbuffer: bytes, position: int) -> int:
    """Where the offset at a position points to."""
    return position + int(struct.unpack_from("<I", flatbuffer, position)[0])


def field_at(flatbuffer: bytes, table: int, number: int) -> int:
    """Where a table has its field; 0: nowhere."""
    vtable = table - int(struct.unpack_from("<i", flatbuffer, table)[0])
    (size,) = struct.unpack_from("<H", flatbuffer, vtable)
    slot = 4 + 2 * number
    offset = int(struct.unpack_from("<H", flatbuffer, vtable + slot)[0]) if slot < size else 0
    return table + offset if offset else 0


def integer_of(flatbuffer: bytes, table: int, number: int, form: str) -> int:
    """A field that is an integer of this form (`struct`); 0, which may be left out, where it is nowhere."""
    position = field_at(flatbuffer, table, number)
    return int(struct.unpack_from(form, flatbuffer, position)[0]) if position else 0


def integers_of(flatbuffer: bytes, table: int, number: int) -> tuple[int, ...]:
    """A field that is a vector of pairs of 64-bit integers, one after the other; empty where it is nowhere."""
    position = field_at(flatbuffer, table, number)
    if not position:
        return ()
    vector = follow(flatbuffer, position)
    (length,) = struct.unpack_from("<I", flatbuffer, vector)
    return struct.unpack_from(f"<{2 * length}q", flatbuffer, vector + 4)
