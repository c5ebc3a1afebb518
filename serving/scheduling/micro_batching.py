"""Small requests that are here at the same time are answered together.

The event loop reads what has come on all connections, then goes on with each request until it waits. One that has its
rows ready waits here until the others have theirs, which nobody notices, and one run of the model answers them all: 16
rows together cost hardly more than two of them one by one, since starting a run, fetching the weights from memory, and
every call of NumPy cost more than computing a row. One that is alone, as the HTTP server knows, waits for nobody: two
more turns of the event loop, and a clock for the wait, would cost a tenth of its time.

What is too much for one turn of the event loop (`event_loop_budget`) takes several, between which it goes on with all
else.

Not here: what is made of them together (`served_model`).
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from starlette.types import Scope

from serving.http.request_context import UNDER_WAY, current_request
from serving.monitoring.traces import model_run

MOST_ROWS = 16  # of a request that waits for others: more gain little, and would make the others wait
MOST_REQUESTS = 64
Part = TypeVar("Part")
Made = TypeVar("Made")


Work = Callable[[Sequence[Any]], Sequence[Any]]


@dataclass(frozen=True)
class _Waiting:
    part: Any
    made: "asyncio.Future[Any]"


@dataclass
class _Run:
    """Parts that are worked on together, in one turn of the event loop."""

    work: Work
    n_rows: int = 0
    waiting: list[_Waiting] = field(default_factory=list)


class Together:
    """Lets the requests of one event loop share work.

    Args:
        at_most: requests that wait at the same time; the next is worked on at once.
    """

    def __init__(self, *, at_most: int = MOST_REQUESTS) -> None:
        self._at_most = at_most
        self._n_waiting = 0
        self._runs: deque[_Run] = deque()
        self._latest: dict[Work, _Run] = {}  # which may take more parts

    async def share(
        self, work: Callable[[Sequence[Part]], Sequence[Made]], part: Part, *, n_rows: int, most_rows: int, scope: Scope
    ) -> Made:
        """What the work makes of a request's part; of a large one, and of one that is alone, at once.

        Args:
            work: makes of several parts what it would make of each by itself, or raises if it cannot for one of them.
            part: of this request.
            n_rows: in it.
            most_rows: in one turn of the event loop; no fewer than those.
            scope: of the request.

        Raises:
            Exception: what the work raises for this part alone.
        """
        with model_run(current_request(), n_rows=n_rows):
            if n_rows > MOST_ROWS or self._n_waiting >= self._at_most or _is_alone(scope):
                (made,) = work([part])
                return made
            waited: Made = await self._wait(work, part, n_rows, most_rows)
            return waited

    def _wait(self, work: Work, part: Any, n_rows: int, most_rows: int) -> "asyncio.Future[Any]":
        loop = asyncio.get_running_loop()
        if not self._runs:
            loop.call_soon(self._do_next, loop)
        run = self._latest.get(work)
        if run is None or run.n_rows + n_rows > most_rows:
            run = self._latest[work] = _Run(work)
            self._runs.append(run)
        waiting = _Waiting(part, loop.create_future())
        run.waiting.append(waiting)
        run.n_rows += n_rows
        self._n_waiting += 1
        return waiting.made

    def _do_next(self, loop: asyncio.AbstractEventLoop) -> None:
        run = self._runs.popleft()
        self._latest.clear()
        self._n_waiting -= len(run.waiting)
        if self._runs:
            loop.call_soon(self._do_next, loop)
        waiting = [own for own in run.waiting if not own.made.done()]  # the others were given up meanwhile
        if waiting:
            _do(run.work, waiting)


def _is_alone(scope: Scope) -> bool:
    """Whether no other request has come; False where the server does not say."""
    return len(scope.get("state", {}).get(UNDER_WAY, ())) == 1


def _do(work: Work, waiting: Sequence[_Waiting]) -> None:
    """Tell each request what was made of its part, or why nothing was."""
    try:
        made = work([each.part for each in waiting])
    except Exception as error:  # noqa: BLE001  whatever it is, each request is told its own
        if len(waiting) > 1:  # one that fails must not fail the others
            for each in waiting:
                _do(work, [each])
        elif not waiting[0].made.done():  # its caller has not been given up meanwhile
            waiting[0].made.set_exception(error)
        return
    for each, own in zip(waiting, made, strict=True):
        if not each.made.done():
            each.made.set_result(own)
