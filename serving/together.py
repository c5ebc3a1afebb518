"""Small requests that are here at the same time go through the model together.

The event loop reads what has come on all connections, then goes on with each request until it waits. One that has its
rows ready waits here until the others have theirs, which nobody notices, and one run of the model answers them all: 16
rows together cost hardly more than two of them one by one, since starting a run, and fetching the weights from memory,
cost more than computing a row. One that is alone, as the HTTP server knows, waits for nobody: two more turns of the
event loop, and a clock for the wait, would cost a tenth of its time.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from starlette.types import Scope

from serving.exchange import UNDER_WAY, current_exchange
from serving.models import Served
from serving.traces import model_run

MOST_ROWS = 16  # of a request that waits for others: more gain little, and would make the others wait
MOST_REQUESTS = 64
Columns = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class _Waiting:
    columns: Columns
    n_rows: int
    predictions: "asyncio.Future[np.ndarray]"


class Together:
    """Predicts for the requests of one event loop.

    Args:
        at_most: requests that wait at the same time; the next is predicted for at once.
    """

    def __init__(self, *, at_most: int = MOST_REQUESTS) -> None:
        self._at_most = at_most
        self._n_waiting = 0
        self._waiting: dict[Served, list[_Waiting]] = {}

    async def predict(self, own: Served, columns: Columns, scope: Scope) -> np.ndarray:
        """As `Served.predict_finite`, which it is for a large request, and for one that is alone.

        Args:
            own: the model.
            columns: name -> [N].
            scope: of the request.

        Raises:
            InvalidRequestError: a prediction is not finite.
        """
        n_rows = len(next(iter(columns.values())))
        if n_rows > MOST_ROWS or self._n_waiting >= self._at_most or _is_alone(scope):
            return own.predict_finite(columns)
        loop = asyncio.get_running_loop()
        if not self._n_waiting:
            loop.call_soon(self._run)
        waiting = _Waiting(columns, n_rows, loop.create_future())
        self._waiting.setdefault(own, []).append(waiting)
        self._n_waiting += 1
        exchange = current_exchange()
        with model_run(exchange, n_rows=n_rows):
            predictions = await waiting.predictions
        if exchange is not None:
            exchange.rows += n_rows
        return predictions

    def _run(self) -> None:
        together, self._waiting, self._n_waiting = self._waiting, {}, 0
        for own, waiting in together.items():
            _predict(own, waiting)


def _is_alone(scope: Scope) -> bool:
    """Whether no other request has come; False where the server does not say."""
    return len(scope.get("state", {}).get(UNDER_WAY, ())) == 1


def _predict(own: Served, waiting: Sequence[_Waiting]) -> None:
    """Tell each request its predictions, or why there are none."""
    try:
        predictions = own.predict_sampled(_join([each.columns for each in waiting]))
    except Exception as error:  # noqa: BLE001  whatever it is, each request is told its own
        if len(waiting) > 1:  # one row that fails must not fail the others
            for each in waiting:
                _predict(own, [each])
        elif not waiting[0].predictions.done():  # its caller has not been given up meanwhile
            waiting[0].predictions.set_exception(error)
        return
    start = 0
    for each in waiting:
        if not each.predictions.done():
            each.predictions.set_result(predictions[start : start + each.n_rows])
        start += each.n_rows


def _join(parts: Sequence[Columns]) -> Columns:
    return parts[0] if len(parts) == 1 else {name: np.concatenate([own[name] for own in parts]) for name in parts[0]}
