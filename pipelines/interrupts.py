"""Ctrl-C and SIGTERM: both end a command in order, and both are the business of its first process alone.

SIGTERM is how containers, schedulers and shutdowns end a command; Python's own answer is to die on the spot.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from types import FrameType
from typing import NoReturn

INTERRUPTS = {signal.SIGINT, signal.SIGTERM}


class Terminated(KeyboardInterrupt):
    """SIGTERM arrived. Whoever has an answer to Ctrl-C, as Lightning has, answers this the same way."""


@contextmanager
def sigterm_raised() -> Iterator[None]:
    """Raise `Terminated` for every SIGTERM that arrives inside the block: a second one breaks off what the first began.

    For the main thread, as all handling of signals is.
    """
    has_arrived = False

    def terminate(_number: int, _frame: FrameType | None) -> NoReturn:
        nonlocal has_arrived
        has_arrived = True
        raise Terminated

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    except KeyboardInterrupt as interrupt:
        if has_arrived:  # whatever came of it on the way: Ray raises an interrupt of its own in its place
            raise Terminated from interrupt
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def sigterm_kept() -> Iterator[None]:
    """Leave SIGTERM as it was, whatever a library inside sets; its exiting for one meanwhile is `Terminated` too."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    except SystemExit as stop:
        if stop.code == signal.SIGTERM:
            raise Terminated from stop
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def interrupts_held_back() -> Iterator[None]:
    """A process started meanwhile hears neither: they often reach all processes, and the first one ends the others."""
    resource_tracker.ensure_running()  # it would be started with the first process, and let interrupts through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, INTERRUPTS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
