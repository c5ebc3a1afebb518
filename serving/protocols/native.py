"""The typed API of this project: health, the models, and predictions checked against each model's own contract.

Predictions have one route for all models; `/openapi.json` shows one for each, with its own columns (`description`).
"""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from serving.bodies import decompress_body
from serving.bundle import Contract
from serving.champions import Champions
from serving.errors import ErrorAnswer, NotReadyError, UnknownModelError
from serving.media import answer_media, body_media
from serving.models import Served

# Such a body is answered in less time than a thread takes to start working on it, so it is answered at once. A larger
# one may take a second; in a thread it leaves the event loop free for others.
SMALL_BODY_BYTES = 32 * 2**10


class Status(BaseModel):
    """How the server is."""

    status: str


class Readiness(Status):
    """How the server is, and which version of each model answers."""

    models: dict[str, str]


class ModelSummary(BaseModel):
    """One line of the list of models."""

    name: str
    version: str
    task: str
    target: str
    metrics: dict[str, dict[str, float]]


class ModelCard(ModelSummary):
    """All that is known of a model; `refused` says why other versions do not answer."""

    contract: Contract
    refused: dict[str, str]


def native_router(models: Mapping[str, Served], *, max_body_bytes: int) -> APIRouter:
    """Routes of the native API.

    Args:
        models: name -> model; looked up for every request.
        max_body_bytes: that a compressed body may become.
    """
    router = APIRouter()
    _add_health(router, models)
    _add_models(router, models)

    @router.post("/models/{name}/predict", include_in_schema=False)
    async def predict(name: str, request: Request) -> Response:
        return await _predict(_find(models, name), request, max_body_bytes)

    @router.post("/predict", include_in_schema=False)
    async def predict_by_the_only_one(request: Request) -> Response:
        return await _predict(_only(models), request, max_body_bytes)

    return router


def _add_health(router: APIRouter, models: Mapping[str, Served]) -> None:
    @router.get("/live", tags=["health"], summary="The process runs")
    async def live() -> Status:
        return Status(status="live")

    @router.get("/ready", tags=["health"], summary="Models are loaded", responses={503: {"model": ErrorAnswer}})
    async def ready() -> Readiness:
        if not models:
            raise NotReadyError("No model is loaded.")
        return Readiness(status="ready", models={own.name: own.version for own in models.values()})


def _add_models(router: APIRouter, models: Mapping[str, Served]) -> None:
    @router.get("/models", tags=["models"], summary="Every model that is served")
    async def list_models() -> list[ModelSummary]:
        return [ModelSummary(**_summary(own)) for own in models.values()]

    @router.get(
        "/models/{name}",
        tags=["models"],
        summary="Columns, metrics and lineage of a model",
        responses={"4XX": {"model": ErrorAnswer}},
    )
    async def show_model(name: str) -> ModelCard:
        own = _find(models, name)
        refused = models.refused(name) if isinstance(models, Champions) else {}
        return ModelCard(**_summary(own), contract=own.contract, refused=refused)


def _summary(own: Served) -> dict[str, Any]:
    contract = own.contract
    return {
        "name": own.name,
        "version": own.version,
        "task": contract.target.task,
        "target": contract.target.name,
        "metrics": contract.metrics,
    }


def _find(models: Mapping[str, Served], name: str) -> Served:
    own = models.get(name)
    if own is None:
        raise UnknownModelError.from_name(name, models)
    own.note()
    return own


def _only(models: Mapping[str, Served]) -> Served:
    if not models:
        raise NotReadyError("No model is loaded.")
    if len(models) > 1:
        raise UnknownModelError(f"Several models are served. Ask /models/<name>/predict: {', '.join(sorted(models))}.")
    own = next(iter(models.values()))
    own.note()
    return own


async def _predict(own: Served, request: Request, max_body_bytes: int) -> Response:
    """FastAPI is not asked to read the body: parsed once, in bounds, it is two times faster."""
    sent = body_media(request.headers.get("content-type", ""))
    wanted = answer_media(",".join(request.headers.getlist("accept")), sent=sent)
    encoding = request.headers.get("content-encoding", "")
    body = await request.body()

    def answer() -> bytes:
        return own.answer(decompress_body(body, encoding, max_bytes=max_body_bytes), sent=sent, wanted=wanted)

    is_small = len(body) <= SMALL_BODY_BYTES and not encoding
    return Response(answer() if is_small else await run_in_threadpool(answer), headers={"content-type": wanted})
