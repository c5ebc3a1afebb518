"""MLflow's scoring protocol, as `mlflow models serve` speaks it, for the clients that there are.

The one model that is served answers; where there are several, each has the native API and the Open Inference Protocol.
What is asked for in a query (`options`) has no place in these answers and is passed over, as MLflow passes it over.
The protocol is described by MLflow's documentation, so its routes are not part of `/openapi.json`. `errors` knows the
form of its errors: that of MLflow, without the trace and the data that MLflow sends along.
"""

from collections.abc import Mapping
from functools import partial

import msgspec
import numpy as np
from fastapi import APIRouter, Response
from starlette.types import Receive, Scope

from serving.answers.tables import to_table
from serving.errors import WrongContentTypeError
from serving.http.bodies import body_headers, read_body
from serving.http.direct_routes import Answer, Handler
from serving.protocols.mlflow_scoring.request import read_invocation
from serving.reading.media_types import CSV, JSON, MOST_SHOWN, shown_media, split_content_type
from serving.reading.request_reader import RequestReader
from serving.scheduling.dispatch import Dispatcher, WriteAnswer
from serving.versions.served_model import Columns, ServedModel, only_model

VERSION = "3.17.2"  # of MLflow, whose answers the tests compare with these
HEALTHY = "\n"


def mlflow_scoring_router(models: Mapping[str, ServedModel]) -> APIRouter:
    """Routes of the protocol, save that of predictions.

    Args:
        models: name -> model; looked up for every request.
    """
    router = APIRouter(include_in_schema=False)

    async def ping() -> Response:
        return Response(HEALTHY, status_code=200 if models else 404, media_type=JSON)

    router.add_api_route("/ping", ping, methods=["GET"])
    router.add_api_route("/health", ping, methods=["GET"])

    @router.get("/version")
    async def show_version() -> Response:
        return Response(VERSION, media_type=JSON)

    return router


def mlflow_scoring_predictions(models: Mapping[str, ServedModel], dispatcher: Dispatcher) -> Mapping[str, Handler]:
    """The route of predictions, for `direct_routes`.

    Args:
        models: name -> model; looked up for every request.
        dispatcher: answers, on the event loop or in a thread.
    """

    async def invoke(scope: Scope, receive: Receive) -> Answer:
        model = only_model(models)
        declared, _, encoding = body_headers(scope)
        media = _body_media(declared)

        def read(body: bytes, reader: RequestReader) -> tuple[Columns, WriteAnswer[bytes]]:
            return read_invocation(body, media, reader), partial(_write_answer, model)

        return await dispatcher.answer(model, await read_body(receive), encoding, scope, read), JSON

    return {"/invocations": invoke}


def _write_answer(model: ServedModel, predictions: np.ndarray) -> bytes:
    """Records of the table that the model gives in MLflow, too. Float32 goes to JSON without loss."""
    table = to_table(model.contract, predictions)
    rows = zip(*(values.tolist() for values in table.values()), strict=True)
    return msgspec.json.encode({"predictions": [dict(zip(table, row, strict=True)) for row in rows]})


def _body_media(declared: str) -> str:
    """The media type of a body.

    Raises:
        WrongContentTypeError: it is none that is read.
    """
    media, parameters = split_content_type(declared)
    if media not in (JSON, CSV):
        said = f"The body must be declared as Content-Type: {JSON} or {CSV}; it is {shown_media(media)}."
        raise WrongContentTypeError(said)
    for name, value in parameters:
        if name != "charset":
            raise WrongContentTypeError(f"The parameter {name[:MOST_SHOWN]!r} of Content-Type is not known.")
        if value != "utf-8":
            raise WrongContentTypeError("The body must be encoded as UTF-8.")
    return media
