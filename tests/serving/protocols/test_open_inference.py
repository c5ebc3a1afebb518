"""The Open Inference Protocol: Triton's own client, unchanged, gets what the native API answers."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from hypothesis import given, settings, strategies as st
from tritonclient.http import InferenceServerClient, InferInput, InferResult
from tritonclient.utils import InferenceServerException

from serving.bundle import Bundle, Column, Json, open_bundle
from tests.serving.asking import app_of, ask
from tests.serving.bundles import (
    PATIENT_COLUMNS,
    PATIENT_ROW,
    SALES_COLUMNS,
    SALES_ROW,
    publish_patients,
    publish_sales,
)
from tests.serving.inference import HEADER_LENGTH, asked, infer, inputs_of, post
from tests.serving.processes import Running, running
from tests.serving.protocols.test_openapi import any_rows

CLASSES = ["low", "middling", "high"]
OTHER_ROW: dict[str, Json] = PATIENT_ROW | {
    "age": 7,
    "blood pressure": 120.5,
    "smoker": True,
    "city": None,
    "ward": "A",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("bundles")
    publish_patients(root, version=1)
    publish_patients(root, version=2)
    publish_sales(root)
    return root


@pytest.fixture(scope="module")
def app(folder: Path) -> FastAPI:
    return app_of(folder)


@pytest.fixture(scope="module")
def bundles(folder: Path) -> list[Bundle]:
    return [open_bundle(folder / "patients" / "2"), open_bundle(folder / "ice cream" / "1")]


@pytest.fixture(scope="module")
def server(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("server"), SERVING_BUNDLES=str(folder)) as server:
        yield server


@pytest.fixture(scope="module")
def client(server: Running) -> Iterator[InferenceServerClient]:
    with InferenceServerClient(server.address.removeprefix("http://")) as client:
        yield client


def native(app: FastAPI, model: str, rows: list[dict[str, Any]]) -> list[Mapping[str, Any]]:
    answer = ask(app, "POST", f"/models/{model}/predict", json={"rows": rows})
    assert answer.status_code == 200, answer.text
    predictions: list[dict[str, Any]] = answer.json()["predictions"]
    return [{name: value for name, value in prediction.items() if name != "rules"} for prediction in predictions]


def predictions_of(result: InferResult, classes: list[str]) -> list[Mapping[str, Any]]:
    """A result in the native API's words."""
    if not classes:
        return [{"value": value} for value in result.as_numpy("prediction")[:, 0].tolist()]
    labels = [label.decode() if isinstance(label, bytes) else label for label in result.as_numpy("label")[:, 0]]
    return [
        {"label": label, "probabilities": dict(zip(classes, row, strict=True))}
        for label, row in zip(labels, result.as_numpy("probabilities").tolist(), strict=True)
    ]


def test_the_client_sees_what_is_served(client: InferenceServerClient):
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.get_server_metadata()["extensions"] == ["binary_tensor_data"]
    assert client.is_model_ready("ice cream")
    assert client.is_model_ready("patients", "2")
    assert not client.is_model_ready("patients", "1")
    assert not client.is_model_ready("nobody")


def test_the_client_reads_which_tensors_a_model_takes_and_gives(client: InferenceServerClient):
    metadata = client.get_model_metadata("patients", "2")
    assert (metadata["name"], metadata["versions"], metadata["platform"]) == ("patients", ["2"], "onnxruntime_onnx")
    datatypes = {tensor["name"]: tensor["datatype"] for tensor in metadata["inputs"]}
    assert list(datatypes) == [column.name for column in PATIENT_COLUMNS]
    assert list(datatypes.values()) == ["FP64", "FP64", "BOOL", "BYTES", "BYTES", "BYTES", "BYTES"]
    assert all(tensor["shape"] == [-1, 1] for tensor in metadata["inputs"])
    assert metadata["inputs"][1]["parameters"] == {"kind": "numeric", "nullable": True}
    label, probabilities = metadata["outputs"]
    assert (label["name"], label["datatype"], label["shape"]) == ("label", "BYTES", [-1, 1])
    assert (probabilities["datatype"], probabilities["shape"]) == ("FP32", [-1, 3])
    assert probabilities["parameters"]["classes"] == CLASSES
    (prediction,) = client.get_model_metadata("ice cream")["outputs"]
    assert prediction == {"name": "prediction", "datatype": "FP32", "shape": [-1, 1]}


