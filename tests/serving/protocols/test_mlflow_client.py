"""MLflow's own scoring client, unchanged, gets what the native API answers; and whatever is sent, nothing fails."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st
from starlette.types import ASGIApp

from tests.serving.asking import app_of, ask
from tests.serving.bundles import PATIENT_ROW, publish_patients
from tests.serving.mlflows import scoring_client
from tests.serving.processes import Running, running
from tests.serving.protocols.test_open_inference_fuzz import SCALARS, VALUES

OTHER = {**PATIENT_ROW, "age": 7, "blood pressure": 120.5, "smoker": True, "city": None, "ward": "A"}
FORMS = ["dataframe_split", "dataframe_records", "instances", "inputs", "columns", "data", "params"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    root = tmp_path_factory.mktemp("bundles")
    publish_patients(root)
    with running(root, "--bundles", str(root)) as own:
        yield own


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> ASGIApp:
    root: Path = tmp_path_factory.mktemp("bundles")
    publish_patients(root)
    return app_of(root, max_rows=5, max_body_bytes=20_000)


def test_mlflows_client_is_answered_as_the_native_api_answers(server: Running):
    host, _, port = server.address.removeprefix("http://").rpartition(":")
    client = scoring_client.ScoringServerClient(host, int(port))
    client.wait_server_ready(timeout=5)
    client.ping()
    assert client.get_version().count(".") == 2
    rows = [PATIENT_ROW, OTHER]
    answer = client.invoke(pd.DataFrame(rows), params={"coverage": 0.9}).get_predictions()
    native = server.post("/predict", json={"rows": rows}).json()["predictions"]
    assert answer["prediction"].tolist() == [own["label"] for own in native]
    for label in native[0]["probabilities"]:
        given = [own["probabilities"][label] for own in native]
        np.testing.assert_allclose(answer[f"probability_{label}"], given, rtol=1e-6)


def test_mlflows_client_shows_what_is_wrong(server: Running):
    host, _, port = server.address.removeprefix("http://").rpartition(":")
    client = scoring_client.ScoringServerClient(host, int(port))
    with pytest.raises(Exception, match=r"error code 400.*columns\['ward'\]: This column is missing"):
        client.invoke(pd.DataFrame([PATIENT_ROW]).drop(columns="ward"))


def check(app: ASGIApp, body: Any, media: str = "application/json") -> None:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = ask(app, "POST", "/invocations", content=content, headers={"Content-Type": media})
    if answer.status_code != 200:
        assert answer.status_code in (400, 413)
        assert answer.json().keys() == {"error_code", "message"}


@given(cells=st.dictionaries(st.sampled_from(list(PATIENT_ROW)), SCALARS, max_size=3), form=st.sampled_from(FORMS))
def test_any_cells_are_answered_or_refused(app: ASGIApp, cells: dict[str, Any], form: str):
    row = {**PATIENT_ROW, **cells}
    check(app, {form: [row]})
    check(app, {form: {name: [value] for name, value in row.items()}})
    check(app, {form: {"columns": list(row), "data": [list(row.values())]}})


@given(body=VALUES | st.dictionaries(st.sampled_from(FORMS), VALUES, max_size=2))
def test_any_json_is_answered_or_refused(app: ASGIApp, body: Any):
    check(app, body)


@given(
    lines=st.lists(st.lists(SCALARS.map(str), min_size=6, max_size=8), max_size=6),
    end=st.sampled_from([b"", b"\n", b"\xff", b'"']),
)
def test_any_csv_is_answered_or_refused(app: ASGIApp, lines: list[list[str]], end: bytes):
    text = "\n".join([",".join(PATIENT_ROW), *(",".join(line) for line in lines)])
    check(app, text.encode() + end, "text/csv")
