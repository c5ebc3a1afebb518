"""The typed API of this project: health, the models, and predictions checked against each model's own contract.

Predictions have one route for all models; `/openapi.json` shows one for each, with its own columns (`description`).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from fastapi import APIRouter
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.types import Receive, Scope

from serving.asked import NOTHING, read_asked
from serving.bodies import decompress_body, read_body
from serving.bundle import Contract
from serving.champions import Champions
from serving.direct import Answer, Handler
from serving.errors import ErrorAnswer, NotReadyError, UnknownModelError
from serving.exchange import count_rows
from serving.media import JSON, answer_media, body_media, content_type
from serving.models import Columns, Served
from serving.reading import count_of
from serving.together import Together

# Such a body, of some 150 rows of 20 columns, is answered in a millisecond or two, and handing it to a thread costs up
# to as much again: so it is answered at once. A larger one may take a second, and so has a thread.
SMALL_BODY_BYTES = 64 * 2**10
Responses = dict[int | str, dict[str, Any]]
NOT_READY: Responses = {503: {"model": ErrorAnswer, "description": "No model is loaded."}}
UNKNOWN: Responses = {404: {"model": ErrorAnswer, "description": "There is no such model."}}


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


def native_router(models: Mapping[str, Served]) -> APIRouter:
    """Routes of the native API, save those of predictions.

    Args:
        models: name -> model; looked up for every request.
    """
    router = APIRouter()
    _add_health(router, models)
    _add_models(router, models)
    return router


def native_predictions(
    models: Mapping[str, Served], together: Together, *, max_body_bytes: int
) -> Mapping[str, Handler]:
    """Routes of predictions, for `direct`.

    Args:
        models: name -> model; looked up for every request.
        together: predicts for small bodies.
        max_body_bytes: that a compressed body may become.
    """

    async def predict(scope: Scope, receive: Receive) -> Answer:
        name = scope["path_params"].get("name")
        own = only_model(models) if name is None else find_model(models, name)
        declared, accepted, encoding = body_headers(scope)
        sent = body_media(declared)
        wanted = answer_media(accepted, sent=sent)
        asked = read_asked(scope["query_string"])
        body = await read_body(receive)
        if len(body) <= SMALL_BODY_BYTES and not encoding and not asked.explain:
            is_plain = sent == wanted == JSON and asked is NOTHING
            answer = await _answer_cells(own, body, together, scope) if is_plain else None
            if answer is not None:
                return answer, wanted
            columns = own.read(body, sent=sent, asked=asked)
            predictions = await predict_together(own, columns, together, scope)
            return own.word(columns, predictions, wanted=wanted, asked=asked), content_type(wanted)

        def answer_slowly() -> bytes:
            plain = decompress_body(body, encoding, max_bytes=max_body_bytes)
            return own.answer(plain, sent=sent, wanted=wanted, asked=asked)

        return await run_in_threadpool(answer_slowly), content_type(wanted)

    return {"/predict": predict, "/models/{name}/predict": predict}


async def _answer_cells(own: Served, body: bytes, together: Together, scope: Scope) -> bytes | None:
    """What most requests ask for; None where the body has cells that do not fit."""
    cells = own.reader.cells(body)
    if cells is None:
        return None
    n_rows = len(cells[0])
    answer = await together.share(own.answer_parts, cells, n_rows=n_rows, scope=scope)
    if answer is not None:
        count_rows(n_rows)
    return answer


async def predict_together(own: Served, columns: Columns, together: Together, scope: Scope) -> np.ndarray:
    """Predictions, [N, P], for the raw columns, [N] each, of a small request.

    Raises:
        InvalidRequestError: a prediction is not finite.
    """
    n_rows = count_of(columns)
    predictions = await together.share(own.predict_parts, columns, n_rows=n_rows, scope=scope)
    count_rows(n_rows)
    return predictions


def _add_health(router: APIRouter, models: Mapping[str, Served]) -> None:
    @router.get("/live", tags=["health"], summary="The process runs")
    async def live() -> Status:
        return Status(status="live")

    @router.get(
        "/ready",
        tags=["health"],
        summary="Models are loaded",
        responses=NOT_READY,
    )
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
        responses=UNKNOWN,
    )
    async def show_model(name: str) -> ModelCard:
        own = find_model(models, name)
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


def find_model(models: Mapping[str, Served], name: str) -> Served:
    """The model of a name, written down as the one that was asked.

    Raises:
        UnknownModelError: there is none.
    """
    own = models.get(name)
    if own is None:
        raise UnknownModelError.from_name(name, models)
    own.note()
    return own


def only_model(models: Mapping[str, Served]) -> Served:
    """The only model, written down as the one that was asked.

    Raises:
        NotReadyError: there is none.
        UnknownModelError: there are several.
    """
    if not models:
        raise NotReadyError("No model is loaded.")
    if len(models) > 1:
        raise UnknownModelError(f"Several models are served. Ask /models/<name>/predict: {', '.join(sorted(models))}.")
    own = next(iter(models.values()))
    own.note()
    return own


def body_headers(scope: Scope) -> tuple[str, str, str]:
    """Content-Type, Accept and Content-Encoding, "" where there is none; in one pass."""
    declared = encoding = ""
    accepted = []
    for name, value in scope["headers"]:
        if name == b"content-type":
            declared = value.decode("latin-1")
        elif name == b"accept":
            accepted.append(value.decode("latin-1"))
        elif name == b"content-encoding":
            encoding = value.decode("latin-1")
    return declared, ",".join(accepted), encoding
