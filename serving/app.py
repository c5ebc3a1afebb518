"""Puts the application together: routes, what stands around every request, and the description.

Nothing happens at import.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from serving.auth import Authentication
from serving.description import describe
from serving.errors import add_error_answers
from serving.headers import SecurityHeaders
from serving.keeper import Keeper
from serving.keys import Key
from serving.limits import ConcurrencyLimit, RequestLimits
from serving.models import Served
from serving.observing import Observing
from serving.operations import operations_router
from serving.page.routes import page_router
from serving.protocols.native import native_router
from serving.protocols.open_inference.routes import HEADER_LENGTH, open_inference_router
from serving.settings import Settings, is_loopback
from serving.tally import Tally
from serving.traces import telemetry


def create_app(
    models: Mapping[str, Served],
    settings: Settings,
    *,
    keys: Sequence[Key] = (),
    keeper: Keeper | None = None,
    traced: bool = False,
) -> FastAPI:
    """The application that serves these models.

    Args:
        models: name -> model; looked up for every request, so the caller may put another version in its place.
        settings: limits of a request.
        keys: of which every request must bring one; none: everybody may ask.
        keeper: of the models, and of the counts; None: they stay as they are, and are counted here alone.
        traced: a span of every request is sent to where the environment says.
    """
    tally = keeper.tally if keeper is not None else Tally()
    may_reload = bool(keys) or is_loopback(settings.host)
    app = FastAPI(openapi_url=None, redirect_slashes=False, telemetry=telemetry(traced=traced))
    app.include_router(native_router(models, max_body_bytes=settings.max_body_bytes))
    app.include_router(open_inference_router(models, settings))
    app.include_router(operations_router(models, tally, keeper=keeper, may_reload=may_reload))
    app.include_router(page_router())
    _add_description(app, models)
    _surround(app, settings, keys=keys, tally=tally)
    add_error_answers(app)
    return app


def _surround(app: FastAPI, settings: Settings, *, keys: Sequence[Key], tally: Tally) -> None:
    """From the innermost to the outermost."""
    app.add_middleware(RequestLimits, max_body_bytes=settings.max_body_bytes, seconds=settings.request_seconds)
    app.add_middleware(
        ConcurrencyLimit, at_once=settings.max_concurrent, at_once_per_key=settings.max_concurrent_per_key
    )
    if keys:
        app.add_middleware(Authentication, keys=keys)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "X-Request-ID", HEADER_LENGTH],
            expose_headers=["X-Model-Version", "X-Request-ID", HEADER_LENGTH],
        )
    app.add_middleware(Observing, tally=tally)
    app.add_middleware(SecurityHeaders, is_shared=bool(settings.cors_origins))


def _add_description(app: FastAPI, models: Mapping[str, Served]) -> None:
    @app.get("/openapi.json", include_in_schema=False)
    def show_description() -> dict[str, Any]:
        return describe(app.routes, models)
