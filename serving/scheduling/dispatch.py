"""Where a request for predictions is answered, in every protocol: a small one at once, the rest in a thread."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from starlette.types import Scope

from serving.event_loop_budget import SMALL_BODY_BYTES, NoTimeError
from serving.http.bodies import decompress_body
from serving.reading.request_reader import RequestReader, count_of
from serving.request_context import count_rows
from serving.scheduling.micro_batching import MicroBatcher
from serving.scheduling.thread_pool import ThreadPool
from serving.versions.served_model import Columns, ServedModel

Answer = TypeVar("Answer")
WriteAnswer = Callable[[np.ndarray], Answer]  # of predictions, [N, P]
# The raw columns of a body, [N] each, and what writes their answer.
ReadBody = Callable[[bytes, RequestReader], tuple[Columns, WriteAnswer[Answer]]]


@dataclass(frozen=True)
class Dispatcher:
    """Answers on the event loop or in a thread.

    Attributes:
        batcher: predicts for what is small.
        pool: for the rest.
        max_body_bytes: that a compressed body may become.
    """

    batcher: MicroBatcher
    pool: ThreadPool
    max_body_bytes: int

    async def answer(
        self,
        model: ServedModel,
        body: bytes,
        encoding: str,
        scope: Scope,
        read: ReadBody[Answer],
        *,
        is_heavy: bool = False,
    ) -> Answer:
        """The answer to a body.

        Args:
            model: that answers.
            body: as it came.
            encoding: the header `Content-Encoding`; "" when there is none.
            scope: of the request.
            read: reads the body, no longer compressed, with a reader of the model.
            is_heavy: something takes long for a single row.

        Raises:
            ServingError: the body does not fit, or has no answer.
        """
        if len(body) <= SMALL_BODY_BYTES and not encoding and not is_heavy:
            try:
                columns, write_answer = read(body, model.quick_reader)
            except NoTimeError:
                pass
            else:
                if count_of(columns) <= model.rows_at_once:
                    return write_answer(await self._predict_together(model, columns, scope))
                return await self.pool.run(lambda: write_answer(model.predict_finite(columns)))

        def answer_slowly() -> Answer:
            columns, write_answer = read(decompress_body(body, encoding, max_bytes=self.max_body_bytes), model.reader)
            return write_answer(model.predict_finite(columns))

        return await self.pool.run(answer_slowly)

    async def answer_cells(self, model: ServedModel, body: bytes, scope: Scope) -> bytes | None:
        """The answer in JSON to JSON, which most requests ask for; None where the body has cells that do not fit."""
        cells = model.reader.cells(body)
        if cells is None:
            return None
        n_rows = len(cells[0])
        if n_rows > model.rows_at_once:
            return await self.pool.run(lambda: model.answer_cells(cells))
        most = model.rows_at_once
        answer = await self.batcher.run(model.answer_parts, cells, n_rows=n_rows, most_rows=most, scope=scope)
        if answer is not None:
            count_rows(n_rows)
        return answer

    async def _predict_together(self, model: ServedModel, columns: Columns, scope: Scope) -> np.ndarray:
        n_rows = count_of(columns)
        most = model.rows_at_once
        predictions = await self.batcher.run(model.predict_parts, columns, n_rows=n_rows, most_rows=most, scope=scope)
        count_rows(n_rows)
        return predictions
