"""A request and its answer while they are under way: what logs, metrics and headers say about them.

The outermost middleware opens a context for every request. Whatever works on the request, however deep and in
whichever thread, finds it by `current_request` and writes down what it knows.
"""

import re
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio

NATIVE, MLFLOW, OPEN_INFERENCE = "native", "mlflow", "open_inference"
MLFLOW_PATHS = frozenset({"/invocations", "/ping", "/health", "/version"})
UNDER_WAY = "under_way"  # in the state of a request's scope: all that have come and are not answered, itself included
CHOSEN_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")


@dataclass(slots=True)
class RequestContext:
    """What is known of a request and its answer.

    Attributes:
        request_id: that the caller gave, or was given.
        protocol: native, mlflow or open_inference.
        started: `time.perf_counter()` at its first line.
        caller: name of the API key; None where none is asked for.
        is_admin: the key is an admin's, and no browser has sent it.
        model: that was asked; "" when it was none.
        version: of the model that answers.
        rows: that were predicted.
        unfinished: the end of what still runs in a thread for it although it was given up; None: nothing does.
        error: status of what is answered, which a protocol may word by another one, or of hanging up; 0: no error.
    """

    request_id: str
    protocol: str
    started: float
    caller: str | None = None
    is_admin: bool = False
    model: str = ""
    version: str = ""
    rows: int = 0
    unfinished: "asyncio.Future[Any] | None" = None
    error: int = 0


_CURRENT: ContextVar[RequestContext | None] = ContextVar("request", default=None)


def enter_request(context: RequestContext | None) -> None:
    """Make it the current one of this task, and of the threads that work for it."""
    _CURRENT.set(context)


def current_request() -> RequestContext | None:
    """The context of the request under way; None where no request is answered, as while a model is loaded."""
    return _CURRENT.get()


def count_rows(n_rows: int) -> None:
    """Write down that so many rows of the request under way were predicted."""
    context = current_request()
    if context is not None:
        context.rows += n_rows


def protocol_of(path: str) -> str:
    """The protocol that a path belongs to."""
    if path == "/v2" or path.startswith("/v2/"):
        return OPEN_INFERENCE
    return MLFLOW if path in MLFLOW_PATHS else NATIVE