@pytest.mark.parametrize("compression", [None, "gzip", "deflate"])
@pytest.mark.parametrize("binary", [True, False])
def test_the_client_is_answered_as_the_native_api_answers(
    client: InferenceServerClient, app: FastAPI, *, binary: bool, compression: str | None
):
    for model, columns, rows, classes in (
        ("patients", PATIENT_COLUMNS, [PATIENT_ROW, OTHER_ROW], CLASSES),
        ("ice cream", SALES_COLUMNS, [SALES_ROW], []),
    ):
        result = client.infer(
            model,
            inputs_of(columns, rows, binary=binary),
            request_id="seven",
            request_compression_algorithm=compression,
            response_compression_algorithm=compression,
        )
        assert predictions_of(result, classes) == native(app, model, rows)
        assert result.get_response()["id"] == "seven"


def test_a_large_request_is_answered_too(client: InferenceServerClient, app: FastAPI):
    rows = [PATIENT_ROW | {"age": place} for place in range(2_000)]
    for binary in (True, False):
        result = client.infer("patients", inputs_of(PATIENT_COLUMNS, rows, binary=binary))
        assert predictions_of(result, CLASSES) == native(app, "patients", rows)


def test_requests_may_be_under_way_at_once(client: InferenceServerClient, app: FastAPI):
    inputs = inputs_of(PATIENT_COLUMNS, [PATIENT_ROW])
    results = [request.get_result() for request in [client.async_infer("patients", inputs) for _ in range(5)]]
    assert [predictions_of(result, CLASSES) for result in results] == [native(app, "patients", [PATIENT_ROW])] * 5


def test_the_client_is_told_what_is_wrong(client: InferenceServerClient):
    inputs = inputs_of(PATIENT_COLUMNS, [PATIENT_ROW])
    for model, version, sent, status, message in (
        ("patients", "", inputs[1:], "422", "inputs['age']: This column is missing"),
        ("patients", "1", inputs, "404", "Version '1' of 'patients' is not served. Version 2 is."),
        ("patient", "", inputs, "404", "Did you mean patients?"),
    ):
        with pytest.raises(InferenceServerException) as refused:
            client.infer(model, sent, version)
        assert refused.value.status() == status
        assert message in refused.value.message()


@pytest.mark.parametrize("place", [0, 1], ids=["patients", "ice cream"])
@given(data=st.data())
@settings(max_examples=40)
def test_any_row_that_the_native_api_takes_has_the_same_answer_in_every_form(
    app: FastAPI, bundles: list[Bundle], place: int, data: st.DataObject
):
    contract = bundles[place].contract
    rows = data.draw(any_rows(bundles[place]))
    binary, flat, answered_in_bytes = data.draw(st.tuples(st.booleans(), st.booleans(), st.booleans()))
    outputs = None
    if not answered_in_bytes:
        outputs = [asked(name, binary=False) for name in (["label", "probabilities"] if not place else ["prediction"])]
    inputs = inputs_of(contract.columns, rows, binary=binary, flat=flat)
    result = infer(app, contract.name, inputs, outputs=outputs)
    assert predictions_of(result, CLASSES if not place else []) == native(app, contract.name, rows)


def test_outputs_are_those_that_are_asked_for_in_their_order_and_form(app: FastAPI):
    inputs = inputs_of(PATIENT_COLUMNS, [PATIENT_ROW])
    both = infer(app, "patients", inputs, outputs=[asked("probabilities", binary=True), asked("label", binary=False)])
    probabilities, label = both.get_response()["outputs"]
    assert (probabilities["name"], label["name"]) == ("probabilities", "label")
    assert probabilities["parameters"] == {"binary_data_size": 12}
    assert "data" not in probabilities
    (expected,) = native(app, "patients", [PATIENT_ROW])
    assert label["data"] == [expected["label"]]
    assert predictions_of(both, CLASSES) == [expected]
    (only,) = infer(app, "patients", inputs, outputs=[asked("label", binary=True)]).get_response()["outputs"]
    assert only["name"] == "label"


def request(column: Column, **tensor: Any) -> bytes:
    """One row of `SALES_COLUMNS` or so in plain JSON, one tensor of it as given."""
    inputs = [
        {"name": known.name, "shape": [1], "datatype": "FP64", "data": [1.5]} | (tensor if known is column else {})
        for known in SALES_COLUMNS
    ]
    return json.dumps({"inputs": inputs}).encode()


