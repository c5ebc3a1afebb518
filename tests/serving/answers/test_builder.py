"""Answers with intervals, sets of labels, explanations and the rules that were used, through HTTP, for every task."""

import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from fastapi import FastAPI
from hypothesis import given, strategies as st

from serving.bundle import Calibration, Conformal
from tests.serving.asking import app_of, as_csv, ask
from tests.serving.bundles import PATIENT_COLUMNS, PATIENT_ROW, SALES_COLUMNS, SALES_ROW, publish

CLASSES = {"sales": (), "relapse": ("no", "yes"), "risk": ("low", "middling", "high")}
TASKS = list(CLASSES)
WIDTHS = [0.25 * rank for rank in range(1, 101)]  # of the residuals that sales are calibrated with
SALES_ROWS: list[dict[str, Any]] = [
    SALES_ROW,
    {"Temperatur in °C": 0.0, "humidity": 80},
    {"Temperatur in °C": -4.0, "humidity": 3},
]
PATIENT_ROWS: list[dict[str, Any]] = [
    PATIENT_ROW,
    PATIENT_ROW | {"age": 80, "city": "unseen, with a comma", "left": "2024-02-29"},
    PATIENT_ROW | {"city": None, "blood pressure": 180.5, "smoker": True},
]


def calibration(name: str, *, n_rows: int = 100) -> Calibration:
    scores = WIDTHS if name == "sales" else np.linspace(0.3, 0.99, 100)
    method = "absolute_residual" if name == "sales" else "lac"
    return Calibration(conformal=Conformal(method=method, rows=n_rows, scores=tuple(scores[:n_rows])))


def rows_of(name: str) -> list[dict[str, Any]]:
    return SALES_ROWS if name == "sales" else PATIENT_ROWS


def path_of(name: str, query: str = "") -> str:
    return f"/models/{name}/predict{query}"


def publish_task(root: Path, name: str, **more: Any) -> None:
    columns = SALES_COLUMNS if name == "sales" else PATIENT_COLUMNS
    publish(root, name=name, version=1, columns=columns, rows=rows_of(name)[:1], classes=CLASSES[name], **more)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    root = tmp_path_factory.mktemp("bundles")
    for name in TASKS:
        publish_task(root, name, calibration=calibration(name), background=tuple(rows_of(name)))
    return app_of(root)


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    """Bundles as they were before calibration."""
    root = tmp_path_factory.mktemp("old")
    for name in TASKS:
        publish_task(root, name)
    return app_of(root)


def answer_of(app: FastAPI, name: str, query: str = "", rows: Any = None) -> Any:
    answered = ask(app, "POST", path_of(name, query), json={"rows": rows or rows_of(name)})
    assert answered.status_code == 200, answered.text
    return answered.json()


def answered(app: FastAPI, name: str, query: str = "", rows: Any = None) -> list[dict[str, Any]]:
    predictions: list[dict[str, Any]] = answer_of(app, name, query, rows)["predictions"]
    return predictions


def test_a_value_has_an_interval_unasked(app: FastAPI):
    answer = answer_of(app, "sales")
    assert answer["coverage"] == 0.9
    for prediction in answer["predictions"]:
        # The score of rank ceil(101 * 0.9) = 91.
        assert prediction["interval"]["upper"] - prediction["value"] == pytest.approx(WIDTHS[90])
        assert prediction["value"] - prediction["interval"]["lower"] == pytest.approx(WIDTHS[90])


@pytest.mark.parametrize(
    ("coverage", "rank"), [("0.5", 51), ("0.95", 96), ("9e-1", 91), ("0.99", 100), (".01", 2), ("1e-12", 1)]
)
def test_an_interval_is_as_wide_as_the_coverage_asks(app: FastAPI, coverage: str, rank: int):
    answer = answer_of(app, "sales", f"?coverage={coverage}")
    assert answer["coverage"] == float(coverage)
    prediction = answer["predictions"][0]
    assert prediction["interval"]["upper"] - prediction["value"] == pytest.approx(WIDTHS[rank - 1])


