"""Media types of the native protocol: which one a body is declared as, and in which one its answer is wanted.

An answer comes as the body came, unless `Accept` asks for something else. Not here: how a body is read (`reading`) and
how an answer is written (`answers.tables`).
"""

import re
import sys
from functools import lru_cache
from importlib.util import find_spec

from serving.errors import NotAcceptableError, WrongContentTypeError

JSON = "application/json"
CSV = "text/csv"
ARROW = "application/vnd.apache.arrow.stream"
HAS_ARROW = find_spec("pyarrow") is not None  # found, not imported: few servers are asked for it
MEDIA = (JSON, CSV, ARROW) if HAS_ARROW else (JSON, CSV)
HOW_TO_HAVE_ARROW = "Arrow needs pyarrow, which this server lacks: pip install pyarrow."
QUALITY = re.compile(r"(0(\.[0-9]{0,3})?|1(\.0{0,3})?)")
UTF_8 = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})
MOST_SHOWN = 100  # characters of a header that are repeated in an answer


@lru_cache(maxsize=256)
def body_media(declared: str) -> str:
    """The media type of a body, from its `Content-Type`.

    Raises:
        WrongContentTypeError: it is none that is read.
    """
    media, parameters = split_content_type(declared)
    if media not in MEDIA:
        lacking = f" {HOW_TO_HAVE_ARROW}" if media == ARROW else ""
        raise WrongContentTypeError(
            f"The body must be declared as Content-Type: {_listed()}; it is {shown_media(media)}.{lacking}"
        )
    if media == CSV and any(name == "charset" and value not in UTF_8 for name, value in parameters):
        raise WrongContentTypeError("CSV must be encoded as UTF-8.")
    return media


def is_at_hand(media: str) -> bool:
    """Whether all that reads and writes it is imported: that of Arrow takes a quarter of a second, the first time."""
    return media != ARROW or "pyarrow" in sys.modules


def split_content_type(declared: str) -> tuple[str, list[tuple[str, str]]]:
    """The media type of a `Content-Type` and the names and values of its parameters, all in small letters."""
    media, *parameters = (part.strip().lower() for part in declared.split(";"))
    parts = [parameter.partition("=") for parameter in parameters]
    return media, [(name.strip(), value.strip().strip('"')) for name, _, value in parts]


def shown_media(media: str) -> str:
    """How an answer repeats what a body was declared as."""
    return repr(media[:MOST_SHOWN]) if media else "undeclared"


@lru_cache(maxsize=256)
def answer_media(accepted: str, *, sent: str) -> str:
    """The media type of an answer.

    Args:
        accepted: the `Accept` header (RFC 9110, 12.5.1); "" accepts everything. What is no media range in it is passed
            over.
        sent: the media type of the body, which wins among equals.

    Raises:
        NotAcceptableError: none that can be written is accepted.
    """
    ranges = dict(filter(None, map(_media_range, accepted.split(","))))
    if not ranges:
        return sent
    qualities = {media: _quality(ranges, media) for media in (sent, *MEDIA)}
    best: str = max(qualities, key=lambda media: qualities[media])
    if qualities[best] == 0:
        lacking = f" {HOW_TO_HAVE_ARROW}" if ARROW in ranges and not HAS_ARROW else ""
        shown = repr(accepted[:MOST_SHOWN])
        raise NotAcceptableError(f"The answer can be {_listed()}; Accept asks for {shown}.{lacking}")
    return best


def content_type(media: str) -> str:
    """The `Content-Type` of an answer."""
    # JSON and Arrow are UTF-8 by their own rules; text that says nothing is Latin 1 to many a client.
    return f"{media}; charset=utf-8" if media == CSV else media


def _media_range(text: str) -> tuple[str, float] | None:
    """A range such as `text/*;q=0.5` and its weight; None when it is none."""
    name, *parameters = (part.strip().lower() for part in text.split(";"))
    if "/" not in name:
        return None
    pairs = [parameter.partition("=") for parameter in parameters]
    weight = next((value for key, _, value in pairs if key.strip() == "q"), "1")
    return (name, float(weight)) if QUALITY.fullmatch(weight.strip()) else None


def _quality(ranges: dict[str, float], media: str) -> float:
    """By the most specific range that a media type is in."""
    for name in (media, f"{media.partition('/')[0]}/*", "*/*"):
        if name in ranges:
            return ranges[name]
    return 0.0


def _listed() -> str:
    return f"{', '.join(MEDIA[:-1])} or {MEDIA[-1]}"
