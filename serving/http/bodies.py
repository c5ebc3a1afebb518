"""Bodies of requests, for every protocol; compressed ones, too: what they may become is bounded as what comes is.

Not here: the bound of what comes (`limits`), and what a body says.
"""

import zlib
from collections.abc import Iterator

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope

from serving.errors import BodyTooLargeError, Detail, InvalidRequestError, WrongContentTypeError

# What zlib calls them. "deflate" is zlib's own format: RFC 9110, 8.4.1.2.
WINDOWS = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}
MOST_DIGITS = 18  # of a declared length; Python refuses to read thousands of them
PLAIN = frozenset({"", "identity"})
MEMBER = b"\x1f\x8b"  # begins each of a gzip body, which may have several: RFC 1952, 2.2
# Bytes that are decompressed at once. What follows a member in them is copied, and a member may have 20 bytes.
PIECE_BYTES = 2**12


def body_headers(scope: Scope) -> tuple[str, str, str]:
    """Content-Type, Accept and Content-Encoding, "" where there is none; in one pass."""
    declared = encoding = ""
    accepted = []
    for name, value in scope["headers"]:
        if name == b"content-type":
            declared = value.decode("latin-1")
        elif name == b"accept":
            accepted.append(value.decode("latin-1"))
        elif name == b"content-encoding":
            encoding = value.decode("latin-1")
    return declared, ",".join(accepted), encoding


def declared_bytes(declared: bytes) -> int:
    """The length that a header declares: 0 where it is no number, 10**18 where it has more digits than that."""
    if not declared.isdigit():
        return 0
    return int(declared) if len(declared) <= MOST_DIGITS else 10**MOST_DIGITS


async def read_body(receive: Receive) -> bytes:
    """The whole body that comes.

    Raises:
        ClientDisconnect: the caller hung up within it.
    """
    parts = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)


def decompress_body(body: bytes, encoding: str, *, max_bytes: int) -> bytes:
    """A body as it was before it was compressed.

    A kilobyte may stand for a megabyte: call this in a thread.

    Args:
        body: that came.
        encoding: the header `Content-Encoding`; "" when there is none.
        max_bytes: of the answer.

    Raises:
        WrongContentTypeError: the encoding is neither gzip nor deflate, or there are several.
        BodyTooLargeError: it becomes larger; what is too much is not decompressed.
        InvalidRequestError: it is no such stream, is cut off, or something follows it.
    """
    encoding = encoding.strip().lower()
    if encoding in PLAIN:
        return body
    if encoding not in WINDOWS:
        error = WrongContentTypeError(f"Content-Encoding may be gzip or deflate; it is {encoding[:100]!r}.")
        error.headers["Accept-Encoding"] = "gzip, deflate"  # RFC 9110, 15.5.16
        raise error
    parts = []
    n_left = max_bytes
    for part in _decompressed(body, encoding, most=max_bytes + 1):
        parts.append(part)
        n_left -= len(part)
        if n_left < 0:
            raise BodyTooLargeError(f"The body is larger than {max_bytes:,} bytes when decompressed. Send fewer rows.")
    return b"".join(parts)


def _decompressed(body: bytes, encoding: str, *, most: int) -> Iterator[bytes]:
    """What a body becomes, part by part, each of so many bytes at most; whoever has enough asks for no more.

    Raises:
        InvalidRequestError: as `decompress_body`.
    """
    stream, start = zlib.decompressobj(WINDOWS[encoding]), 0
    while start < len(body):
        piece = body[start : start + PIECE_BYTES]
        try:
            yield stream.decompress(piece, most)
        except zlib.error:
            raise _broken(f"It is no {encoding} stream") from None
        start += len(piece) - len(stream.unused_data)
        if stream.eof and start < len(body):
            if encoding == "deflate" or not body.startswith(MEMBER, start):
                raise _broken("Something follows the compressed stream")
            stream = zlib.decompressobj(WINDOWS[encoding])
    if not stream.eof:
        raise _broken("It is cut off")


def _broken(said: str) -> InvalidRequestError:
    return InvalidRequestError("The body cannot be decompressed.", [Detail(path=[], message=said)])