def test_a_request_without_bytes_is_answered_in_json(app: FastAPI):
    answer = post(app, "ice cream", request(SALES_COLUMNS[0]), {"Content-Type": "application/json"})
    assert answer.headers["Content-Type"] == "application/json"
    assert HEADER_LENGTH not in answer.headers
    assert answer.headers["X-Model-Version"] == "1"
    body = answer.json()
    (output,) = body.pop("outputs")
    assert body == {"model_name": "ice cream", "model_version": "1"}
    assert (output["name"], output["datatype"], output["shape"], len(output["data"])) == (
        "prediction",
        "FP32",
        [1, 1],
        1,
    )


def test_binary_data_output_is_for_outputs_that_do_not_say_otherwise(app: FastAPI):
    inputs = json.loads(request(SALES_COLUMNS[0]))
    for outputs, in_bytes in (
        (None, True),
        ([], True),
        ([{"name": "prediction"}], True),
        ([{"name": "prediction", "parameters": {"binary_data": False}}], False),
    ):
        body = inputs | {"parameters": {"binary_data_output": True, "priority": 1}, "outputs": outputs}
        answer = post(app, "ice cream", json.dumps(body).encode(), {})
        assert answer.status_code == 200, answer.text
        assert (HEADER_LENGTH in answer.headers) == in_bytes
        assert (answer.headers["Content-Type"] == "application/octet-stream") == in_bytes


NUMBERS = ["BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16", "FP32", "FP64"]
DTYPES = dict(zip(NUMBERS, "?BHIQbhiqefd", strict=True))


@pytest.mark.parametrize("datatype", NUMBERS)
def test_a_number_may_have_any_datatype_of_numbers(app: FastAPI, datatype: str):
    (expected,) = native(app, "ice cream", [{"Temperatur in °C": 1, "humidity": 0}])
    for binary in (True, False):
        inputs = []
        for column, value in zip(SALES_COLUMNS, (1, 0), strict=True):
            inputs.append(InferInput(column.name, [1], datatype))
            inputs[-1].set_data_from_numpy(np.array([value], dtype=DTYPES[datatype]), binary_data=binary)
        assert predictions_of(infer(app, "ice cream", inputs), []) == [expected]


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("datatype", ["INT64", "UINT8", "BYTES"])
def test_a_label_may_be_a_whole_number(app: FastAPI, datatype: str, *, binary: bool):
    inputs = inputs_of(PATIENT_COLUMNS, [PATIENT_ROW], binary=binary)
    inputs[3] = InferInput("city", [1, 1], datatype)
    value = np.array([["7"]], dtype=object) if datatype == "BYTES" else np.array([[7]], dtype=DTYPES[datatype])
    inputs[3].set_data_from_numpy(value, binary_data=binary)
    assert predictions_of(infer(app, "patients", inputs), CLASSES) == native(
        app, "patients", [PATIENT_ROW | {"city": 7}]
    )


@pytest.mark.parametrize("sent", ["[null]", "[NaN]", "[[null]]", '[null]"FP64', '[null]"INT8', '[null]"BOOL'])
def test_what_is_missing_may_be_null_or_nan(app: FastAPI, sent: str):
    data, _, datatype = sent.partition('"')
    body = request(SALES_COLUMNS[1], data=["HERE"], datatype=datatype or "FP32").replace(b'["HERE"]', data.encode())
    answer = post(app, "ice cream", body, {})
    assert answer.status_code == 200, answer.text
    (expected,) = native(app, "ice cream", [{"Temperatur in °C": 1.5, "humidity": None}])
    assert answer.json()["outputs"][0]["data"] == [expected["value"]]


def test_rows_and_model_are_counted_under_the_protocols_name(folder: Path):
    app = app_of(folder)
    infer(app, "patients", inputs_of(PATIENT_COLUMNS, [PATIENT_ROW] * 3))
    shown = ask(app, "GET", "/metrics").text
    assert any('protocol="open_inference"' in line and 'model="patients"' in line for line in shown.splitlines())
    assert any("rows" in line and 'version="2"' in line and line.endswith(" 3.0") for line in shown.splitlines())
