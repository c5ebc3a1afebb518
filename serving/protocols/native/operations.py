"""Routes for whoever runs the server: metrics, and a new look at a model's alias. Health is part of each protocol."""

from collections.abc import Mapping
from typing import Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel
from starlette.datastructures import Headers

from serving.background import BackgroundThreads
from serving.bundle import BundleError
from serving.errors import ErrorAnswer, ForbiddenError, NotReloadedError, StoreAwayError, UnknownModelError
from serving.monitoring.counters import Counters
from serving.request_context import current_request
from serving.scheduling.thread_pool import ThreadPool
from serving.versions.served_model import ServedModel
from serving.versions.store import AwayError

# "admins": keys are asked for. "this machine": none are, and no other machine reaches the server.
Reloading = Literal["admins", "this machine", "nobody"]
FROM_A_PROXY = ("forwarded", "x-forwarded-for", "x-real-ip", "via")
OPEN_METRICS = "application/openmetrics-text"  # which Prometheus asks for


class Reloaded(BaseModel):
    """Which version of a model answers after a new look at its alias."""

    model: str
    version: str


def metrics_router(models: Mapping[str, ServedModel], counters: Counters, pool: ThreadPool) -> APIRouter:
    """The route of the metrics.

    Args:
        models: name -> model; looked up for every request.
        counters: of this process; knows those of the others.
        pool: of threads in which they are collected.
    """
    router = APIRouter(tags=["operations"])

    def collect(*, is_open: bool) -> tuple[bytes, str]:
        from serving.protocols.native.prometheus import show_metrics  # noqa: PLC0415  many servers are never asked

        return show_metrics(counters, models, is_open=is_open)

    @router.get("/metrics", summary="Counts for Prometheus", response_class=Response, responses=METRICS)
    async def show(request: Request) -> Response:
        is_open = OPEN_METRICS in request.headers.get("accept", "")
        text, media = await pool.run(lambda: collect(is_open=is_open))
        return Response(text, headers={"content-type": media})

    return router


def reload_router(
    models: Mapping[str, ServedModel], background: BackgroundThreads, pool: ThreadPool, *, reloading: Reloading
) -> APIRouter:
    """The route that looks an alias up.

    Args:
        models: name -> model; looked up for every request.
        background: looks them up.
        pool: of threads in which it does, and may wait for a store.
        reloading: who may ask for it.
    """
    router = APIRouter(tags=["operations"])

    def look_up(name: str) -> Reloaded:
        try:
            if not background.knows(name):
                raise UnknownModelError.from_name(name, models)
            background.reload(name)
        except AwayError as error:
            raise StoreAwayError(f"The store of models does not answer. {_what_goes_on(models, name)}") from error
        except BundleError as error:
            raise NotReloadedError(f"{error.reason} {_what_goes_on(models, name)}") from error
        models[name].note()
        return Reloaded(model=name, version=models[name].version)

    @router.post("/models/{name}/reload", summary="Look up the champion now", responses=REFUSALS)
    async def reload(name: str, request: Request) -> Reloaded:
        _check_caller(request.headers, reloading)
        return await pool.run(lambda: look_up(name))

    return router


def _what_goes_on(models: Mapping[str, ServedModel], name: str) -> str:
    return f"Version {models[name].version} goes on." if name in models else "No version of it is served."


def _check_caller(headers: Headers, reloading: Reloading) -> None:
    """Browsers ask a server of this machine for any page that wants it, without a look at who has written the page.

    They name the page's origin with every POST. One that is the server's own proves nothing: whoever has a name may let
    it lead here. A proxy on this machine asks for others, which most say, and some only if told to.

    Raises:
        ForbiddenError: it is nobody who may reload.
    """
    context = current_request()
    if reloading == "admins" and not (context is not None and context.is_admin):
        raise ForbiddenError("This needs the key of an admin, sent as Authorization: Bearer <key>.")
    if reloading == "nobody":
        raise ForbiddenError("Models are reloaded with an admin's key only, and this server asks for none.")
    passed_on = next((name for name in FROM_A_PROXY if name in headers), None)
    if reloading == "this machine" and passed_on is not None:
        raise ForbiddenError(
            f"Without keys this machine alone may reload models; a proxy has passed it on ({passed_on})."
        )
    is_of_a_page = "origin" in headers or headers.get("sec-fetch-site", "none") != "none"
    if reloading == "this machine" and is_of_a_page:
        raise ForbiddenError("No web page may reload a model where no key is asked for. Ask from a shell or a program.")


TEXT = {"schema": {"type": "string"}}
METRICS: dict[int | str, dict[str, object]] = {
    200: {"content": {"text/plain": TEXT, OPEN_METRICS: TEXT}},
    504: {"model": ErrorAnswer, "description": "There was no answer in time."},
}
REFUSALS: dict[int | str, dict[str, object]] = {status: {"model": ErrorAnswer} for status in (403, 404, 409, 502)}
