"""Around every request, ASGI middleware: names it, counts and times it, logs it, and answers when the server fails.

Its answer gets the headers that every answer has.
"""

import logging
import os
import time
from bisect import bisect_left
from collections.abc import Iterator

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.errors import HUNG_UP, defect_answer
from serving.http.security_headers import Headers, missing
from serving.monitoring.counters import Counters
from serving.monitoring.traces import identify_request
from serving.request_context import CHOSEN_ID, RequestContext, enter_request, protocol_of

REQUESTS = "requests"  # labels: model, protocol, status; one number a bucket, then the sum of seconds
ROWS = "rows"  # labels: model, version
ANSWERS = "answers"  # labels: model, version, status
FAILURES = "failures"  # labels: model, version
# What a version may be to blame for, in the words of `errors`: one with other columns than its callers send refuses
# all of them, by 422, and callers hang up on one that is slow.
BLAMED = frozenset({422, HUNG_UP, 500, 504})
BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)  # seconds

logger = logging.getLogger("serving.requests")


class Instrumentation:
    """Opens a context for every request, and reports it at the end.

    Args:
        app: behind it.
        counters: gets the counts.
        headers: of every answer that does not have them itself.
        traced: each request has a span, which gets the request's id.
    """

    def __init__(self, app: ASGIApp, *, counters: Counters, headers: Headers, traced: bool) -> None:
        self._app = app
        self._counters = counters
        self._headers = headers
        self._traced = traced

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        context = RequestContext(_request_id(scope), protocol_of(scope["path"]), time.perf_counter())
        enter_request(context)
        if self._traced:
            identify_request(context.request_id)
        status = 0

        async def answered(message: Message) -> None:
            nonlocal status
            if message["type"] != "http.response.start":
                await send(message)
                return
            headers = message.get("headers", ())
            message["headers"] = [*headers, *_names(context), *missing(headers, self._headers)]
            await send(message)  # may wait until an earlier answer is read, and never end where the caller hangs up
            status = message["status"]

        self._counters.n_running += 1
        try:
            await self._app(scope, receive, answered)
        except Exception:
            logger.exception("The server failed on a request")
            if status:  # too late for another answer: the HTTP server breaks the connection off
                raise
            await defect_answer()(scope, receive, answered)
        finally:
            self._counters.n_running -= 1
            self._report(scope, context, status or HUNG_UP)

    def _report(self, scope: Scope, context: RequestContext, status: int) -> None:
        seconds = time.perf_counter() - context.started
        key = (REQUESTS, (context.model, context.protocol, str(status)))
        count = self._counters.counts.get(key)
        if count is None:
            count = self._counters.counts.setdefault(key, [0.0] * (len(BUCKETS) + 2))
        count[bisect_left(BUCKETS, seconds)] += 1
        count[-1] += seconds
        if context.version:
            self._counters.add(ANSWERS, (context.model, context.version, str(status)))
            if context.error in BLAMED:
                self._counters.add(FAILURES, (context.model, context.version))
        if context.rows:
            self._counters.add(ROWS, (context.model, context.version), (context.rows,))
        if logger.isEnabledFor(logging.INFO):
            logger.info("request", extra={"fields": dict(_described(scope, context, status, seconds))})


def _request_id(scope: Scope) -> str:
    """The caller's, when it is harmless to write into logs and headers; a new one otherwise."""
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            chosen = value.decode("latin-1")
            if CHOSEN_ID.fullmatch(chosen):
                return str(chosen)
    return os.urandom(16).hex()


def _names(context: RequestContext) -> list[tuple[bytes, bytes]]:
    request = (b"x-request-id", context.request_id.encode())
    return [request, (b"x-model-version", context.version.encode())] if context.version else [request]


def _described(scope: Scope, context: RequestContext, status: int, seconds: float) -> Iterator[tuple[str, object]]:
    yield "method", scope["method"]
    yield "path", scope["path"]
    yield "status", status
    yield "milliseconds", round(seconds * 1000, 3)
    yield "protocol", context.protocol
    if context.caller is not None:
        yield "caller", context.caller
    if context.model:
        yield "model", context.model
        yield "version", context.version
        yield "rows", context.rows
