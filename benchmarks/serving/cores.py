"""One core for the server and another for the load, so that neither takes time from the other."""

import os
from collections.abc import Iterator
from contextlib import contextmanager


def two_cores() -> tuple[int, int]:
    """A core for the server and one for the load.

    Raises:
        RuntimeError: this machine has one core, or cannot keep a process on one.
    """
    if not hasattr(os, "sched_setaffinity"):
        raise RuntimeError("`make bench-serving` keeps processes on cores of their own, which it can on Linux alone.")
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:  # noqa: PLR2004  one for the server, one for the load
        raise RuntimeError("`make bench-serving` needs two cores: one for the server, one for the load.")
    return cores[0], cores[1]


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """Keep this thread, and processes that it starts meanwhile, on one core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
