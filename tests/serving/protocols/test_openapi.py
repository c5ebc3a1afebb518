"""What `/openapi.json` says is what the server does: its examples are accepted, its schemas fit the answers."""

import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
from fastapi import FastAPI
from hypothesis import given, settings, strategies as st
from pydantic import ValidationError

from serving.app import create_app
from serving.bundle import Bundle, CategoricalColumn, Column, DateColumn, NumericColumn, open_bundle
from serving.keys import KeyFile, add_key
from serving.reading.media_types import MEDIA
from serving.schemas import make_schemas
from serving.settings import Settings
from serving.worker import load_champions
from tests.serving.answers.test_builder import calibration, publish_task, rows_of
from tests.serving.asking import app_of, ask
from tests.serving.bundles import PATIENT_ROW, publish_patients, publish_sales, run_directly

EXACT = st.floats(-1e6, 1e6) | st.integers(-(10**6), 10**6)
MOMENTS = st.datetimes().map(lambda moment: moment.isoformat())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("bundles")
    publish_patients(root)
    publish_sales(root)
    return root


@pytest.fixture(scope="module")
def app(folder: Path) -> FastAPI:
    return app_of(folder)


@pytest.fixture(scope="module")
def bundles(folder: Path) -> list[Bundle]:
    return [open_bundle(folder / "patients" / "1"), open_bundle(folder / "ice cream" / "1")]


def posts(app: FastAPI) -> dict[str, Any]:
    paths = ask(app, "GET", "/openapi.json").json()["paths"]
    return {path: operations["post"] for path, operations in paths.items() if "post" in operations}


def any_value(column: Column) -> st.SearchStrategy[Any]:
    """Every value that the contract takes: labels may be unseen, or whole numbers."""
    if isinstance(column, CategoricalColumn):
        values = st.sampled_from(column.categories) | st.integers() | st.text(min_size=0 if column.nullable else 1)
    elif isinstance(column, NumericColumn):
        values = EXACT
    else:
        values = st.dates().map(str) | MOMENTS if isinstance(column, DateColumn) else st.booleans()
    return values | st.none() if column.nullable else values


def any_rows(bundle: Bundle) -> st.SearchStrategy[list[dict[str, Any]]]:
    row = st.fixed_dictionaries({column.name: any_value(column) for column in bundle.contract.columns})
    return st.lists(row, min_size=1, max_size=5)


def test_every_example_is_accepted_by_the_route_that_shows_it_and_answered_as_shown(app: FastAPI):
    described = posts(app)
    assert [unquote(path) for path in described] == ["/models/ice cream/predict", "/models/patients/predict"]
    for path, operation in described.items():
        example = operation["requestBody"]["content"]["application/json"]["example"]
        shown = operation["responses"]["200"]["content"]["application/json"]["example"]
        answer = ask(app, "POST", path, json=example)
        assert answer.status_code == 200, answer.text
        assert answer.json() == shown


def test_a_route_without_a_name_is_there_when_one_model_is_served_and_only_then(app: FastAPI, tmp_path: Path):
    publish_sales(tmp_path)
    alone = app_of(tmp_path)
    described = posts(alone)
    example = described["/predict"]["requestBody"]["content"]["application/json"]["example"]
    assert len(described) == 2
    assert ask(alone, "POST", "/predict", json=example).json()["model"] == "ice cream"
    assert "/predict" not in posts(app)
    assert ask(app, "POST", "/predict", json=example).status_code == 404


def test_columns_and_refusals_are_described(app: FastAPI):
    document = ask(app, "GET", "/openapi.json").json()
    operation = document["paths"]["/models/patients/predict"]["post"]
    assert operation["responses"].keys() == {"200", *["400", "404", "406", "408", "413", "415", "422", "503", "504"]}
    assert operation["requestBody"]["content"].keys() == operation["responses"]["200"]["content"].keys() == set(MEDIA)
    requests = operation["requestBody"]["content"]["application/json"]["schema"]["oneOf"]
    request, columns = (resolved(document, schema) for schema in requests)
    row = resolved(document, request["properties"]["rows"]["items"])
    assert row["required"] == ["age", "blood pressure", "smoker", "city", "ward", "joined", "left"]
    assert row["additionalProperties"] is False
    assert row["properties"]["city"]["description"].startswith("one of: 7, Bern, Zürich; any other label")
    by_column = resolved(document, columns["properties"]["columns"])
    assert by_column["required"] == row["required"]
    assert {"type": "number"}.items() <= by_column["properties"]["age"]["items"].items()


