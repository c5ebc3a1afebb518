"""The Open Inference Protocol, version 2, as KServe, Triton and MLServer speak it, for the clients that there are.

Binary tensors are understood; shared memory, classification and the repository of models are not. What is asked for in
a query (`options`) has no place in these answers and is passed over, as Triton passes it over. The protocol is
described by its own specification, so its routes are not part of `/openapi.json`. `errors` knows the form of its
errors.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from serving.errors import NotReadyError, UnknownModelError, UnknownVersionError, WrongContentTypeError
from serving.protocols.open_inference.answer import describe_outputs, write_answer
from serving.protocols.open_inference.columns import describe_column
from serving.protocols.open_inference.request import InferRequest, read_request
from serving.reading.media_types import shown_media, split_content_type
from serving.reading.request_reader import RequestReader
from serving.scheduling.dispatch import Dispatcher, WriteAnswer
from serving.versions.served_model import Columns, ServedModel

SERVER = {"name": "sweepstack", "version": "1", "extensions": ["binary_tensor_data"]}
PLATFORM = "onnxruntime_onnx"  # as Triton calls it
HEADER_LENGTH = "Inference-Header-Content-Length"
# Clients of this protocol declare nothing, or bytes where tensors are bytes.
CONTENT_TYPES = frozenset({"", "application/json", "application/octet-stream"})
MODEL_PATHS = ("/models/{name}", "/models/{name}/versions/{version}")


def open_inference_router(models: Mapping[str, ServedModel], dispatcher: Dispatcher) -> APIRouter:
    """Routes of the protocol.

    Args:
        models: name -> model; looked up for every request.
        dispatcher: answers, on the event loop or in a thread.
    """
    router = APIRouter(prefix="/v2", include_in_schema=False)
    _add_health(router, models)

    async def show(request: Request) -> Response:
        return JSONResponse(_metadata(_find(models, request)))

    async def ready(request: Request) -> Response:
        return JSONResponse({"name": _find(models, request).name, "ready": True})

    async def infer(request: Request) -> Response:
        return await _infer(_find(models, request), request, dispatcher)

    for path in MODEL_PATHS:
        router.add_api_route(path, show, methods=["GET"])
        router.add_api_route(f"{path}/ready", ready, methods=["GET"])
        router.add_api_route(f"{path}/infer", infer, methods=["POST"])
    return router


def _add_health(router: APIRouter, models: Mapping[str, ServedModel]) -> None:
    @router.get("")
    async def show_server() -> dict[str, Any]:
        return SERVER

    @router.get("/health/live")
    async def live() -> dict[str, bool]:
        return {"live": True}

    @router.get("/health/ready")
    async def ready() -> dict[str, bool]:
        if not models:
            raise NotReadyError("No model is loaded.")
        return {"ready": True}


def _find(models: Mapping[str, ServedModel], request: Request) -> ServedModel:
    name, version = request.path_params["name"], request.path_params.get("version")
    model = models.get(name)
    if model is None:
        raise UnknownModelError.from_name(name, models)
    if version is not None and version != model.version:
        raise UnknownVersionError.from_version(version, model.name, served=model.version)
    model.note()
    return model


def _metadata(model: ServedModel) -> dict[str, Any]:
    return {
        "name": model.name,
        "versions": [model.version],
        "platform": PLATFORM,
        "inputs": [describe_column(column) for column in model.contract.columns],
        "outputs": describe_outputs(model.contract),
    }


async def _infer(model: ServedModel, request: Request, dispatcher: Dispatcher) -> Response:
    content_type = split_content_type(request.headers.get("content-type", ""))[0]
    if content_type not in CONTENT_TYPES:
        raise WrongContentTypeError(
            f"The body must be declared as application/json, or as application/octet-stream with binary tensors; "
            f"it is {shown_media(content_type)}."
        )
    header_length = request.headers.get(HEADER_LENGTH)

    def read(body: bytes, _: RequestReader) -> tuple[Columns, WriteAnswer[Response]]:
        inference = read_request(body, header_length, model.contract, max_rows=model.reader.max_rows)
        return inference.columns, partial(_write_answer, model, inference)

    encoding = request.headers.get("content-encoding", "")
    return await dispatcher.answer(model, await request.body(), encoding, request.scope, read)


def _write_answer(model: ServedModel, inference: InferRequest, predictions: np.ndarray) -> Response:
    head = {"model_name": model.name, "model_version": model.version}
    if inference.identity is not None:
        head["id"] = inference.identity
    content, n_json_bytes = write_answer(model.contract, predictions, inference.outputs, head)
    if n_json_bytes is None:
        return Response(content, media_type="application/json")
    return Response(content, media_type="application/octet-stream", headers={HEADER_LENGTH: str(n_json_bytes)})
