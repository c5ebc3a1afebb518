"""A file that one process holds at a time; the system frees it when that ends, however it does."""

import fcntl
from contextlib import ExitStack
from pathlib import Path
from typing import IO


def locked(path: Path, *, waits: bool = False) -> IO[str]:
    """Hold a file, which is made where there is none, until what is returned is closed.

    Args:
        path: of the file.
        waits: until nobody else holds it.

    Raises:
        BlockingIOError: another process holds it, or this one already, and nobody waits for that.
        OSError: it cannot be written.
    """
    with ExitStack() as opened:
        lock = opened.enter_context(path.open("w", encoding="utf-8"))
        fcntl.flock(lock, fcntl.LOCK_EX | (0 if waits else fcntl.LOCK_NB))
        opened.pop_all()
    return lock
