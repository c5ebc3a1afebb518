"""The OpenAPI description: FastAPI's own of the fixed routes, and a route for each model with its columns and examples.

It is made anew for every question, so it is right for the models of that moment.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema
from starlette.routing import BaseRoute

from serving.answers.options import COVERAGE, EXPLAIN, NO_OPTIONS, TRAFFIC
from serving.bundle import Json
from serving.errors import ErrorAnswer
from serving.protocols.native.openapi_refusals import add_refusals, add_security, refusals_of_predictions
from serving.reading.media_types import ARROW, CSV, JSON, MEDIA
from serving.reading.rows import columns_from_rows
from serving.versions.served_model import ServedModel

REFERENCE = "#/components/schemas/{model}"
FASTAPIS_OWN = frozenset({"HTTPValidationError", "ValidationError"})
TEXT = {"type": "string", "description": "A header with the columns' names, and a line a row; empty when missing."}
HEADERS = {
    "X-Model-Version": {"description": "Of the model that answers.", "schema": {"type": "string"}},
    "X-Request-ID": {"description": "The request's own, or one made for it.", "schema": {"type": "string"}},
}


def describe(routes: Sequence[BaseRoute], models: Mapping[str, ServedModel], *, guarded: bool) -> dict[str, Any]:
    """The description of the whole API.

    Args:
        routes: of the application.
        models: name -> model.
        guarded: API keys are asked for.
    """
    described = get_openapi(
        title="sweepstack",
        version="1",
        description="Predictions of registered champions, each from the columns of the table that it learned from. "
        "Clients of the Open Inference Protocol v2 find the same models under /v2, and those of MLflow's scoring at "
        "/invocations.",
        routes=routes,
    )
    described["components"]["schemas"] = {
        name: schema for name, schema in described["components"]["schemas"].items() if name not in FASTAPIS_OWN
    }
    asked: list[tuple[type[BaseModel], JsonSchemaMode]] = [(ErrorAnswer, "serialization")]
    for model in models.values():
        asked += [(model.schemas.request, "validation"), (model.schemas.columns, "validation")]
        asked += [(model.schemas.answer, "serialization")]
    references, definitions = models_json_schema(asked, ref_template=REFERENCE)
    described["components"]["schemas"].update(definitions["$defs"])
    error = references[ErrorAnswer, "serialization"]
    add_refusals(described["paths"], error, guarded=guarded)
    refusals = refusals_of_predictions(error, guarded=guarded)
    for model in models.values():
        operation = _operation(
            model,
            requests=[references[form, "validation"] for form in (model.schemas.request, model.schemas.columns)],
            answer=references[model.schemas.answer, "serialization"],
            refusals=refusals,
        )
        described["paths"][f"/models/{quote(model.name)}/predict"] = {"post": operation}
        if len(models) == 1:
            described["paths"]["/predict"] = {"post": {**operation, "operationId": "predict"}}
    if guarded:
        add_security(described)
    return described


def _operation(
    model: ServedModel, *, requests: list[dict[str, Any]], answer: dict[str, Any], refusals: dict[str, Any]
) -> dict[str, Any]:
    example = model.schemas.example
    requests_by_media = {
        JSON: {"schema": {"oneOf": requests}, "example": example},
        CSV: {"schema": TEXT, "example": _csv(example["rows"])},
        ARROW: {},
    }
    answers_by_media = {JSON: {"schema": answer, **_example_answer(model)}, CSV: {"schema": TEXT}, ARROW: {}}
    return {
        "tags": [model.name],
        "summary": f"Predict {model.contract.target.name}",
        "operationId": f"predict_{model.name}",
        "parameters": _query(model),
        "requestBody": {
            "required": True,
            "content": {media: requests_by_media[media] for media in MEDIA},
        },
        "responses": {
            "200": {
                "description": "One prediction a row",
                "content": {media: answers_by_media[media] for media in MEDIA},
                "headers": HEADERS,
            },
            **refusals,
        },
    }


def _example_answer(model: ServedModel) -> dict[str, Any]:
    """What the model answers to the example."""
    return {"example": model.answer_columns(columns_from_rows(model.contract, model.schemas.example["rows"]))}


def _query(model: ServedModel) -> list[dict[str, Any]]:
    """What may stand in the query; what the model cannot answer is left out."""
    fields = []
    if model.builder.largest_coverage:
        what = "sets of labels" if model.contract.target.classes else "intervals"
        most = model.builder.largest_coverage
        said = f"The share of {what} that shall hold the truth. More than {most:.3g} needs more calibration rows."
        usual = model.builder.with_defaults(NO_OPTIONS).coverage
        schema = {"type": "number", "exclusiveMinimum": 0, "maximum": most, "default": usual}
        fields.append(_field(COVERAGE, {name: value for name, value in schema.items() if value is not None}, said))
    if model.builder.most_explained:
        said = f"Whether to say what each column adds to the answer; of at most {model.builder.most_explained:,} rows."
        fields.append(_field(EXPLAIN, {"type": "boolean", "default": False}, said))
    said = "false for rows that are made up: they are left out of what is measured of drift, and no shadow gets them."
    return [*fields, _field(TRAFFIC, {"type": "boolean", "default": True}, said)]


def _field(name: str, schema: dict[str, Any], description: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": description}


def _csv(rows: Sequence[Mapping[str, Json]]) -> str:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
