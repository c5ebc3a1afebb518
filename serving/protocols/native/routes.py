"""The typed API of this project: health, the models, and predictions checked against each model's own contract.

Predictions have one route for all models; `/openapi.json` shows one for each, with its own columns (`openapi`).
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.types import Receive, Scope

from serving.answers.options import NO_OPTIONS, read_options
from serving.bundle import Column, Contract, Lineage, Target
from serving.errors import ErrorAnswer, NotReadyError, UnknownModelError
from serving.event_loop_budget import SMALL_BODY_BYTES
from serving.http.bodies import body_headers, read_body
from serving.http.direct_routes import Answer, Handler
from serving.reading.media_types import JSON, answer_media, body_media, content_type, is_at_hand
from serving.reading.request_reader import RequestReader, count_of
from serving.scheduling.dispatch import Dispatcher, WriteAnswer
from serving.versions.champions import Champions
from serving.versions.served_model import Columns, ServedModel, find_model, only_model

Responses = dict[int | str, dict[str, Any]]
NOT_READY: Responses = {503: {"model": ErrorAnswer, "description": "No model is loaded."}}
UNKNOWN: Responses = {404: {"model": ErrorAnswer, "description": "There is no such model."}}


class Status(BaseModel):
    """How the server is."""

    status: str


class Readiness(Status):
    """How the server is, and which version of each model answers; where keys are asked for, `Status` alone is told."""

    models: dict[str, str]


class ModelSummary(BaseModel):
    """One line of the list of models."""

    name: str
    version: str
    task: str
    target: str
    metrics: dict[str, dict[str, float]]


class CalibrationCard(BaseModel):
    """How a model was calibrated, without the scores of single rows."""

    method: str
    rows: int
    temperature: float
    log_loss_before: float | None
    log_loss_after: float | None


class ContractCard(BaseModel):
    """A contract without what it holds of single rows, who may be people: golden ones, background and scores."""

    format_version: int
    name: str
    columns: tuple[Column, ...]
    target: Target
    metrics: dict[str, dict[str, float]]
    lineage: Lineage
    calibration: CalibrationCard | None
    onnx_sha256: str
    opset: int
    notes: dict[str, Any]

    @classmethod
    def of(cls, contract: Contract) -> "ContractCard":
        """What may be told of a contract."""
        told = dict(contract)
        if contract.calibration is not None:
            conformal = contract.calibration.conformal
            told["calibration"] = CalibrationCard(
                **dict(contract.calibration), method=conformal.method, rows=conformal.rows
            )
        return cls(**told)


class ModelCard(ModelSummary):
    """What is told of a model.

    Attributes:
        contract: columns, target and lineage.
        largest_coverage: that `?coverage=` may ask for; 0: the model was not calibrated.
        most_explained: rows of one request with `?explain=true`; 0: the model cannot explain.
        refused: version -> why it does not answer.
    """

    contract: ContractCard
    largest_coverage: float
    most_explained: int
    refused: dict[str, str]


def native_router(models: Mapping[str, ServedModel], *, guarded: bool) -> APIRouter:
    """Routes of the native API, save those of predictions.

    Args:
        models: name -> model; looked up for every request.
        guarded: API keys are asked for, but not by `/ready`, which then tells of no model.
    """
    router = APIRouter()
    _add_health(router, models, guarded=guarded)
    _add_models(router, models)
    return router


def native_predictions(models: Mapping[str, ServedModel], dispatcher: Dispatcher) -> Mapping[str, Handler]:
    """Routes of predictions, for `direct_routes`.

    Args:
        models: name -> model; looked up for every request.
        dispatcher: answers, on the event loop or in a thread.
    """

    async def predict(scope: Scope, receive: Receive) -> Answer:
        name = scope["path_params"].get("name")
        model = only_model(models) if name is None else find_model(models, name)
        declared, accepted, encoding = body_headers(scope)
        sent = body_media(declared)
        wanted = answer_media(accepted, sent=sent)
        options = read_options(scope["query_string"])
        if not options.traffic:
            model = model.unsampled()
        body = await read_body(receive)
        if sent == wanted == JSON and options is NO_OPTIONS and not encoding and len(body) <= SMALL_BODY_BYTES:
            answer = await dispatcher.answer_cells(model, body, scope)
            if answer is not None:
                return answer, wanted

        def read(plain: bytes, reader: RequestReader) -> tuple[Columns, WriteAnswer[bytes]]:
            columns = reader.read(plain, sent)
            if options is not NO_OPTIONS:
                model.builder.check(options, count_of(columns))
            return columns, partial(model.write_answer, columns, media_type=wanted, options=options)

        is_heavy = options.explain or not (is_at_hand(sent) and is_at_hand(wanted))
        return await dispatcher.answer(model, body, encoding, scope, read, is_heavy=is_heavy), content_type(wanted)

    return {"/predict": predict, "/models/{name}/predict": predict}


def _add_health(router: APIRouter, models: Mapping[str, ServedModel], *, guarded: bool) -> None:
    @router.get("/live", tags=["health"], summary="The process runs")
    async def live() -> Status:
        return Status(status="live")

    @router.get(
        "/ready",
        tags=["health"],
        summary="Models are loaded",
        response_model=Status if guarded else Readiness,
        responses=NOT_READY,
    )
    async def ready() -> Status:
        if not models:
            raise NotReadyError("No model is loaded.")
        if guarded:
            return Status(status="ready")
        return Readiness(status="ready", models={model.name: model.version for model in models.values()})


def _add_models(router: APIRouter, models: Mapping[str, ServedModel]) -> None:
    @router.get("/models", tags=["models"], summary="Every model that is served")
    async def list_models() -> list[ModelSummary]:
        return [ModelSummary(**_summary(model)) for model in models.values()]

    @router.get(
        "/models/{name}",
        tags=["models"],
        summary="Columns, metrics and lineage of a model",
        responses=UNKNOWN,
    )
    async def show_model(name: str) -> ModelCard:
        refused = models.refused(name) if isinstance(models, Champions) else {}
        if refused and name not in models:
            raise UnknownModelError.from_refused(name, refused)
        model = find_model(models, name)
        return ModelCard(
            **_summary(model),
            contract=ContractCard.of(model.contract),
            largest_coverage=model.builder.largest_coverage,
            most_explained=model.builder.most_explained,
            refused=refused,
        )


def _summary(model: ServedModel) -> dict[str, Any]:
    contract = model.contract
    return {
        "name": model.name,
        "version": model.version,
        "task": contract.target.task,
        "target": contract.target.name,
        "metrics": contract.metrics,
    }
