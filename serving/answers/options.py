"""What a request asks for beside predictions, in its query: `?coverage=0.9&explain=true`, whatever its media type.

`?traffic=false` asks for less: its rows were made up, and so count as no sign of how traffic is distributed.

Not here: whether the model can say it (`builder`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import parse_qs

from serving.errors import Detail, InvalidRequestError

COVERAGE, EXPLAIN, TRAFFIC = "coverage", "explain", "traffic"
TRUTHS = {"true": True, "false": False}
MOST_FIELDS = 100  # of a query
Value = TypeVar("Value")


@dataclass(frozen=True)
class AnswerOptions:
    """What is asked for.

    Attributes:
        coverage: of intervals or sets of labels, between 0 and 1; None: nothing is said of it.
        explain: the contributions of the columns.
        traffic: whoever watches for drift, and a shadow, may see the rows.
    """

    coverage: float | None = None
    explain: bool = False
    traffic: bool = True


NO_OPTIONS = AnswerOptions()


def read_options(query: bytes) -> AnswerOptions:
    """Read a query, as it stands in the URL; fields that mean nothing here are passed over.

    Raises:
        InvalidRequestError: a value does not fit, or is given twice.
    """
    if not query:
        return NO_OPTIONS
    try:
        fields = parse_qs(query.decode("latin-1"), keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError:
        raise wrong_query([Detail(path=["query"], message=f"More than {MOST_FIELDS} fields")]) from None
    details: list[Detail] = []
    coverage = _read(fields, COVERAGE, read_share, "a number above 0 and below 1, such as 0.9", details)
    explain, traffic = (_read(fields, name, TRUTHS.get, "true or false", details) for name in (EXPLAIN, TRAFFIC))
    if details:
        raise wrong_query(details)
    options = AnswerOptions(coverage=coverage, explain=bool(explain), traffic=traffic is not False)
    return NO_OPTIONS if options == NO_OPTIONS else options


def wrong_query(details: Sequence[Detail]) -> InvalidRequestError:
    """The error for a query that cannot be answered."""
    return InvalidRequestError("The query cannot be answered.", details)


def _read(
    fields: Mapping[str, list[str]], name: str, parse: Callable[[str], Value | None], wanted: str, details: list[Detail]
) -> Value | None:
    """The value of a field; None where there is none, or one that is not as wanted, which is added to the details."""
    values = fields.get(name)
    if values is None:
        return None
    read = parse(values[0])
    if len(values) > 1:
        details.append(Detail(path=["query", name], message=f"Given {len(values):,} times. Send it once"))
    elif read is None:
        details.append(Detail(path=["query", name], message=f"Input should be {wanted}"))
    return read


def read_share(text: str) -> float | None:
    """A share between 0 and 1, both excluded; None when it is none."""
    # Python reads more as a number than others do: underscores, blanks, digits of other scripts.
    if not text.isascii() or "_" in text or text.strip() != text:
        return None
    try:
        share = float(text)
    except ValueError:
        return None
    return share if 0 < share < 1 else None
