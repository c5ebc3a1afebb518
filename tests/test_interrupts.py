"""Interrupts that arrive while a process is started are answered when it has its beginning whole."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

import pytest

from pipelines.interrupts import Terminated, interrupts_held_back, sigterm_raised


@contextmanager
def another_thread() -> Iterator[None]:
    """One that waits, and may be the one that the system hands a signal to."""
    ended = Event()
    thread = Thread(target=ended.wait)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@pytest.mark.parametrize(("number", "raised"), [(signal.SIGTERM, Terminated), (signal.SIGINT, KeyboardInterrupt)])
def test_an_interrupt_waits_for_the_end_of_the_block_whichever_thread_it_reaches(number, raised):
    reached = []

    def interrupted() -> None:
        with interrupts_held_back():
            os.kill(os.getpid(), number)
            time.sleep(0.1)
            reached.append("the end")
        reached.append("beyond")

    with another_thread(), sigterm_raised(), pytest.raises(raised):
        interrupted()
    assert reached == ["the end"]


def test_afterwards_interrupts_are_answered_as_before():
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with interrupts_held_back():
        pass
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, []) & {signal.SIGINT, signal.SIGTERM}


def test_a_thread_may_start_a_process_too():
    entered = []

    def start() -> None:
        with interrupts_held_back():
            entered.append(signal.pthread_sigmask(signal.SIG_BLOCK, []))

    thread = Thread(target=start)
    thread.start()
    thread.join()
    (blocked,) = entered
    assert {signal.SIGINT, signal.SIGTERM} <= blocked