def test_of_what_is_read_the_metrics_alone_may_be_late_and_say_so(app: FastAPI):
    """They are collected in a thread; all others are answered at once."""
    paths = ask(app, "GET", "/openapi.json").json()["paths"]
    read = {path: operations["get"]["responses"].keys() for path, operations in paths.items() if "get" in operations}
    assert len(read) == 5
    assert [path for path, statuses in read.items() if "504" in statuses] == ["/metrics"]


def test_where_keys_are_asked_for_the_description_says_which_operations_need_one(folder: Path, tmp_path: Path):
    authorization = {"Authorization": f"Bearer {add_key(tmp_path / 'keys.json', name='reader', role='reader')}"}
    settings = Settings(bundles=folder)
    guarded = create_app(load_champions(settings), settings, keys=KeyFile(tmp_path / "keys.json"))
    document = ask(guarded, "GET", "/openapi.json", headers=authorization).json()
    assert document["components"]["securitySchemes"].keys() == {"key", "browser"}
    open_paths = {
        path for path, operations in document["paths"].items() if "security" not in next(iter(operations.values()))
    }
    assert open_paths == {"/live", "/ready"}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert ("401" in operation["responses"]) == (path not in open_paths)
            assert ("429" in operation["responses"]) == (method == "post")


def resolved(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in schema:
        return schema
    found: dict[str, Any] = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return found


@pytest.mark.parametrize("model", ["ice cream", "patients"])
def test_an_answer_fits_the_model_that_describes_it(app: FastAPI, bundles: list[Bundle], model: str):
    (contract,) = [bundle.contract for bundle in bundles if bundle.contract.name == model]
    schemas = make_schemas(contract, max_rows=10)
    answer = ask(app, "POST", f"/models/{model}/predict", json=schemas.example)
    schemas.answer.model_validate_json(answer.content)
    schemas.request.model_validate(schemas.example)
    with pytest.raises(ValidationError):
        schemas.answer.model_validate(answer.json() | {"unknown": 1})


@pytest.mark.parametrize("place", [0, 1], ids=["patients", "ice cream"])
@given(data=st.data())
@settings(max_examples=40)
def test_any_valid_row_is_answered_as_onnx_runtime_says(
    app: FastAPI, bundles: list[Bundle], place: int, data: st.DataObject
):
    bundle = bundles[place]
    rows = data.draw(any_rows(bundle))
    answer = ask(app, "POST", f"/models/{bundle.contract.name}/predict", json={"rows": rows})
    assert answer.status_code == 200, answer.text
    found = [
        list(prediction["probabilities"].values()) if "label" in prediction else [prediction["value"]]
        for prediction in answer.json()["predictions"]
    ]
    expected = run_directly(bundle.model, bundle.contract.columns, rows)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


def test_the_label_is_the_most_probable_class(app: FastAPI):
    example = posts(app)["/models/patients/predict"]["requestBody"]["content"]["application/json"]["example"]
    (prediction,) = ask(app, "POST", "/models/patients/predict", json=example).json()["predictions"]
    assert prediction["label"] == max(prediction["probabilities"], key=prediction["probabilities"].get)
    assert list(prediction["probabilities"]) == ["low", "middling", "high"]


def test_health_and_models_say_what_is_served(app: FastAPI):
    assert ask(app, "GET", "/live").json() == {"status": "live"}
    assert ask(app, "GET", "/ready").json()["models"] == {"ice cream": "1", "patients": "1"}
    assert [model["task"] for model in ask(app, "GET", "/models").json()] == ["regression", "multiclass"]
    card = ask(app, "GET", "/models/ice cream").json()
    assert [column["name"] for column in card["contract"]["columns"]] == ["Temperatur in °C", "humidity"]
    assert ask(app, "GET", "/docs").status_code == 200


def test_no_route_tells_a_row_that_the_model_keeps(tmp_path: Path):
    """Rows of a table may be people, and readers are not those who may see the table."""
    kept, rows = "1923-04-05", rows_of("risk")
    publish_task(
        tmp_path, "risk", calibration=calibration("risk"), background=tuple(row | {"joined": kept} for row in rows)
    )
    told = app_of(tmp_path)
    card = ask(told, "GET", "/models/risk").json()
    assert (card["largest_coverage"], card["most_explained"] > 0) == (pytest.approx(100 / 101), True)
    assert card["contract"]["calibration"] == {
        "method": "lac", "rows": 100, "temperature": 1.0, "log_loss_before": None, "log_loss_after": None
    }  # fmt: skip
    assert card["contract"].keys() >= {"columns", "target", "lineage"}
    for path in ("/models", "/models/risk", "/openapi.json", "/v2/models/risk"):
        text = ask(told, "GET", path).text
        assert kept not in text
        assert PATIENT_ROW["joined"] not in text, "of a golden row"
        assert not {"golden", "background", "scores"} & set(re.findall(r"[\w ]+", text)), path
