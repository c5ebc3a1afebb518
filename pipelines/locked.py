"""A file that one process holds at a time; the system frees it when that ends, however it does."""

import fcntl
from contextlib import ExitStack
from pathlib import Path
from typing import IO


def locked(path: Path) -> IO[str]:
    """Hold a file, which is made where there is none, until what is returned is closed.

    Raises:
        BlockingIOError: another process holds it, or this one already.
        OSError: it cannot be written.
    """
    with ExitStack() as opened:
        lock = opened.enter_context(path.open("w", encoding="utf-8"))
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        opened.pop_all()
    return lock
