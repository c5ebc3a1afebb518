"""Headers that browsers obey, on every answer: nothing is guessed, framed, cached or fetched from elsewhere.

Not here: where they are added (`instrumentation`).
"""

from collections.abc import Sequence

Headers = Sequence[tuple[bytes, bytes]]

# An answer that needs more, as a page does, sends its own and keeps it.
DEFAULTS = {
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
    b"cross-origin-resource-policy": b"same-origin",
    b"cache-control": b"no-store",
}


def defaults(*, is_shared: bool) -> Headers:
    """The headers of every answer.

    Args:
        is_shared: pages of other origins may read answers, as `SERVING_CORS_ORIGINS` says.
    """
    policy = {b"cross-origin-resource-policy": b"cross-origin"} if is_shared else {}
    return tuple((DEFAULTS | policy).items())


def missing(headers: Headers, wanted: Headers) -> Headers:
    """Those that an answer does not have itself."""
    present = {name for name, _ in headers}  # ASGI has names in lower case
    return [pair for pair in wanted if pair[0] not in present]
