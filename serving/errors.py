"""What can go wrong with a request, and the one map from it to HTTP.

ServingError
├── UnknownModelError      404  no model of that name
├── BodyTooLargeError      413  more bytes than SERVING_MAX_BODY_BYTES
├── TooManyRowsError       413  more rows than SERVING_MAX_ROWS
├── WrongContentTypeError  415  not application/json
└── InvalidRequestError    422  not JSON, or JSON that does not fit the contract

Every answer to an error is {"error": {"code", "message", "details": [{"path", "message"}]}}; no file path and no
stack trace ever leaves the process.
"""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, ClassVar

from pydantic import BaseModel, ValidationError

MOST_DETAILS = 100  # the answer to a million wrong cells must stay readable


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
    """A request that cannot be answered; the message is for the caller."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal"

    def __init__(self, message: str, details: Sequence[Detail] = ()) -> None:
        super().__init__(message)
        self.details = list(details)

    def to_answer(self) -> dict[str, Any]:
        """The body of the answer."""
        problem = Problem(code=self.code, message=str(self), details=self.details)
        return ErrorAnswer(error=problem).model_dump()


class UnknownModelError(ServingError):
    """No model of that name is served."""

    status = 404
    code = "unknown_model"

    @classmethod
    def from_name(cls, name: str, known: Sequence[str]) -> "UnknownModelError":
        """Name the nearest models that there are."""
        near = get_close_matches(name, known, n=3)
        hint = f" Did you mean {', '.join(near)}?" if near else f" Served are: {', '.join(known)}."
        return cls(f"There is no model {name[:100]!r}.{hint}")


class BodyTooLargeError(ServingError):
    """The body has more bytes than allowed."""

    status = 413
    code = "body_too_large"


class TooManyRowsError(ServingError):
    """The request has more rows than allowed."""

    status = 413
    code = "too_many_rows"


class WrongContentTypeError(ServingError):
    """The body is not declared as JSON."""

    status = 415
    code = "wrong_content_type"


class InvalidRequestError(ServingError):
    """The body is no JSON, or does not fit the model's contract."""

    status = 422
    code = "invalid_request"

    @classmethod
    def from_validation(cls, error: ValidationError) -> "InvalidRequestError":
        """Every wrong field with its path."""
        details = [
            Detail(path=list(own["loc"]), message=own["msg"]) for own in error.errors(include_url=False)[:MOST_DETAILS]
        ]
        count = error.error_count()
        return cls(f"{count} {'value does' if count == 1 else 'values do'} not fit the model's contract.", details)
