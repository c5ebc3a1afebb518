"""What one request, and all of them together, may take: ASGI middleware with an answer for each limit."""

import asyncio
from collections import Counter
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.errors import (
    HUNG_UP,
    BodyTooLargeError,
    BodyTooSlowError,
    OverloadedError,
    PredictionTooSlowError,
    ServingError,
    TooManyAtOnceError,
    error_answer,
)
from serving.http.bodies import declared_bytes
from serving.http.eager_start import EagerStart
from serving.request_context import current_request


class RequestLimits:
    """Bounds the bytes of a body and the time of a request.

    A body is refused by its declared length or as soon as so many bytes have come.

    Args:
        app: behind it.
        max_body_bytes: of one request.
        seconds: from its first line to the first byte of the answer.
    """

    def __init__(self, app: ASGIApp, *, max_body_bytes: int, seconds: float) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is not None:
            await error_answer(refusal)(scope, receive, send)
            return
        watched = _Watched(receive, send, most_bytes=self._max_body_bytes, too_large=self._too_large)
        started = EagerStart(self._app(scope, watched.receive, watched.send))
        if started.is_done:  # the whole body was there, and was answered at once
            return
        try:
            async with asyncio.timeout(None if watched.is_answered else self._seconds) as deadline:
                watched.deadline = deadline
                await started
        except asyncio.CancelledError:
            context = current_request()
            if context is not None and not watched.is_receiving:  # who hangs up within a body has not waited for us
                context.error = HUNG_UP
            raise
        except TimeoutError:
            if watched.is_answered or not deadline.expired():
                raise
            await error_answer(self._too_slow(watched))(scope, receive, send)

    def _refusal(self, scope: Scope) -> ServingError | None:
        """An error where the body is too large by its own account; the bytes that come are counted anyway."""
        for name, value in scope["headers"]:
            if name == b"content-length" and declared_bytes(value) > self._max_body_bytes:
                return self._too_large()
        return None

    def _too_large(self) -> BodyTooLargeError:
        return BodyTooLargeError(f"The body is larger than {self._max_body_bytes:,} bytes. Send fewer rows at a time.")

    def _too_slow(self, watched: "_Watched") -> ServingError:
        if not watched.is_receiving:
            advice = " Send fewer rows." if watched.n_bytes else ""
            return PredictionTooSlowError(f"There is no answer after {self._seconds} seconds.{advice}")
        error = BodyTooSlowError(f"The body did not come within {self._seconds} seconds.")
        error.headers["Connection"] = "close"  # what may still come is not read
        return error


class _Watched:
    """Counts what comes of a body, and lifts the deadline once an answer begins."""

    def __init__(
        self, receive: Receive, send: Send, *, most_bytes: int, too_large: Callable[[], BodyTooLargeError]
    ) -> None:
        self._receive, self._send = receive, send
        self._most_bytes, self._too_large = most_bytes, too_large
        self.n_bytes = 0
        self.is_receiving = self.is_answered = False
        self.deadline: asyncio.Timeout | None = None

    async def receive(self) -> Message:
        self.is_receiving = True  # and stays so where the deadline comes meanwhile
        message = await self._receive()
        self.is_receiving = False
        self.n_bytes += len(message.get("body", b""))
        if self.n_bytes > self._most_bytes:
            raise self._too_large()
        return message

    async def send(self, message: Message) -> None:
        if not self.is_answered:
            self.is_answered = True
            if self.deadline is not None:
                self.deadline.reschedule(None)
        await self._send(message)


class ConcurrencyLimit:
    """Bounds how many requests are in work at once: of everybody, and of one API key.

    Only requests with a body count: those that only look must be answered when there is too much to do. One that was
    given up counts until what it asked for has ended (`thread_pool`).

    Args:
        app: behind it.
        at_once: in this process.
        at_once_per_key: of these, with one key.
    """

    def __init__(self, app: ASGIApp, *, at_once: int, at_once_per_key: int) -> None:
        self._app = app
        self._at_once = at_once
        self._at_once_per_key = at_once_per_key
        self._n_running = 0
        self._n_running_of: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        context = current_request()
        caller = context.caller if context is not None else None
        error = self._exceeded(caller)
        if error is not None:
            error.headers["Retry-After"] = "1"
            await error_answer(error)(scope, receive, send)
            return
        self._n_running += 1
        if caller is not None:
            self._n_running_of[caller] += 1
        try:
            await self._app(scope, receive, send)
        finally:
            unfinished = context.unfinished if context is not None else None
            if unfinished is None:
                self._leave(caller)
            else:
                unfinished.add_done_callback(lambda _: self._leave(caller))

    def _leave(self, caller: str | None) -> None:
        self._n_running -= 1
        if caller is not None:
            self._n_running_of[caller] -= 1

    def _exceeded(self, caller: str | None) -> ServingError | None:
        if self._n_running >= self._at_once:
            return OverloadedError(f"{self._at_once} requests are in work, which is as many as there may be.")
        if caller is not None and self._n_running_of[caller] >= self._at_once_per_key:
            return TooManyAtOnceError(f"{self._at_once_per_key} requests with this key are in work. Wait for one.")
        return None
