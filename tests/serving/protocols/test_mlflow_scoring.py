"""`/invocations` answers as MLflow's own server does for the model that training logs there, of the same bundle."""

import json
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest
from starlette.testclient import TestClient

from serving.app import create_app
from serving.protocols.mlflow_scoring.routes import VERSION
from serving.settings import Settings
from tests.serving.asking import app_of, ask
from tests.serving.bundles import PATIENT_ROW, SALES_COLUMNS, publish, publish_patients, publish_sales
from tests.serving.mlflows import mlflow, register, scoring_server

JSON = "application/json"
ROW = dict(PATIENT_ROW)
NAMES = list(ROW)
NULLABLE = [name for name in NAMES if ROW[name] is None]
OTHER = {**ROW, "age": 12.5, "blood pressure": 101, "smoker": True, "city": "Bern", "left": "2022-01-01"}


def changed(**changes: Any) -> list[dict[str, Any]]:
    return [{**ROW, **changes}]


def columns(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in NAMES}


def values(row: dict[str, Any]) -> list[Any]:
    return list(row.values())


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in ROW.items() if key != name}


SPLIT = {"columns": NAMES, "data": [values(ROW), values(OTHER)]}
ANSWERED: dict[str, dict[str, Any]] = {
    "split": {"dataframe_split": SPLIT},
    "split with an index": {"dataframe_split": {"index": [5, 7], **SPLIT}},
    "records": {"dataframe_records": [ROW, OTHER]},
    "instances: rows": {"instances": [ROW, OTHER]},
    "instances: columns": {"instances": columns([ROW, OTHER])},
    "instances: one row": {"instances": ROW},
    "inputs: columns": {"inputs": columns([ROW, OTHER])},
    "inputs: rows": {"inputs": [ROW, OTHER]},
    "inputs: one row": {"inputs": ROW},
    "columns left out": {"dataframe_records": [{name: ROW[name] for name in NAMES if name not in NULLABLE}]},
    "a column left out of one row": {"dataframe_records": [OTHER, without("left")]},
    "one column more": {"dataframe_records": changed(height=3)},
    "a number as text": {"dataframe_records": changed(age=" 41.5")},
    "a truth for a number": {"dataframe_records": changed(age=True)},
    "0 for a truth": {"dataframe_records": changed(smoker=0)},
    "1.0 for a truth": {"dataframe_records": changed(smoker=1.0)},
    "a whole number for a label": {"dataframe_records": changed(city=7)},
    "a fraction for a label": {"dataframe_records": changed(city=7.0)},
    "a truth for a label": {"dataframe_records": changed(city=True)},
    "an unseen label": {"dataframe_records": changed(city="Atlantis")},
    "dates of several forms": {"dataframe_records": changed(joined="2020-02-29", left="2021-01-01 12:00:00")},
    "words for a missing date": {
        "dataframe_records": [{**ROW, "left": word} for word in ("", "NaN", "nan", "NaT", "nat")]
    },
    "an empty date in a column": {"inputs": columns([{**ROW, "left": ""}, OTHER])},
    "an unknown field": {"dataframe_records": [ROW], "rows": 1},
    "a field of TensorFlow's": {"instances": [ROW], "signature_name": "x"},
    "params, which are ignored": {"dataframe_records": [ROW], "params": {"coverage": 0.9}},
    "params that are none": {"dataframe_records": [ROW], "params": 7},
}
REFUSED: dict[str, Any] = {
    "a missing column": {"dataframe_records": [without("age")]},
    "a missing cell": {"dataframe_records": [ROW, without("age")]},
    "no number": {"dataframe_records": changed(age="old")},
    "a list for a number": {"dataframe_records": changed(age=[1])},
    "text for a truth": {"dataframe_records": changed(smoker="true")},
    "null for a label": {"dataframe_records": changed(ward=None)},
    "a number for a date": {"dataframe_records": changed(joined=18_000)},
    "another word for a missing date": {"dataframe_records": changed(left="None")},
    "no date": {"dataframe_records": changed(joined="soon")},
    "no records": {"dataframe_records": []},
    "records that are one": {"dataframe_records": ROW},
    "records that are columns": {"dataframe_records": columns([ROW])},
    "records of lists": {"dataframe_records": [values(ROW)]},
    "split without rows": {"dataframe_split": {"columns": NAMES, "data": []}},
    "split without columns": {"dataframe_split": {"data": [values(ROW)]}},
    "split without data": {"dataframe_split": {"columns": NAMES}},
    "split with more": {"dataframe_split": {"rows": 1, **SPLIT}},
    "split of another width": {"dataframe_split": {"columns": NAMES, "data": [[1]]}},
    "split that is a list": {"dataframe_split": []},
    "split with a column twice": {"dataframe_split": {"columns": ["age", *NAMES], "data": [[1, *values(ROW)]]}},
    "two forms": {"inputs": [ROW], "instances": [ROW]},
    "no form": {},
    "another form": {"rows": [ROW]},
    "instances of lists": {"instances": [values(ROW)]},
    "inputs of several lengths": {"inputs": {**columns([ROW]), "age": [1, 2]}},
    "inputs that are null": {"inputs": None},
    "inputs that are a number": {"inputs": 3},
    "a list": [],
    "text": "rows",
}
LINES = "age,blood pressure,smoker,city,ward,joined,left\n41,,False,Bern,B,2021-06-30T12:00:00+02:00,\n"
CSV_ANSWERED = {
    "as it is written by hand": LINES,
    "as pandas writes it": pd.DataFrame([ROW, OTHER]).to_csv(),
    "words for missing values": LINES.replace("41,,", "41,NA,").replace("Bern", "nan"),
}


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("bundles")
    publish_patients(root)
    return root


