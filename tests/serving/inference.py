"""Rows as requests of Triton's own client, and requests that are changed by hand."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import httpx
import numpy as np
from starlette.types import ASGIApp
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput, InferResult

from serving.bundle import BooleanColumn, CategoricalColumn, Column, DateColumn, Json
from tests.serving.asking import ask
from tests.serving.bundles import PATIENT_COLUMNS, PATIENT_ROW

HEADER_LENGTH = "Inference-Header-Content-Length"
AGE, PRESSURE, SMOKER, CITY, WARD, JOINED, LEFT = range(len(PATIENT_COLUMNS))
Change = Callable[[dict[str, Any]], object]


def inputs_of(
    columns: Sequence[Column], rows: Sequence[Mapping[str, Json]], *, binary: bool = True, flat: bool = False
) -> list[InferInput]:
    """A tensor for each column, [N, 1] or flat; booleans that miss values are floats, as they must be."""
    inputs = []
    for column in columns:
        values = tensor_of(column, [row[column.name] for row in rows]).reshape((-1,) if flat else (-1, 1))
        datatype = {"O": "BYTES", "b": "BOOL", "f": "FP64"}[values.dtype.kind]
        inputs.append(InferInput(column.name, list(values.shape), datatype))
        inputs[-1].set_data_from_numpy(values, binary_data=binary)
    return inputs


def tensor_of(column: Column, values: Sequence[Json]) -> np.ndarray:
    if isinstance(column, CategoricalColumn | DateColumn):
        return np.array(["" if value is None else str(value) for value in values], dtype=object)
    if isinstance(column, BooleanColumn) and None not in values:
        return np.array(values, dtype=bool)
    return np.array(values, dtype=float)


def infer(app: ASGIApp, model: str, inputs: Sequence[InferInput], **options: Any) -> InferResult:
    """What the client makes of the answer to what the client makes of a request."""
    body, header_length = InferenceServerClient.generate_request_body(inputs, **options)
    answer = post(app, model, body, {} if header_length is None else {HEADER_LENGTH: str(header_length)})
    assert answer.status_code == 200, answer.text
    length = answer.headers.get(HEADER_LENGTH)
    return InferenceServerClient.parse_response_body(
        answer.content, header_length=None if length is None else int(length)
    )


def post(app: ASGIApp, model: str, body: bytes, headers: Mapping[str, Any]) -> httpx.Response:
    return ask(app, "POST", f"/v2/models/{model}/infer", content=body, headers=headers)


def asked(name: str, *, binary: bool) -> InferRequestedOutput:
    return InferRequestedOutput(name, binary_data=binary)


def good() -> dict[str, Any]:
    """Two rows in plain JSON."""
    inputs = [own._get_tensor() for own in inputs_of(PATIENT_COLUMNS, [PATIENT_ROW] * 2, binary=False)]
    inputs[1]["data"] = [None, None]  # NaN, as the client writes it, is not what JSON calls JSON
    return {"inputs": inputs}


def said(answer: httpx.Response, status: int) -> str:
    """The one text of an error."""
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert list(body) == ["error"]
    assert isinstance(body["error"], str)
    for word in ("Traceback", ".py", "/tmp", "site-packages"):
        assert word not in body["error"]
    return str(body["error"])


def put(place: int, **fields: Any) -> Change:
    """Change an input; None takes a field away."""

    def change(body: dict[str, Any]) -> None:
        body["inputs"][place] |= fields
        for name in [name for name, value in fields.items() if value is None]:
            del body["inputs"][place][name]

    return change


def top(**fields: Any) -> Change:
    return lambda body: body.update(fields)
