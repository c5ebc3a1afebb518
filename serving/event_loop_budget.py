"""What is done at once, on the event loop, where all other connections wait for it; the rest is left to a thread."""

import time
from collections.abc import Callable

# Such a body, of some 150 rows of 20 columns, is read in a millisecond, and handing it to a thread costs up to as much
# again. But its bytes alone do not say what it asks for: a few may stand for 10,000 rows.
SMALL_BODY_BYTES = 64 * 2**10
SMALL_ROWS = 150
SMALL_SECONDS = 0.005  # that answering may take: 150 rows of an ensemble take 2 ms, one row of a wide net may take 10
TRIED_ROWS = 16
ROUNDS = 3  # of which the fastest counts


class NoTimeError(Exception):
    """What would have to be done takes longer than may be spent at once."""


def rows_at_once(answer: Callable[[int], object]) -> int:
    """How many rows may be answered at once: at most `SMALL_ROWS`; 0 where a single one takes too long.

    Args:
        answer: answers so many rows.
    """
    one = _seconds(answer, 1)
    if one > SMALL_SECONDS:
        return 0
    another = max((_seconds(answer, TRIED_ROWS) - one) / (TRIED_ROWS - 1), 1e-6)  # clocks may be coarse
    return min(SMALL_ROWS, 1 + int((SMALL_SECONDS - one) / another))


def _seconds(answer: Callable[[int], object], n_rows: int) -> float:
    """What answering takes of this thread's own time, which other work of the machine leaves as it is."""
    taken = []
    for _ in range(ROUNDS):
        started = time.thread_time()
        answer(n_rows)
        taken.append(time.thread_time() - started)
    return min(taken)
