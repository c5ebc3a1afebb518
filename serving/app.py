"""Puts the application together: routes, limits, errors and the documentation. Nothing happens at import."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse

from serving.description import describe
from serving.errors import add_error_answers
from serving.limits import BodyLimit, SecurityHeaders
from serving.models import Served
from serving.protocols.native import native_router
from serving.settings import Settings


def create_app(models: Mapping[str, Served], settings: Settings) -> FastAPI:
    """The application that serves these models.

    Args:
        models: name -> model; looked up for every request, so the caller may put another version in its place.
        settings: limits of a request.
    """
    app = FastAPI(openapi_url=None, redirect_slashes=False)
    app.include_router(native_router(models))
    _add_documentation(app, models)
    app.add_middleware(BodyLimit, max_bytes=settings.max_body_bytes)
    app.add_middleware(SecurityHeaders)
    add_error_answers(app)
    return app


def _add_documentation(app: FastAPI, models: Mapping[str, Served]) -> None:
    @app.get("/openapi.json", include_in_schema=False)
    def show_description() -> dict[str, Any]:
        return describe(app.routes, models)

    @app.get("/docs", include_in_schema=False)
    async def show_documentation() -> HTMLResponse:
        return get_swagger_ui_html(openapi_url="openapi.json", title="sweepstack")
