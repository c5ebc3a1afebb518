"""Ctrl-C and SIGTERM: both end a command in order, and both are the business of its first process alone.

SIGTERM is how containers, schedulers and shutdowns end a command; Python's own answer is to die on the spot.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from threading import current_thread, main_thread
from types import FrameType
from typing import NoReturn

INTERRUPTS = {signal.SIGINT, signal.SIGTERM}


class Terminated(KeyboardInterrupt):
    """SIGTERM arrived. Whoever has an answer to Ctrl-C, as Lightning has, answers this the same way."""


@contextmanager
def sigterm_raised() -> Iterator[None]:
    """Raise `Terminated` for every SIGTERM that arrives inside the block: a second one breaks off what the first began.

    For the main thread, as all handling of signals is.

    Raises:
        Terminated: one arrived.
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
    """Leave SIGTERM as it was, whatever a library inside sets.

    Raises:
        Terminated: the library would have exited for one meanwhile.
    """
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
    """A process started meanwhile hears neither: they often reach all processes, and the first one ends the others.

    What arrives meanwhile is answered at the end: broken off in the middle, a process would begin with half of what it
    needs to know.
    """
    resource_tracker.ensure_running()  # it would be started with the first process, and let interrupts through again
    with _answered_afterwards():
        before = signal.pthread_sigmask(signal.SIG_BLOCK, INTERRUPTS)
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _answered_afterwards() -> Iterator[None]:
    """Whichever thread the system hands a signal to, it is the main thread that answers it, masked or not."""
    if current_thread() is not main_thread():
        yield
        return
    arrived: list[int] = []
    ours = [number for number in INTERRUPTS if signal.getsignal(number) is not None]  # None: no answer of Python's
    before = [signal.signal(number, lambda signal_number, _: arrived.append(signal_number)) for number in ours]
    try:
        yield
    finally:
        for number, answer in zip(ours, before, strict=True):
            signal.signal(number, answer)
        for signal_number in arrived:
            signal.raise_signal(signal_number)
