"""The OpenAPI description: FastAPI's own of the fixed routes, and a route for each model with its columns and examples.

It is made anew for every question, so it is right for the models of that moment.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema
from starlette.routing import BaseRoute

from serving.asked import COVERAGE, EXPLAIN, NOTHING
from serving.errors import ErrorAnswer
from serving.models import Served
from serving.predictor import columns_from_rows

REFERENCE = "#/components/schemas/{model}"
REFUSALS = {
    "413": "More rows, or more bytes, than the server takes.",
    "415": "The body is not declared as application/json.",
    "422": "The body is no JSON, or does not fit the columns, or the query asks for what the model cannot say; "
    "`details` has the path to each wrong value.",
}


def describe(routes: Sequence[BaseRoute], models: Mapping[str, Served]) -> dict[str, Any]:
    """The description of the whole API.

    Args:
        routes: of the application.
        models: name -> model.
    """
    described = get_openapi(
        title="sweepstack",
        version="1",
        description="Predictions of registered champions, each from the columns of the table that it learned from. "
        "Clients of the Open Inference Protocol v2 find the same models under /v2.",
        routes=routes,
    )
    asked: list[tuple[type[BaseModel], JsonSchemaMode]] = [(ErrorAnswer, "serialization")]
    for own in models.values():
        asked += [(own.schemas.request, "validation"), (own.schemas.columns, "validation")]
        asked += [(own.schemas.answer, "serialization")]
    references, definitions = models_json_schema(asked, ref_template=REFERENCE)
    described.setdefault("components", {}).setdefault("schemas", {}).update(definitions["$defs"])
    error = references[ErrorAnswer, "serialization"]
    for own in models.values():
        operation = _operation(
            own,
            requests=[references[form, "validation"] for form in (own.schemas.request, own.schemas.columns)],
            answer=references[own.schemas.answer, "serialization"],
            error=error,
        )
        described["paths"][f"/models/{quote(own.name)}/predict"] = {"post": operation}
        if len(models) == 1:
            described["paths"]["/predict"] = {"post": {**operation, "operationId": "predict"}}
    return described


def _operation(
    own: Served, *, requests: list[dict[str, Any]], answer: dict[str, Any], error: dict[str, Any]
) -> dict[str, Any]:
    refusals = {
        status: {"description": text, "content": {"application/json": {"schema": error}}}
        for status, text in REFUSALS.items()
    }
    content = {"schema": answer, **_example_answer(own)}
    return {
        "tags": [own.name],
        "summary": f"Predict {own.contract.target.name}",
        "operationId": f"predict_{own.name}",
        "parameters": _query(own),
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"oneOf": requests}, "example": own.schemas.example}},
        },
        "responses": {
            "200": {"description": "One prediction a row", "content": {"application/json": content}},
            **refusals,
        },
    }


def _example_answer(own: Served) -> dict[str, Any]:
    """What the model answers to the example."""
    return {"example": own.answer_columns(columns_from_rows(own.contract, own.schemas.example["rows"]))}


def _query(own: Served) -> list[dict[str, Any]]:
    """What may be asked for beside predictions; what the model cannot answer is left out."""
    fields = []
    if own.more.largest_coverage:
        what = "sets of labels" if own.contract.target.classes else "intervals"
        most = own.more.largest_coverage
        said = f"The share of {what} that shall hold the truth. More than {most:.3g} needs more calibration rows."
        usual = own.more.usual(NOTHING).coverage
        schema = {"type": "number", "exclusiveMinimum": 0, "maximum": most, "default": usual}
        fields.append(_field(COVERAGE, {name: value for name, value in schema.items() if value is not None}, said))
    if own.more.most_explained:
        said = f"Whether to say what each column adds to the answer; of at most {own.more.most_explained:,} rows."
        fields.append(_field(EXPLAIN, {"type": "boolean", "default": False}, said))
    return fields


def _field(name: str, schema: dict[str, Any], description: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": description}
