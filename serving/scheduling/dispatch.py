"""The work that a request for predictions asks for, in every protocol: small is done at once, the rest in a thread."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from starlette.types import Scope

from serving.http.bodies import decompress_body
from serving.http.request_context import count_rows
from serving.reading.request_reader import RequestReader, count_of
from serving.scheduling.event_loop_budget import SMALL_BODY_BYTES, NoTimeError
from serving.scheduling.micro_batching import Together
from serving.scheduling.thread_pool import Threads
from serving.versions.served_model import Columns, Served

Answer = TypeVar("Answer")
Word = Callable[[np.ndarray], Answer]  # makes the answer of predictions, [N, P]
Read = Callable[[bytes, RequestReader], tuple[Columns, Word[Answer]]]  # the raw columns, [N] each, and how to answer


@dataclass(frozen=True)
class Work:
    """Does it.

    Attributes:
        together: predicts for what is small.
        threads: for the rest.
        max_body_bytes: that a compressed body may become.
    """

    together: Together
    threads: Threads
    max_body_bytes: int

    async def answer(
        self, own: Served, body: bytes, encoding: str, scope: Scope, read: Read[Answer], *, is_heavy: bool = False
    ) -> Answer:
        """The answer to a body.

        Args:
            own: the model.
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
                columns, word = read(body, own.hasty)
            except NoTimeError:
                pass
            else:
                if count_of(columns) <= own.rows_at_once:
                    return word(await self._predict_together(own, columns, scope))
                return await self.threads.run(lambda: word(own.predict_finite(columns)))

        def answer_slowly() -> Answer:
            columns, word = read(decompress_body(body, encoding, max_bytes=self.max_body_bytes), own.reader)
            return word(own.predict_finite(columns))

        return await self.threads.run(answer_slowly)

    async def answer_cells(self, own: Served, body: bytes, scope: Scope) -> bytes | None:
        """The answer in JSON to JSON, which most requests ask for; None where the body has cells that do not fit."""
        cells = own.reader.cells(body)
        if cells is None:
            return None
        n_rows = len(cells[0])
        if n_rows > own.rows_at_once:
            return await self.threads.run(lambda: own.answer_cells(cells))
        most = own.rows_at_once
        answer = await self.together.share(own.answer_parts, cells, n_rows=n_rows, most_rows=most, scope=scope)
        if answer is not None:
            count_rows(n_rows)
        return answer

    async def _predict_together(self, own: Served, columns: Columns, scope: Scope) -> np.ndarray:
        n_rows = count_of(columns)
        most = own.rows_at_once
        predictions = await self.together.share(own.predict_parts, columns, n_rows=n_rows, most_rows=most, scope=scope)
        count_rows(n_rows)
        return predictions
