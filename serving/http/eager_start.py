"""Runs what is awaited until it first waits: what never waits needs no deadline, whose clock costs 3% of an answer."""

from collections.abc import Awaitable, Generator
from typing import Any


class EagerStart:
    """Work that has run until it first had to wait. Awaiting this goes on with it, in the same task.

    Args:
        work: not begun.

    Attributes:
        is_done: it has ended without waiting.
    """

    def __init__(self, work: Awaitable[None]) -> None:
        self._steps = work.__await__()
        self._awaited: Any = None
        self.is_done = False
        try:
            self._awaited = self._steps.send(None)
        except StopIteration:
            self.is_done = True

    def __await__(self) -> Generator[Any, Any, None]:
        """What `yield from` does, from its second step on."""
        while not self.is_done:
            try:
                try:
                    answer = yield self._take_awaited()
                except BaseException as error:  # noqa: BLE001  a cancellation, too, is for the work to take
                    self._awaited = self._steps.throw(error)
                else:
                    self._awaited = self._steps.send(answer)
            except StopIteration:
                self.is_done = True

    def _take_awaited(self) -> Any:
        """And forget it: an error of it knows this work, so it would wait for a look for garbage."""
        awaited, self._awaited = self._awaited, None
        return awaited
