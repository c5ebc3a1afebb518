"""Puts the application together: routes, what stands around every request, and the description.

Nothing happens at import.
"""

from collections.abc import Iterable, Iterator, Mapping

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.background import BackgroundThreads
from serving.errors import HANDLERS
from serving.http.auth import Authentication
from serving.http.direct_routes import DirectRoutes
from serving.http.head_as_get import HeadAsGet
from serving.http.instrumentation import Instrumentation
from serving.http.limits import ConcurrencyLimit, RequestLimits
from serving.http.security_headers import defaults
from serving.keys import KeyFile
from serving.monitoring.counters import Counters
from serving.monitoring.traces import telemetry
from serving.page.routes import page_router
from serving.protocols.mlflow_scoring.routes import mlflow_scoring_predictions, mlflow_scoring_router
from serving.protocols.native.openapi import describe
from serving.protocols.native.operations import Reloading, metrics_router, reload_router
from serving.protocols.native.routes import native_predictions, native_router
from serving.protocols.open_inference.routes import HEADER_LENGTH, open_inference_router
from serving.scheduling.dispatch import Dispatcher
from serving.scheduling.micro_batching import MOST_REQUESTS, MicroBatcher
from serving.scheduling.thread_pool import ThreadPool
from serving.settings import Settings, is_loopback
from serving.versions.served_model import ServedModel


def create_app(
    models: Mapping[str, ServedModel],
    settings: Settings,
    *,
    keys: KeyFile | None = None,
    background: BackgroundThreads | None = None,
    traced: bool = False,
    pool: ThreadPool | None = None,
) -> ASGIApp:
    """The application that serves these models.

    Args:
        models: name -> model; looked up for every request, so the caller may put another version in its place.
        settings: limits of a request.
        keys: of which every request must bring one; None: everybody may ask.
        background: looks for versions and shares counts; None: models stay as they are, and are counted here alone.
        traced: a span of every request is sent to where the environment says.
        pool: of threads, for what takes long; None: the application has its own.
    """
    counters = background.counters if background is not None else Counters()
    # Who waits for others counts as in work: they must not take the slots of those that work long.
    n_slots = min(settings.max_concurrent, settings.max_concurrent_per_key)
    batcher = MicroBatcher(at_most=min(MOST_REQUESTS, n_slots // 2))
    pool = pool or ThreadPool()
    side_pool = pool.apart()  # for what is looked at, while predictions keep the other one busy
    dispatcher = Dispatcher(batcher, pool, max_body_bytes=settings.max_body_bytes)
    reloading: Reloading = "admins" if keys is not None else "this machine" if is_loopback(settings.host) else "nobody"
    app = FastAPI(
        openapi_url=None,
        redirect_slashes=False,
        telemetry=telemetry(traced=traced),
        exception_handlers={**HANDLERS, Exception: _leave},
    )
    app.include_router(native_router(models, guarded=keys is not None))
    app.include_router(mlflow_scoring_router(models))
    app.include_router(open_inference_router(models, dispatcher))
    app.include_router(metrics_router(models, counters, side_pool))
    if background is not None:
        app.include_router(reload_router(models, background, pool.apart(), reloading=reloading))
    app.include_router(page_router())
    _add_description(app, models, side_pool, guarded=keys is not None)
    predictions = {
        **native_predictions(models, dispatcher),
        **mlflow_scoring_predictions(models, dispatcher),
    }
    layers = [
        Middleware(HeadAsGet),
        Middleware(DirectRoutes, routes=predictions, traced=traced),
        *_layers(settings, keys=keys, counters=counters, traced=traced),
    ]
    if not traced:
        return _surround(app, layers)
    for layer in layers:  # FastAPI must be around them, so that its spans are
        app.add_middleware(layer.cls, *layer.args, **layer.kwargs)
    return app


def _layers(settings: Settings, *, keys: KeyFile | None, counters: Counters, traced: bool) -> Iterator[Middleware]:
    """From the innermost to the outermost."""
    yield Middleware(RequestLimits, max_body_bytes=settings.max_body_bytes, seconds=settings.request_seconds)
    yield Middleware(ConcurrencyLimit, at_once=settings.max_concurrent, at_once_per_key=settings.max_concurrent_per_key)
    if keys is not None:
        yield Middleware(Authentication, keys=keys)
    if settings.cors_origins:
        yield Middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "HEAD", "POST"],
            allow_headers=["Authorization", "Content-Type", "X-Request-ID", HEADER_LENGTH],
            expose_headers=["Retry-After", "X-Model-Version", "X-Request-ID", HEADER_LENGTH],
        )
    headers = defaults(is_shared=bool(settings.cors_origins))
    yield Middleware(Instrumentation, counters=counters, headers=headers, traced=traced)


def _surround(app: ASGIApp, layers: Iterable[Middleware]) -> ASGIApp:
    """FastAPI stays inside: its own outermost layers cost as much as reading a row, and would do nothing here."""
    for layer in layers:
        app = layer.cls(app, *layer.args, **layer.kwargs)
    return app


async def _leave(_: Request, __: Exception) -> Response:
    """A defect: FastAPI raises it again once it is answered, which is done around it (`instrumentation`)."""
    return _Unsaid()


class _Unsaid(Response):
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send nothing."""


def _add_description(app: FastAPI, models: Mapping[str, ServedModel], pool: ThreadPool, *, guarded: bool) -> None:
    @app.get("/openapi.json", include_in_schema=False)
    async def show_description() -> Response:
        return await pool.run(lambda: JSONResponse(describe(app.routes, models, guarded=guarded)))
