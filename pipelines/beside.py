"""An object in a process of its own: what it imports and does takes no time of the process that asks.

For what is asked little and answers seldom: every question is pickled to and fro. Work that must survive the death of
its process is `engines`'.
"""

import multiprocessing
import os
import signal
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from threading import Thread
from typing import Any

from pipelines.collector import spare_modules
from pipelines.errors import UserError

SECONDS_TO_END = 5.0


class Beside:
    """Starts the process; it makes the object at once, and carries out its methods in the order of the calls.

    It dies with the process that asks, however that dies. A Python script must ask under `if __name__ == "__main__"`,
    since the new process imports it.

    Args:
        make: makes the object, over there; a function of a module, which should import little by itself.
        name: of what is done there, for the user who is told that it ended: "the process for <name>".
    """

    def __init__(self, make: Callable[[], object], *, name: str) -> None:
        self._name = name
        context = multiprocessing.get_context("spawn")  # a forked one has our locks, but not the threads that hold them
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs, make), name=name, daemon=True)
        with _interrupts_held_back():
            self._process.start()
        theirs.close()  # so that the death of the process closes the pipe
        self._asker = ThreadPoolExecutor(1, thread_name_prefix=name)

    def call(self, method: str, *arguments: Any) -> Future[Any]:
        """Queue a call; the future has what it returns or raises.

        Raises:
            UserError: raised by the future, when the process has died.
        """
        return self._asker.submit(self._ask, method, arguments)

    def close(self) -> None:
        """Wait for all calls, then end the process. Ctrl-C ends it at once, with what is under way."""
        try:
            self._asker.shutdown(wait=True)
        finally:
            end_process(self._process)
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


def end_process(process: BaseProcess) -> None:
    """Stop it, whatever it does."""
    process.terminate()
    process.join(SECONDS_TO_END)
    if process.is_alive():
        process.kill()
        process.join()


def _work(connection: Connection, make: Callable[[], object]) -> None:
    """What the process does until it is ended, or the other end of the pipe closes."""
    spare_modules()
    Thread(target=_end_with_parent, daemon=True).start()
    made = make()
    while True:
        try:
            method, arguments = connection.recv()
        except EOFError:
            return
        connection.send(_answer(made, method, arguments))


def _answer(made: object, method: str, arguments: Sequence[Any]) -> Any:
    try:
        return getattr(made, method)(*arguments)
    except Exception as error:  # noqa: BLE001  it is raised again in the process that asked
        error.add_note("".join(traceback.format_exception(error)))  # pickling loses where it was raised
        return error


def _end_with_parent() -> None:
    """Nobody waits for what is still under way when the process that asked was killed."""
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
        os._exit(1)


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """A process started meanwhile never hears Ctrl-C, which reaches every process of a terminal: the first ends it."""
    resource_tracker.ensure_running()  # it would be started with the first process, and let interrupts through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