@pytest.mark.parametrize("name", ["relapse", "risk"])
def test_a_set_of_labels_is_there_when_asked_and_grows_with_the_coverage(app: FastAPI, name: str):
    assert "coverage" not in answer_of(app, name)
    assert all("label_set" not in prediction for prediction in answered(app, name))
    before = [set[str]() for _ in rows_of(name)]
    for coverage in ("1e-12", "0.05", "0.5", "0.8", "0.95"):
        found = answered(app, name, f"?coverage={coverage}")
        sets = [set(prediction["label_set"]) for prediction in found]
        assert all(
            prediction["label"] in labels <= set(CLASSES[name]) for prediction, labels in zip(found, sets, strict=True)
        )
        assert all(smaller <= larger for smaller, larger in zip(before, sets, strict=True))
        before = sets
    assert before[0] == set(CLASSES[name])


def test_the_rules_used_are_named_row_by_row(app: FastAPI):
    assert [prediction.get("rules") for prediction in answered(app, "sales")] == [{"humidity": "missing"}, None, None]
    for name in ("relapse", "risk"):
        assert [prediction.get("rules") for prediction in answered(app, name)] == [
            {"blood pressure": "missing", "left": "missing"},
            {"blood pressure": "missing", "city": "unseen"},
            {"left": "missing", "city": "missing"},
        ]


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("query", ["", "?coverage=0.8", "?explain=true", "?coverage=0.8&explain=true"])
def test_columns_are_answered_as_rows_are(app: FastAPI, name: str, query: str):
    columns = {column: [row[column] for row in rows_of(name)] for column in rows_of(name)[0]}
    by_columns = ask(app, "POST", path_of(name, query), json={"columns": columns}).json()
    assert by_columns == answer_of(app, name, query)


def explained_value(prediction: dict[str, Any]) -> float:
    value: float = prediction["value"] if "value" in prediction else prediction["probabilities"][prediction["label"]]
    return value


def assert_adds_up(prediction: dict[str, Any], columns: Any) -> None:
    explanation = prediction["explanation"]
    assert list(explanation["contributions"]) == list(columns)
    total = explanation["base"] + sum(explanation["contributions"].values())
    assert total == pytest.approx(explained_value(prediction), rel=1e-9, abs=1e-9)


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.none() | st.integers(-100, 1000)), min_size=1, max_size=5))
def test_contributions_to_a_value_add_up_to_it(app: FastAPI, cells: list[tuple[float, int | None]]):
    rows = [dict(zip(SALES_ROW, row, strict=True)) for row in cells]
    for prediction in answered(app, "sales", "?explain=true", rows):
        assert_adds_up(prediction, SALES_ROW)


@given(
    st.fixed_dictionaries(
        {
            "age": st.integers(0, 120),
            "blood pressure": st.none() | st.floats(0, 300),
            "smoker": st.booleans(),
            "city": st.none() | st.text("abern", max_size=4),
        }
    )
)
def test_contributions_to_a_probability_add_up_to_it(app: FastAPI, cells: dict[str, Any]):
    for name in ("relapse", "risk"):
        for prediction in answered(app, name, "?explain=true", [PATIENT_ROW | cells]):
            assert_adds_up(prediction, PATIENT_ROW)


def test_a_sum_of_columns_is_explained_by_what_each_of_them_adds(app: FastAPI):
    """The model of sales is a weighted sum, so a contribution is a weight times the distance from the mean."""
    changed = [SALES_ROWS[1], SALES_ROWS[1] | {"Temperatur in °C": 10.0}]
    cold, warm = answered(app, "sales", "?explain=true", changed)
    added = warm["explanation"]["contributions"]["Temperatur in °C"]
    weight = (warm["value"] - cold["value"]) / 10
    mean = np.mean([row["Temperatur in °C"] for row in SALES_ROWS])
    assert added == pytest.approx(weight * (10 - mean), rel=1e-4)
    assert warm["explanation"]["contributions"]["humidity"] == pytest.approx(
        cold["explanation"]["contributions"]["humidity"], rel=1e-4
    )


def test_the_same_question_has_the_same_explanation(app: FastAPI):
    assert answered(app, "risk", "?explain=true") == answered(app, "risk", "?explain=true")


