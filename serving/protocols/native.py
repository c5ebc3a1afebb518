"""The typed API of this project: one route a model, checked against the model's own contract."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ValidationError

from serving.bundle import Contract
from serving.errors import (
    Detail,
    ErrorAnswer,
    InvalidRequestError,
    TooManyRowsError,
    UnknownModelError,
    WrongContentTypeError,
)
from serving.predictor import Predictor, columns_from_rows
from serving.schemas import answer_model, request_model, to_answer


@dataclass(frozen=True)
class Served:
    """A model that answers."""

    name: str
    version: str
    predictor: Predictor


class ModelSummary(BaseModel):
    """One line of the list of models."""

    name: str
    version: str
    task: str
    target: str
    metrics: dict[str, dict[str, float]]


class ModelCard(ModelSummary):
    """All that is known of a model."""

    contract: Contract


def native_router(models: Sequence[Served], *, max_rows: int) -> APIRouter:
    """Routes of the native API.

    Args:
        models: that answer.
        max_rows: of one request.
    """
    router = APIRouter()
    _add_health(router, models)
    _add_models(router, {own.name: own for own in models})
    for own in models:
        _add_prediction(router, f"/models/{own.name}/predict", own, max_rows=max_rows)
    if len(models) == 1:
        _add_prediction(router, "/predict", models[0], max_rows=max_rows)

    @router.post("/models/{name}/predict", include_in_schema=False)
    async def predict_unknown(name: str) -> None:
        raise UnknownModelError.from_name(name, [own.name for own in models])

    return router


def _add_health(router: APIRouter, models: Sequence[Served]) -> None:
    @router.get("/live", tags=["health"], summary="The process runs")
    async def live() -> dict[str, str]:
        return {"status": "live"}

    @router.get("/ready", tags=["health"], summary="Models are loaded")
    async def ready() -> dict[str, Any]:
        return {"status": "ready", "models": {own.name: own.version for own in models}}


def _add_models(router: APIRouter, models: Mapping[str, Served]) -> None:
    @router.get("/models", tags=["models"], summary="Every model that is served")
    async def list_models() -> list[ModelSummary]:
        return [ModelSummary(**_summary(own)) for own in models.values()]

    @router.get("/models/{name}", tags=["models"], summary="Columns, metrics and lineage of a model")
    async def show_model(name: str) -> ModelCard:
        if name not in models:
            raise UnknownModelError.from_name(name, list(models))
        return ModelCard(**_summary(models[name]), contract=models[name].predictor.contract)


def _summary(own: Served) -> dict[str, Any]:
    contract = own.predictor.contract
    return {
        "name": own.name,
        "version": own.version,
        "task": contract.target.task,
        "target": contract.target.name,
        "metrics": contract.metrics,
    }


def _add_prediction(router: APIRouter, path: str, own: Served, *, max_rows: int) -> None:
    contract = own.predictor.contract
    schema = request_model(contract)
    reference = schema.model_json_schema(ref_template="#/components/schemas/{model}")
    example = {"rows": reference["properties"]["rows"]["examples"][0]}
    body = {"required": True, "content": {"application/json": {"schema": _inlined(reference), "example": example}}}
    router.add_api_route(
        path,
        _endpoint(own, schema, max_rows=max_rows),
        methods=["POST"],
        response_model=answer_model(contract),
        responses={status: {"model": ErrorAnswer} for status in (413, 415, 422)},
        openapi_extra={"requestBody": body},
        tags=[own.name],
        summary=f"Predict {contract.target.name}",
        operation_id=path.strip("/").replace("/", "_"),
    )


def _inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """The request's schema without references: OpenAPI's components hold what FastAPI itself registers only."""
    definitions = schema.pop("$defs", {})
    row = dict(schema["properties"]["rows"])
    name = row["items"].pop("$ref", "").rpartition("/")[2]
    row["items"] = definitions.get(name, row["items"])
    return {**schema, "properties": {"rows": row}}


def _endpoint(own: Served, schema: type[BaseModel], *, max_rows: int) -> Callable[[Request], Awaitable[JSONResponse]]:
    """The route's function. It parses the body itself: pydantic reads JSON bytes in one pass, FastAPI in two."""
    contract = own.predictor.contract

    async def predict(request: Request) -> JSONResponse:
        content_type = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
        if content_type != "application/json":
            raise WrongContentTypeError(f"The body must be application/json, not {content_type[:100]!r}.")
        try:
            checked: Any = schema.model_validate_json(await request.body())
        except ValidationError as error:
            raise InvalidRequestError.from_validation(error) from None
        if len(checked.rows) > max_rows:
            detail = Detail(path=["rows"], message=f"{len(checked.rows):,} rows, at most {max_rows:,}")
            raise TooManyRowsError(f"A request may have {max_rows:,} rows. Send several.", [detail])
        rows = [row.model_dump(by_alias=True) for row in checked.rows]
        predictions = own.predictor.predict(columns_from_rows(contract, rows))
        return JSONResponse(to_answer(contract, own.version, predictions))

    return predict
