"""What can go wrong with a request, and the one map from it to HTTP.

ServingError
├── UnauthorizedError      401  no valid API key
├── ForbiddenError         403  a key whose role does not suffice
├── UnknownModelError      404  no model of that name
├── UnknownVersionError    404  a version that is not the one served
├── NotAcceptableError     406  no media type that Accept asks for
├── BodyTooSlowError       408  a body that does not come within SERVING_REQUEST_SECONDS
├── BodyTooLargeError      413  more bytes than SERVING_MAX_BODY_BYTES
├── TooManyRowsError       413  more rows than SERVING_MAX_ROWS
├── WrongContentTypeError  415  a body of no media type that is read
├── InvalidRequestError    422  not what it is declared as, or rows that do not fit the contract
├── NotReloadedError       409  a version that must not be served
├── TooManyAtOnceError     429  more requests at once than SERVING_MAX_CONCURRENT_PER_KEY, with Retry-After
├── StoreAwayError         502  the store of models does not answer
├── NotReadyError          503  no model is loaded
├── OverloadedError        503  more requests at once than SERVING_MAX_CONCURRENT, with Retry-After
└── PredictionTooSlowError 504  no answer within SERVING_REQUEST_SECONDS

Every answer that is not 2xx is {"error": {"code", "message", "details": [{"path", "message"}]}}. Below /v2 it is
{"error": "message and details in one text"}, as the Open Inference Protocol has it; on MLflow's paths {"error_code",
"message"} with 400 for 422, and plain text for 415, as MLflow has them. No file path and no stack trace ever leaves the
process. Codes of paths and methods that do not exist are those of HTTP: `not_found`,
`method_not_allowed`; `internal` (500) is a defect of ours, whose trace is in the server's log. What is no HTTP at all
is answered 400 in plain text, and hung up on (`connection`).
"""

from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from difflib import get_close_matches
from http import HTTPStatus
from typing import Any, ClassVar

from fastapi import Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from serving.request_context import MLFLOW, NATIVE, OPEN_INFERENCE, current_request

HUNG_UP = 499  # no answer: the caller did, before there was one
MOST_NAME = 100  # characters of an unknown name that are repeated in an answer
MOST_IN_ONE_TEXT = 10  # details, where an error is one text
# What MLflow calls them; the others are a BAD_REQUEST.
MLFLOW_CODES = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "ENDPOINT_NOT_FOUND",
    429: "REQUEST_LIMIT_EXCEEDED",
    500: "INTERNAL_ERROR",
    503: "TEMPORARILY_UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


class Detail(BaseModel):
    """One thing that is wrong, and the path to it in the body."""

    path: list[str | int]
    message: str


class Problem(BaseModel):
    """Why a request was refused."""

    code: str
    message: str
    details: list[Detail] = []


class ErrorAnswer(BaseModel):
    """The body of every answer that is not 2xx."""

    error: Problem


class ServingError(Exception):
    """A request that cannot be answered; the message is for the caller.

    Attributes:
        details: what is wrong where.
        headers: of the answer.
    """

    status: ClassVar[int]
    code: ClassVar[str]

    def __init__(self, message: str, details: Sequence[Detail] = ()) -> None:
        super().__init__(message)
        self.details = list(details)
        self.headers: dict[str, str] = {}


class UnauthorizedError(ServingError):
    """There is no valid API key."""

    status = 401
    code = "unauthorized"


class ForbiddenError(ServingError):
    """The key's role does not suffice."""

    status = 403
    code = "forbidden"


class UnknownModelError(ServingError):
    """No model of that name is served."""

    status = 404
    code = "unknown_model"

    @classmethod
    def from_name(cls, name: str, known: Iterable[str]) -> "UnknownModelError":
        """Name the nearest models that there are."""
        names = sorted(known)
        near = get_close_matches(name[:MOST_NAME], names, n=3)
        hint = f"Did you mean {' or '.join(near)}?" if near else f"Served are: {', '.join(names) or 'none'}."
        return cls(f"There is no model {name[:MOST_NAME]!r}. {hint}")

    @classmethod
    def from_refused(cls, name: str, refused: Mapping[str, str]) -> "UnknownModelError":
        """Say why none of its versions is served."""
        reasons = " ".join(f"Version {version}: {reason}" for version, reason in refused.items())
        return cls(f"No version of {name!r} is served. {reasons}")


class UnknownVersionError(ServingError):
    """The version that was asked for is not the one that answers."""

    status = 404
    code = "unknown_version"

    @classmethod
    def from_version(cls, version: str, name: str, *, served: str) -> "UnknownVersionError":
        """Name the version that answers."""
        return cls(f"Version {version[:MOST_NAME]!r} of {name!r} is not served. Version {served} is.")


class NotAcceptableError(ServingError):
    """The answer cannot be written in a media type that the caller accepts."""

    status = 406
    code = "not_acceptable"