def tables_of(app: FastAPI, name: str, query: str) -> dict[str, pl.DataFrame]:
    """The answer to CSV as CSV and as Arrow."""
    body, path = as_csv(rows_of(name)), path_of(name, query)
    sent = {"Content-Type": "text/csv"}
    arrow = {**sent, "Accept": "application/vnd.apache.arrow.stream"}
    return {
        "csv": pl.read_csv(io.BytesIO(ask(app, "POST", path, content=body, headers=sent).content)),
        "arrow": pl.read_ipc_stream(io.BytesIO(ask(app, "POST", path, content=body, headers=arrow).content)),
    }


@pytest.mark.parametrize("name", TASKS)
def test_a_table_has_what_is_asked_for_as_columns(app: FastAPI, name: str):
    expected = answered(app, name, "?coverage=0.8&explain=true")
    plain = ["prediction", *(f"probability_{label}" for label in CLASSES[name])]
    for table in tables_of(app, name, "").values():
        assert table.columns == plain
    for table in tables_of(app, name, "?coverage=0.8&explain=true").values():
        certain = [f"in_set_{label}" for label in CLASSES[name]] or ["lower", "upper"]
        contributions = [f"contribution_{column}" for column in rows_of(name)[0]]
        assert table.columns == [*plain, *certain, "base", *contributions, "rules"]
        for row, found in zip(table.iter_rows(named=True), expected, strict=True):
            if CLASSES[name]:
                assert [label for label in CLASSES[name] if row[f"in_set_{label}"] is True] == found["label_set"]
            else:
                assert {end: row[end] for end in ("lower", "upper")} == pytest.approx(found["interval"])
            added = [row[column] for column in contributions]
            assert added == pytest.approx(list(found["explanation"]["contributions"].values()))
            rules = "; ".join(f"{column}: {why}" for column, why in found.get("rules", {}).items())
            assert (row["rules"] or "") == rules


BAD_QUERIES: list[tuple[str, list[str], str]] = [
    *[
        (f"coverage={value}", ["query", "coverage"], "Input should be a number above 0 and below 1")
        for value in ("0", "1", "1.5", "-0.1", "nan", "inf", "", "high", "0,9", "0_1.0", "%200.9", "90%25", "1e-400")
    ],
    ("coverage=0.5&coverage=0.9", ["query", "coverage"], "Given 2 times"),
    ("coverage=0.999", ["query", "coverage"], "It needs 999 calibration rows, and this model has 100. Ask for at most"),
    ("explain=maybe", ["query", "explain"], "Input should be true or false"),
    ("explain=True", ["query", "explain"], "Input should be true or false"),
    ("explain", ["query", "explain"], "Input should be true or false"),
    ("&".join(f"a{place}=1" for place in range(200)), ["query"], "More than 100 fields"),
]


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize(("query", "path", "said"), BAD_QUERIES, ids=[bad[0][:30] for bad in BAD_QUERIES])
def test_a_query_that_cannot_be_answered_is_refused(app: FastAPI, name: str, query: str, path: list[str], said: str):
    refused = ask(app, "POST", path_of(name, f"?{query}"), json={"rows": rows_of(name)})
    assert refused.status_code == 422, refused.text
    error = refused.json()["error"]
    assert error["code"] == "invalid_request"
    (detail,) = error["details"]
    assert detail["path"] == path
    assert detail["message"].startswith(said)


def test_both_mistakes_of_a_query_are_named(app: FastAPI):
    refused = ask(app, "POST", path_of("risk", "?coverage=2&explain=2"), json={"rows": PATIENT_ROWS})
    assert [detail["path"][1] for detail in refused.json()["error"]["details"]] == ["coverage", "explain"]


def test_the_largest_coverage_that_is_named_is_answered(app: FastAPI):
    refused = ask(app, "POST", path_of("sales", "?coverage=0.9999"), json={"rows": SALES_ROWS})
    most = refused.json()["error"]["details"][0]["message"].rpartition(" ")[2]
    assert float(most) > 0.98
    answered(app, "sales", f"?coverage={most}")