@pytest.fixture(scope="module")
def logged(bundles: Path, tmp_path_factory: pytest.TempPathFactory) -> mlflow.pyfunc.PyFuncModel:
    return register(bundles / "patients" / "1", tmp_path_factory.mktemp("mlflow"))


@pytest.fixture(scope="module")
def theirs(logged: mlflow.pyfunc.PyFuncModel) -> TestClient:
    return TestClient(scoring_server.init(logged))


@pytest.fixture(scope="module")
def ours(bundles: Path) -> TestClient:
    return TestClient(app_of(bundles))


def post(server: TestClient, content: str | bytes, media: str = JSON) -> httpx.Response:
    return server.post("/invocations", content=content, headers={"Content-Type": media})


def check_same(own: httpx.Response, other: httpx.Response) -> None:
    assert own.status_code == other.status_code == 200, (own.text, other.text)
    assert own.headers["content-type"] == other.headers["content-type"]
    own_rows, other_rows = (pd.DataFrame(answer.json()["predictions"]) for answer in (own, other))
    pd.testing.assert_frame_equal(own_rows, other_rows, rtol=1e-6)


@pytest.mark.parametrize("body", ANSWERED.values(), ids=ANSWERED)
def test_the_answer_is_that_of_mlflows_server(ours: TestClient, theirs: TestClient, body: dict[str, Any]):
    content = json.dumps(body)
    check_same(post(ours, content), post(theirs, content))


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED)
def test_what_mlflows_server_refuses_is_refused_in_its_form(ours: TestClient, theirs: TestClient, body: Any):
    content = json.dumps(body)
    own, other = post(ours, content), post(theirs, content)
    assert own.status_code == other.status_code == 400
    assert own.json().keys() == {"error_code", "message"}
    assert own.json().keys() <= other.json().keys()
    assert own.json()["error_code"] == "BAD_REQUEST"