class BodyTooSlowError(ServingError):
    """The body does not come in time."""

    status = 408
    code = "body_too_slow"


class BodyTooLargeError(ServingError):
    """The body has more bytes than allowed."""

    status = 413
    code = "body_too_large"


class TooManyRowsError(ServingError):
    """The request has more rows than allowed."""

    status = 413
    code = "too_many_rows"

    @classmethod
    def from_limit(cls, max_rows: int, detail: Detail) -> "TooManyRowsError":
        """Say how many a request may have; the detail says where there are more."""
        return cls(f"A request may have {max_rows:,} rows. Send several.", [detail])


class WrongContentTypeError(ServingError):
    """The body is not declared as a media type that is read."""

    status = 415
    code = "wrong_content_type"


class InvalidRequestError(ServingError):
    """The body is not what it is declared as, or does not fit the model's contract."""

    status = 422
    code = "invalid_request"


class NotReloadedError(ServingError):
    """The version that an alias names must not be served."""

    status = 409
    code = "not_reloaded"


class StoreAwayError(ServingError):
    """The store of models does not answer."""

    status = 502
    code = "store_away"


class TooManyAtOnceError(ServingError):
    """One caller has as many requests in work as one may have."""

    status = 429
    code = "too_many_at_once"


class OverloadedError(ServingError):
    """All callers together have as many requests in work as there may be."""

    status = 503
    code = "overloaded"


class PredictionTooSlowError(ServingError):
    """There is no answer in time."""

    status = 504
    code = "prediction_too_slow"


class NotReadyError(ServingError):
    """No model is loaded."""

    status = 503
    code = "not_ready"


def error_answer(error: ServingError) -> Response:
    """The answer to a request that cannot be answered otherwise."""
    answer = _answer(error.status, Problem(code=error.code, message=str(error), details=error.details))
    answer.headers.update(error.headers)
    return answer


def defect_answer() -> Response:
    """The answer when the server itself fails: what failed is in its log, and nowhere else."""
    return _answer(500, Problem(code="internal", message="The server failed on this request. Its log says why."))


def answer_to(error: Exception) -> Response:
    """The answer to one of `REFUSALS`."""
    if isinstance(error, ServingError):
        return error_answer(error)
    if isinstance(error, HTTPException):
        return _http_answer(error)
    return Response(status_code=HUNG_UP)  # within its own body: nobody reads this


async def _handle(_: Request, error: Exception) -> Response:
    return answer_to(error)


def _http_answer(error: HTTPException) -> Response:
    """Starlette's own: an unknown path, a method that a path does not take."""
    phrase = HTTPStatus(error.status_code).phrase
    problem = Problem(code=phrase.lower().replace(" ", "_"), message=f"{phrase}. See /docs for what there is.")
    answer = _answer(error.status_code, problem)
    answer.headers.update(error.headers or {})
    if answer.headers.get("Allow") == "GET":
        answer.headers["Allow"] = "GET, HEAD"  # which the route does not know of (`head_as_get`)
    return answer


# What is no defect of ours; for FastAPI, and for what answers beside its routes (`direct_routes`).
REFUSALS = (ServingError, HTTPException, ClientDisconnect)
Handlers = dict[int | type[Exception], Callable[[Request, Any], Coroutine[Any, Any, Response]]]
HANDLERS: Handlers = dict.fromkeys(REFUSALS, _handle)


def _answer(status: int, problem: Problem) -> Response:
    context = current_request()
    protocol = NATIVE
    if context is not None:
        protocol, context.error = context.protocol, status
    if protocol == OPEN_INFERENCE:
        return JSONResponse({"error": _in_one_text(problem)}, status_code=status)
    if protocol == MLFLOW:
        return _mlflow_answer(status, _in_one_text(problem))
    return JSONResponse(ErrorAnswer(error=problem).model_dump(), status_code=status)


def _mlflow_answer(status: int, message: str) -> Response:
    if status == WrongContentTypeError.status:
        return PlainTextResponse(message, status_code=status)
    if status == InvalidRequestError.status:
        status = 400
    return JSONResponse({"error_code": MLFLOW_CODES.get(status, "BAD_REQUEST"), "message": message}, status_code=status)


def _in_one_text(problem: Problem) -> str:
    shown = [f"{_path_text(detail.path)}{detail.message}" for detail in problem.details[:MOST_IN_ONE_TEXT]]
    n_more = len(problem.details) - len(shown)
    details = "; ".join([*shown, *([f"and {n_more} more"] if n_more else [])])
    end = "" if details.endswith("?") else "."
    return f"{problem.message} {details}{end}" if details else problem.message


def _path_text(path: Sequence[str | int]) -> str:
    """A path as one would write it in Python: inputs['age'][3]."""
    return f"{path[0]}{''.join(f'[{step!r}]' for step in path[1:])}: " if path else ""