def test_the_largest_coverage_that_is_described_is_the_largest_that_is_answered(app: FastAPI):
    described = ask(app, "GET", "/openapi.json").json()["paths"][path_of("risk")]["post"]["parameters"]
    (most,) = [parameter["schema"]["maximum"] for parameter in described if parameter["name"] == "coverage"]
    answered(app, "risk", f"?coverage={most}")
    more = ask(app, "POST", path_of("risk", f"?coverage={math.nextafter(most, 1)}"), json={"rows": PATIENT_ROWS})
    assert more.status_code == 422


def test_a_field_that_means_nothing_here_is_passed_over(app: FastAPI):
    assert answer_of(app, "risk", "?key=%FF&explain=false") == answer_of(app, "risk")


@pytest.mark.parametrize("name", TASKS)
def test_an_old_bundle_answers_without_and_says_why(old: FastAPI, name: str):
    answer = answer_of(old, name)
    assert answer.keys() == {"model", "version", "predictions"}
    assert "interval" not in answer["predictions"][0]
    assert answer["predictions"][0]["rules"]
    for query, said in (
        ("coverage=0.9", "This version of the model was exported without calibration rows"),
        ("explain=true", "This version of the model was exported without rows to explain against"),
    ):
        refused = ask(old, "POST", path_of(name, f"?{query}"), json={"rows": rows_of(name)})
        assert refused.status_code == 422
        assert refused.json()["error"]["details"][0]["message"].startswith(said)


def test_a_value_has_no_interval_unasked_where_too_few_rows_calibrated_it(tmp_path: Path):
    publish_task(tmp_path, "sales", calibration=calibration("sales", n_rows=8))
    app = app_of(tmp_path)
    assert "interval" not in answered(app, "sales")[0]
    assert "interval" in answered(app, "sales", "?coverage=0.8")[0]


def test_more_rows_than_are_explained_at_once_are_refused(app: FastAPI):
    rows = [SALES_ROWS[1]] * 101
    refused = ask(app, "POST", path_of("sales", "?explain=true"), json={"rows": rows})
    assert (refused.status_code, refused.json()["error"]["code"]) == (413, "too_many_rows")
    assert "101 rows, at most 100" in refused.text
    assert len(answered(app, "sales", "?explain=true", rows[:100])) == 100


def test_what_is_not_finite_is_not_explained(tmp_path: Path):
    """A prediction on the way may be too large where that at its end is not."""
    publish_task(tmp_path, "sales", background=({"Temperatur in °C": 1e300, "humidity": 3},))
    refused = ask(app_of(tmp_path), "POST", path_of("sales", "?explain=true"), json={"rows": SALES_ROWS})
    assert refused.status_code == 422
    assert refused.json()["error"]["message"] == "There is no finite explanation."


def parameters_of(app: FastAPI, name: str) -> dict[str, Any]:
    described = ask(app, "GET", "/openapi.json").json()["paths"][path_of(name)]["post"]["parameters"]
    return {parameter["name"]: parameter["schema"] for parameter in described}


def test_only_what_a_model_can_say_is_described(app: FastAPI, old: FastAPI):
    for name in TASKS:
        assert parameters_of(old, name).keys() == {"traffic"}
        parameters = parameters_of(app, name)
        assert parameters["explain"] == {"type": "boolean", "default": False}
        assert parameters["coverage"]["maximum"] == pytest.approx(100 / 101)
        assert parameters["coverage"].get("default") == (0.9 if name == "sales" else None)


@pytest.mark.parametrize("name", TASKS)
def test_full_answers_fit_the_model_that_describes_them(app: FastAPI, name: str):
    document = ask(app, "GET", "/openapi.json").json()
    (form,) = [
        schema for title, schema in document["components"]["schemas"].items() if title.startswith(f"{name}_answer")
    ]
    assert form["required"] == ["model", "version", "predictions"]
    assert {"type": "number"}.items() <= form["properties"]["coverage"].items()
    for query in ("", "?coverage=0.8&explain=true"):
        assert answer_of(app, name, query).keys() <= form["properties"].keys()
