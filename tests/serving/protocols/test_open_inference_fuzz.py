"""Whatever is sent as an inference request is answered, or refused in the protocol's form: the server never fails."""

import json
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from hypothesis import given, strategies as st

from tests.serving.asking import app_of
from tests.serving.bundles import PATIENT_COLUMNS, PATIENT_ROW, publish_patients
from tests.serving.inference import HEADER_LENGTH, good, inputs_of, post, said

FIELDS = ["name", "shape", "datatype", "data", "parameters"]
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from(
        [2**63, -(2**63), 2**64, 10**400, "age", "ward", "FP32", "BYTES", "BOOL", "0001-01-01T00:00+23:59"]
    )
    | st.floats()
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
)
VALUES = st.recursive(
    SCALARS, lambda own: st.lists(own, max_size=3) | st.dictionaries(st.text(max_size=5), own, max_size=3)
)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    root: Path = tmp_path_factory.mktemp("bundles")
    publish_patients(root)
    return app_of(root, max_rows=5, max_body_bytes=20_000)


def check(app: FastAPI, body: bytes, length: str | None = None) -> None:
    answer = post(app, "patients", body, {} if length is None else {HEADER_LENGTH: length})
    if answer.status_code != 200:
        assert answer.status_code in (413, 422)
        said(answer, answer.status_code)


@given(
    changes=st.lists(st.tuples(st.integers(0, 6), st.sampled_from(FIELDS), VALUES), min_size=1, max_size=3),
    fields=st.dictionaries(st.sampled_from(["id", "parameters", "outputs"]), VALUES, max_size=1),
)
def test_any_json_in_any_place(app: FastAPI, changes: list[tuple[int, str, Any]], fields: dict[str, Any]):
    body = good()
    for place, field, value in changes:
        body["inputs"][place][field] = value
    check(app, json.dumps(body | fields).encode())


@given(rows=st.lists(st.tuples(SCALARS, SCALARS), min_size=7, max_size=7), datatypes=st.data())
def test_any_values_of_any_datatype(app: FastAPI, rows: list[tuple[Any, Any]], datatypes: st.DataObject):
    body = good()
    for own, values in zip(body["inputs"], rows, strict=True):
        if datatypes.draw(st.booleans()):
            own["data"] = list(values)
            own["datatype"] = datatypes.draw(st.sampled_from(["FP64", "FP16", "INT64", "UINT8", "BOOL", "BYTES"]))
    check(app, json.dumps(body).encode())


@given(data=st.data())
def test_any_bytes_behind_any_length(app: FastAPI, data: st.DataObject):
    inputs = inputs_of(PATIENT_COLUMNS, [PATIENT_ROW] * 2)
    header = json.dumps({"inputs": [own._get_tensor() for own in inputs]}).encode()
    body = bytearray(header + b"".join(own._get_binary_data() for own in inputs))
    for _ in range(data.draw(st.integers(0, 4))):
        body[data.draw(st.integers(len(header), len(body) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.sampled_from([0, 0, 1, 10, 200]))
    length = data.draw(st.just(len(header)) | st.integers(-5, 2_000))
    check(app, bytes(body[: len(body) - cut]), str(length))
