"""Threads for what takes longer than the event loop may spend: so many and no more, and an end that waits for none.

What runs cannot be stopped. A function whose request is answered 504 meanwhile, or whose caller hangs up, runs on in
its thread, and the request keeps its slot of the concurrency limit (`limits`) until it ends: whoever asks again and
again piles nothing up. One whose request was given up before it began is never begun.
"""

import asyncio
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, TypeVar

from serving.request_context import current_request

# More than there are cores, so that what takes seconds does not keep all of what takes milliseconds waiting; but few:
# the event loop wants a core, too, and waited for it four times as long beside 40 of them as beside 8.
MOST_THREADS = min(32, (os.cpu_count() or 1) + 4)
FEW_THREADS = 2  # for what is asked now and then: one that waits for something must not be all
END_SECONDS = 0.2  # that threads with nothing left to do may take to end
Result = TypeVar("Result")


class ThreadPool:
    """Runs functions of requests.

    Args:
        at_most: side by side; the next one waits for its turn.
    """

    def __init__(self, *, at_most: int = MOST_THREADS) -> None:
        self._executor = ThreadPoolExecutor(at_most, "work")
        self._apart: list[ThreadPool] = []

    def apart(self, at_most: int = FEW_THREADS) -> "ThreadPool":
        """A pool for what must not wait until a thread of this one is free; it ends with this one."""
        others = ThreadPool(at_most=at_most)
        self._apart.append(others)
        return others

    async def run(self, function: Callable[[], Result]) -> Result:
        """What a function makes; it knows the request under way.

        Raises:
            Exception: what the function raises.
        """
        running = self._executor.submit(copy_context().run, function)
        ended = asyncio.wrap_future(running)
        try:
            return await asyncio.shield(ended)
        except asyncio.CancelledError:
            context = current_request()
            if not running.cancel() and context is not None:
                context.unfinished = ended
            ended.add_done_callback(_forget)
            raise
        finally:
            # An error knows this frame, which would know the error: body and all would wait for a look for garbage.
            del running, ended

    def end(self) -> None:
        """Begin nothing any more."""
        self._executor.shutdown(wait=False, cancel_futures=True)
        for others in self._apart:
            others.end()


def end_process_with_threads() -> None:
    """End this process, with 0, if threads still work: Python would wait for them, as long as they take."""
    here = threading.current_thread()
    others = [thread for thread in threading.enumerate() if thread is not here and not thread.daemon]
    for thread in others:
        thread.join(END_SECONDS / len(others))
    if any(thread.is_alive() for thread in others):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def _forget(ended: "asyncio.Future[Any]") -> None:
    """Nobody is left to be told what went wrong, of which asyncio would complain."""
    if not ended.cancelled():
        ended.exception()
