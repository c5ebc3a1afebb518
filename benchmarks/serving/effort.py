"""How much is measured."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Effort:
    """How long, and how often.

    Attributes:
        rounds: of two servers that take turns.
        seconds: of one turn.
        starts: of the server, to find how long it takes.
        few_requests: after which its memory is read first.
        many_requests: after which it is read again.
        file_rows: of the scored file.
    """

    rounds: int
    seconds: float
    starts: int
    few_requests: int
    many_requests: int
    file_rows: int


WHOLE = Effort(rounds=5, seconds=3.0, starts=5, few_requests=1000, many_requests=100_000, file_rows=1_000_000)
QUICK = Effort(rounds=1, seconds=0.3, starts=1, few_requests=100, many_requests=1000, file_rows=20_000)
