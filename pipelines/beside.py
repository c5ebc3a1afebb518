"""An object in a process of its own: what it imports and does takes no time of the process that asks.

For what is asked little and answers seldom: every question is pickled to and fro. Work that must survive the death of
its process is `engines`'.
"""

import multiprocessing
import os
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from threading import Event, Thread
from typing import Any

from pipelines.errors import UserError
from pipelines.garbage import spare_modules
from pipelines.interrupts import interrupts_held_back

SECONDS_TO_END = 5.0


class Beside:
    """Starts the process; it makes the object at once, and carries out its methods in the order of the calls.

    It ends with the process that asks, however that ends; what is under way then has `SECONDS_TO_END`. A Python script
    must ask under `if __name__ == "__main__"`, since the new process imports it.

    Args:
        make: makes the object, over there; a function of a module, which should import little by itself. It is given
            an event that is set once nobody asks any more: what takes long should then come to an end.
        name: of what is done there, for the user who is told that it ended: "the process for <name>".
    """

    def __init__(self, make: Callable[[Event], object], *, name: str) -> None:
        self._name = name
        context = multiprocessing.get_context("spawn")  # a forked one has our locks, but not the threads that hold them
        self._connection, theirs = context.Pipe()
        their_life, self._life = context.Pipe(duplex=False)  # carries nothing: that it closes is what it says
        self._process = context.Process(target=_work, args=(theirs, their_life, make), name=name, daemon=True)
        with interrupts_held_back():
            self._process.start()
        theirs.close()  # so that the death of the process closes the pipe
        their_life.close()
        self._asker = ThreadPoolExecutor(1, thread_name_prefix=name)

    def call(self, method: str, *arguments: Any) -> Future[Any]:
        """Queue a call; the future has what it returns or raises.

        Raises:
            UserError: raised by the future, when the process has died.
        """
        return self._asker.submit(self._ask, method, arguments)

    def close(self) -> None:
        """Wait for all calls, then end the process.

        An interrupt meanwhile, or one that is on its way out of the block that `closing` ends, ends it with the call
        that is under way: who has wanted to wait for the others has done so.
        """
        is_interrupted = isinstance(sys.exception(), KeyboardInterrupt)
        try:
            self._asker.shutdown(wait=not is_interrupted, cancel_futures=is_interrupted)
        finally:
            self._life.close()
            self._process.join(2 * SECONDS_TO_END)
            self._process.kill()  # it does not even end itself
            self._process.join()
            self._connection.close()

    def _ask(self, method: str, arguments: Sequence[Any]) -> Any:
        try:
            self._connection.send((method, arguments))
            answer = self._connection.recv()
        except (EOFError, OSError) as error:
            self._process.join(SECONDS_TO_END)
            raise UserError(
                f"The process for {self._name} ended with exit code {self._process.exitcode}. Unless it has said why, "
                "it was out of memory. Give the same command again: it goes on from where this one was."
            ) from error
        if isinstance(answer, BaseException):
            raise answer
        return answer


def _work(connection: Connection, life: Connection, make: Callable[[Event], object]) -> None:
    """What the process does until nobody asks any more."""
    spare_modules()
    ready, left = Event(), Event()
    Thread(target=_end_with_asker, args=(life, ready, left), daemon=True).start()
    made = make(left)
    ready.set()
    with suppress(EOFError, ConnectionError):  # who asked has died
        while life not in wait([connection, life]):
            method, arguments = connection.recv()
            connection.send(_answer(made, method, arguments))


def _end_with_asker(life: Connection, ready: Event, left: Event) -> None:
    """Nobody waits for what is still under way; but what an object has begun should not stay half-done."""
    wait([life])
    left.set()
    if ready.is_set():
        time.sleep(SECONDS_TO_END)
    os._exit(1)


def _answer(made: object, method: str, arguments: Sequence[Any]) -> Any:
    try:
        return getattr(made, method)(*arguments)
    except Exception as error:  # noqa: BLE001  it is raised again in the process that asked
        error.add_note("".join(traceback.format_exception(error)))  # pickling loses where it was raised
        return error