@pytest.mark.parametrize(
    ("content", "media", "status"),
    [
        (b"{", JSON, 400),
        (b"\xff", JSON, 400),
        (json.dumps({"inputs": [ROW]}).replace("null", "NaN").encode(), JSON, 200),
        (b"\xff", "text/csv", 400),
        (b"", "text/csv", 400),
        (b"age\n", "text/csv", 400),
        (b"{}", "text/plain", 415),
        (b"{}", f"{JSON}; charset=latin-1", 415),
        (b"{}", f"{JSON}; version=1", 415),
        (json.dumps({"inputs": [ROW]}).encode(), f"{JSON}; charset=UTF-8", 200),
    ],
)
def test_other_bodies_have_the_status_and_the_form_that_mlflows_server_gives_them(
    ours: TestClient, theirs: TestClient, content: bytes, media: str, status: int
):
    own, other = post(ours, content, media), post(theirs, content, media)
    assert own.status_code == other.status_code == status, (own.text, other.text)
    assert own.headers["content-type"] == other.headers["content-type"]


@pytest.mark.parametrize("content", CSV_ANSWERED.values(), ids=CSV_ANSWERED)
def test_csv_is_answered_as_by_mlflows_server(
    ours: TestClient, logged: mlflow.pyfunc.PyFuncModel, monkeypatch: pytest.MonkeyPatch, content: str
):
    """Its server refuses CSV for every model whose signature says "any type", as ours does: it is left out here."""
    monkeypatch.setattr(logged.metadata, "signature", None)
    check_same(post(ours, content, "text/csv"), post(TestClient(scoring_server.init(logged)), content, "text/csv"))


@pytest.mark.parametrize("path", ["/ping", "/health", "/version"])
def test_health_and_version_are_told_as_by_mlflows_server(ours: TestClient, theirs: TestClient, path: str):
    own, other = ours.get(path), theirs.get(path)
    assert (own.status_code, own.content) == (other.status_code, other.content)
    assert own.headers["content-type"] == other.headers["content-type"]


def test_the_version_is_that_of_the_mlflow_that_is_compared_with():
    assert mlflow.__version__ == VERSION


@pytest.mark.parametrize("number", ["1e308", "Infinity", pytest.param("1" + "0" * 400, id="400 digits")])
def test_what_has_no_finite_prediction_is_refused(ours: TestClient, number: str):
    """MLflow's server answers NaN, which is no JSON."""
    answer = post(ours, json.dumps({"inputs": changed(age=1)}).replace('"age": 1', f'"age": {number}'))
    assert answer.status_code == 400
    assert answer.json()["error_code"] == "BAD_REQUEST"


def test_a_mistake_is_named_with_its_path_and_without_the_data(ours: TestClient):
    answer = post(ours, json.dumps({"dataframe_records": [ROW, {**ROW, "age": "old"}]}))
    assert answer.json()["message"] == (
        "1 value does not fit the model's columns. columns['age'][1]: Input should be a valid number."
    )


@pytest.mark.parametrize("word", ["", "NaN", "NaT"])
def test_a_date_that_training_never_missed_may_not_be_missing(ours: TestClient, word: str):
    answer = post(ours, json.dumps({"dataframe_records": changed(joined=word)}))
    assert answer.status_code == 400
    assert "columns['joined'][0]: null is not accepted" in answer.json()["message"]


def test_an_only_column_may_come_as_a_list(tmp_path: Path):
    publish(tmp_path, name="sales", version=1, columns=SALES_COLUMNS[:1], rows=[{SALES_COLUMNS[0].name: 30.0}])
    app = app_of(tmp_path)
    listed, named = (
        ask(app, "POST", "/invocations", json={"inputs": given}).json()
        for given in ([1.0, 2.5], {SALES_COLUMNS[0].name: [1.0, 2.5]})
    )
    assert listed == named
    assert len(listed["predictions"]) == 2


def test_where_several_models_are_served_the_others_ways_to_ask_are_named(tmp_path: Path):
    publish_patients(tmp_path)
    publish_sales(tmp_path)
    answer = ask(app_of(tmp_path), "POST", "/invocations", json={"inputs": [ROW]})
    assert answer.status_code == 404
    assert answer.json()["error_code"] == "ENDPOINT_NOT_FOUND"
    assert "Ask /models/<name>/predict: ice cream, patients" in answer.json()["message"]


def test_without_a_model_the_server_is_not_healthy():
    assert ask(create_app({}, Settings()), "GET", "/ping").status_code == 404
