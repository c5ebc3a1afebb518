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

from serving.monitoring.traces import model_run
from serving.request_context import UNDER_WAY, current_request

MOST_ROWS = 16  # of a request that waits for others: more gain little, and would make the others wait
MOST_REQUESTS = 64
Part = TypeVar("Part")
Result = TypeVar("Result")
BatchFunction = Callable[[Sequence[Any]], Sequence[Any]]


@dataclass(frozen=True)
class _Waiting:
    part: Any
    result: "asyncio.Future[Any]"


@dataclass
class _Batch:
    """Parts that go through the function together, in one turn of the event loop."""

    function: BatchFunction
    n_rows: int = 0
    waiting: list[_Waiting] = field(default_factory=list)


class MicroBatcher:
    """Lets the requests of one event loop share runs of a function.

    Args:
        at_most: requests that wait at the same time; the next is run at once.
    """

    def __init__(self, *, at_most: int = MOST_REQUESTS) -> None:
        self._at_most = at_most
        self._n_waiting = 0
        self._batches: deque[_Batch] = deque()
        self._open: dict[BatchFunction, _Batch] = {}  # which may take more parts

    async def run(
        self,
        function: Callable[[Sequence[Part]], Sequence[Result]],
        part: Part,
        *,
        n_rows: int,
        most_rows: int,
        scope: Scope,
    ) -> Result:
        """What the function makes of a request's part; of a large one, and of one that is alone, at once.

        Args:
            function: makes of several parts what it would make of each by itself, or raises if it cannot for one of
                them.
            part: of this request.
            n_rows: in it.
            most_rows: in one turn of the event loop; no fewer than those.
            scope: of the request.

        Raises:
            Exception: what the function raises for this part alone.
        """
        with model_run(current_request(), n_rows=n_rows):
            if n_rows > MOST_ROWS or self._n_waiting >= self._at_most or _is_alone(scope):
                (result,) = function([part])
                return result
            waited: Result = await self._wait(function, part, n_rows, most_rows)
            return waited

    def _wait(self, function: BatchFunction, part: Any, n_rows: int, most_rows: int) -> "asyncio.Future[Any]":
        loop = asyncio.get_running_loop()
        if not self._batches:
            loop.call_soon(self._run_next, loop)
        batch = self._open.get(function)
        if batch is None or batch.n_rows + n_rows > most_rows:
            batch = self._open[function] = _Batch(function)
            self._batches.append(batch)
        waiting = _Waiting(part, loop.create_future())
        batch.waiting.append(waiting)
        batch.n_rows += n_rows
        self._n_waiting += 1
        return waiting.result

    def _run_next(self, loop: asyncio.AbstractEventLoop) -> None:
        batch = self._batches.popleft()
        self._open.clear()
        self._n_waiting -= len(batch.waiting)
        if self._batches:
            loop.call_soon(self._run_next, loop)
        waiting = [each for each in batch.waiting if not each.result.done()]  # the others were given up meanwhile
        if waiting:
            _run(batch.function, waiting)


def _is_alone(scope: Scope) -> bool:
    """Whether no other request has come; False where the server does not say."""
    return len(scope.get("state", {}).get(UNDER_WAY, ())) == 1


def _run(function: BatchFunction, waiting: Sequence[_Waiting]) -> None:
    """Tell each request what was made of its part, or why nothing was."""
    try:
        results = function([each.part for each in waiting])
    except Exception as error:  # noqa: BLE001  whatever it is, each request is told its own
        if len(waiting) > 1:  # one that fails must not fail the others
            for each in waiting:
                _run(function, [each])
        elif not waiting[0].result.done():  # its caller has not been given up meanwhile
            waiting[0].result.set_exception(error)
        return
    for each, result in zip(waiting, results, strict=True):
        if not each.result.done():
            each.result.set_result(result)
