"""Puts the application together: models, routes, limits and errors. Nothing happens at import."""

from collections.abc import Sequence
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from serving.errors import ErrorAnswer, Problem, ServingError
from serving.limits import BodyLimit, SecurityHeaders
from serving.protocols.native import Served, native_router
from serving.settings import Settings


def create_app(models: Sequence[Served], settings: Settings) -> FastAPI:
    """The application that serves these models."""
    app = FastAPI(
        title="sweepstack",
        description="Predictions of registered champions, each from the columns of the table it learned from.",
        responses={"4XX": {"model": ErrorAnswer}},
    )
    app.include_router(native_router(models, max_rows=settings.max_rows))
    app.add_middleware(BodyLimit, max_bytes=settings.max_body_bytes)
    app.add_middleware(SecurityHeaders)
    app.add_exception_handler(ServingError, _answer_serving_error)
    app.add_exception_handler(HTTPException, _answer_http_error)
    return app


async def _answer_serving_error(_: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, ServingError):
        raise error
    return JSONResponse(error.to_answer(), status_code=error.status)


async def _answer_http_error(_: Request, error: Exception) -> JSONResponse:
    """Starlette's own: an unknown path, a method that a path does not take."""
    if not isinstance(error, HTTPException):
        raise error
    phrase = HTTPStatus(error.status_code).phrase
    problem = Problem(code=phrase.lower().replace(" ", "_"), message=f"{phrase}. See /docs for what there is.")
    answer = ErrorAnswer(error=problem).model_dump()
    return JSONResponse(answer, status_code=error.status_code, headers=error.headers)
