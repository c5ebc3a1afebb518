"""One model, asked by the clients that exist: JSON by rows and by columns, CSV and Arrow give the same answers."""

import gzip
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from fastapi import FastAPI

from serving.reading import media_types
from serving.reading.media_types import ARROW, CSV, JSON
from tests.serving.asking import app_of, as_csv, ask
from tests.serving.bundles import PATIENT_ROW, SALES_COLUMNS, SALES_ROW, publish, publish_patients, publish_sales

PATIENTS = "/models/patients/predict"
SALES = "/models/ice cream/predict"
CLASSES = ["low", "middling", "high"]
ROWS: list[dict[str, Any]] = [
    PATIENT_ROW,
    PATIENT_ROW | {"age": 7.5, "blood pressure": 120, "smoker": True, "city": None, "left": "2024-02-29"},
    PATIENT_ROW | {"city": "unseen, with a comma", "ward": "A", "joined": "1999-12-31T23:59:59Z"},
]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    root = tmp_path_factory.mktemp("bundles")
    publish_patients(root)
    publish_sales(root)
    return app_of(root, max_rows=20, max_body_bytes=1_000_000)


def post(app: FastAPI, content: bytes, sent: str, *, path: str = PATIENTS, **headers: str) -> Any:
    return ask(app, "POST", path, content=content, headers={"Content-Type": sent, **headers})


def expected(app: FastAPI) -> np.ndarray:
    """Probabilities of `ROWS`, [3, 3]."""
    answered = ask(app, "POST", PATIENTS, json={"rows": ROWS}).json()["predictions"]
    return np.array([[own["probabilities"][name] for name in CLASSES] for own in answered])


def as_stream(table: pa.Table, **options: Any) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue().to_pybytes())


def check_json(answer: Any, probabilities: np.ndarray) -> None:
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == JSON
    found = [[own["probabilities"][name] for name in CLASSES] for own in answer.json()["predictions"]]
    np.testing.assert_allclose(found, probabilities, rtol=1e-6)


def test_columns_of_json_are_answered_as_rows(app: FastAPI):
    columns = {name: [row[name] for row in ROWS] for name in reversed(PATIENT_ROW)}
    check_json(ask(app, "POST", PATIENTS, json={"columns": columns}), expected(app))


def test_a_pandas_client(app: FastAPI):
    table = pd.DataFrame(ROWS).assign(ward=lambda own: own["ward"].astype("category"))
    by_csv = post(app, table.to_csv(index=False).encode(), CSV)
    assert by_csv.headers["Content-Type"] == "text/csv; charset=utf-8"
    by_arrow = post(app, as_stream(pa.Table.from_pandas(table, preserve_index=False)), ARROW)
    for answered in (
        pd.read_csv(io.BytesIO(by_csv.content)),
        pa.ipc.open_stream(by_arrow.content).read_all().to_pandas(),
    ):
        assert list(answered) == ["prediction", "probability_low", "probability_middling", "probability_high"]
        np.testing.assert_allclose(answered.iloc[:, 1:], expected(app), rtol=1e-6)
        assert answered["prediction"].tolist() == [CLASSES[own] for own in expected(app).argmax(axis=1)]


def test_a_polars_client(app: FastAPI):
    table = pl.DataFrame(ROWS).with_columns(
        pl.col("city").cast(pl.Categorical),
        pl.col("left").str.to_date(),
    )
    stream = io.BytesIO()
    table.write_ipc_stream(stream)
    by_arrow = post(app, stream.getvalue(), ARROW)
    assert by_arrow.headers["Content-Type"] == ARROW, by_arrow.text
    answered = pl.read_ipc_stream(by_arrow.content)
    np.testing.assert_allclose(answered.drop("prediction").to_numpy(), expected(app), rtol=1e-6)
    answered = pl.read_csv(post(app, table.write_csv().encode(), CSV).content)
    np.testing.assert_allclose(answered.drop("prediction").to_numpy(), expected(app), rtol=1e-6)


def test_a_pyarrow_client_with_types_of_every_kind(app: FastAPI):
    moments = pa.array(["2021-06-30T10:00:00", "2021-06-30T10:00:00", "1999-12-31T23:59:59"]).cast(pa.timestamp("s"))
    table = pa.table(
        {
            "age": pa.array([41, 7.5, 41]).cast(pa.decimal128(5, 2)),
            "blood pressure": pa.array([None, 120, None], pa.int16()),
            "smoker": [False, True, False],
            "city": pa.array(["Zürich", None, "unseen, with a comma"]).dictionary_encode(),
            "ward": pa.array(["B", "B", "A"], pa.large_string()),
            "joined": moments.cast(pa.timestamp("s", "UTC")).cast(pa.timestamp("ns", "Europe/Zurich")),
            "left": pa.array([None, "2024-02-29", None]).cast(pa.date32()),
        }
    )
    assert pa.ipc.open_stream(post(app, as_stream(table), ARROW).content).schema.metadata == {
        b"model": b"patients",
        b"version": b"1",
    }
    for options in ({}, {"compression": "zstd"}, {"compression": "lz4"}):
        batches = pa.concat_tables([table[:1], table[1:]])
        check_json(post(app, as_stream(batches, **options), ARROW, Accept=JSON), expected(app))


def test_a_schema_is_not_taken_for_the_one_before(app: FastAPI):
    """The last that fitted is remembered; another may have the same names in another order, or of other types."""
    table = pa.Table.from_pandas(pd.DataFrame(ROWS), preserve_index=False)
    reversed_table = table.select(table.column_names[::-1])
    place = table.column_names.index("ward")
    encoded = table.set_column(place, "ward", table["ward"].dictionary_encode())
    for own in (table, reversed_table, encoded, table.replace_schema_metadata({"a": "b"}), table):
        check_json(post(app, as_stream(own), ARROW, Accept=JSON), expected(app))
    wrong = table.set_column(table.column_names.index("age"), "age", pa.array(["old"] * len(table)))
    answer = post(app, as_stream(wrong), ARROW)
    assert answer.status_code == 422
    assert answer.json()["error"]["details"] == [
        {"path": ["columns", "age"], "message": "A numeric column cannot be string"}
    ]
    check_json(post(app, as_stream(table), ARROW, Accept=JSON), expected(app))


def test_a_regression_is_answered_with_a_column_of_values(app: FastAPI):
    (value,) = (own["value"] for own in ask(app, "POST", SALES, json={"rows": [SALES_ROW]}).json()["predictions"])
    answer = post(app, as_csv([SALES_ROW]), CSV, path=SALES)
    assert answer.text == f"prediction\n{value}\n"
    assert answer.headers["X-Model-Version"] == "1"


@pytest.mark.parametrize("accepted", ["text/csv", "text/csv;charset=utf-8", "text/*"])
def test_labels_in_csv_are_declared_as_utf_8(tmp_path: Path, accepted: str):
    """What is text and says nothing is Latin 1 to many a client."""
    columns, row = SALES_COLUMNS[:1], {SALES_COLUMNS[0].name: 30.0}
    publish(tmp_path, name="sales", version=1, columns=columns, rows=[row], classes=("schön", "wüst"))
    answer = ask(app_of(tmp_path), "POST", "/predict", json={"rows": [row]}, headers={"Accept": accepted})
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.text.startswith("prediction,probability_schön,probability_wüst\n")


def test_a_spreadsheets_csv_is_read(app: FastAPI):
    content = b"\xef\xbb\xbf" + as_csv(ROWS).replace(b"True", b"TRUE").replace(b"False", b"false") + b"\r\n"
    check_json(post(app, content, CSV, Accept=JSON), expected(app))


ACCEPTED: list[tuple[str, str, str]] = [
    (JSON, "", JSON),
    (CSV, "", CSV),
    (ARROW, "*/*", ARROW),
    (JSON, "text/csv", CSV),
    (JSON, "TEXT/CSV; charset=utf-8", CSV),
    (CSV, "application/json", JSON),
    (CSV, "text/*;q=0.5, application/json;q=0.4", CSV),
    (CSV, "text/*;q=0.5, application/json", JSON),
    (JSON, "application/json;q=0, */*;q=0.1", CSV),
    (ARROW, "text/html, application/xhtml+xml, */*;q=0.8", ARROW),
    (CSV, "application/*", JSON),
    (JSON, "nonsense, ;;, text/csv;q=7", JSON),
]


@pytest.mark.parametrize(("sent", "accepted", "wanted"), ACCEPTED)
def test_the_answer_comes_in_what_accept_likes_best_and_else_as_the_body_came(sent: str, accepted: str, wanted: str):
    assert media_types.answer_media(accepted, sent=sent) == wanted


@pytest.mark.parametrize("accepted", ["text/html", "image/*, application/xml", "*/*;q=0"])
def test_what_cannot_be_written_is_not_acceptable(app: FastAPI, accepted: str):
    answer = post(app, as_csv(ROWS), CSV, Accept=accepted)
    assert (answer.status_code, answer.json()["error"]["code"]) == (406, "not_acceptable")
    assert "text/csv" in answer.json()["error"]["message"]


def test_a_body_may_be_compressed(app: FastAPI):
    check_json(post(app, gzip.compress(as_csv(ROWS)), CSV, Accept=JSON, **{"Content-Encoding": "gzip"}), expected(app))
    bomb = gzip.compress(b" " * 10_000_000)
    for content, encoding, status in ((b"x", "gzip", 422), (bomb, "gzip", 413), (as_csv(ROWS), "br", 415)):
        assert post(app, content, CSV, **{"Content-Encoding": encoding}).status_code == status


def test_another_encoding_of_csv_is_not_read(app: FastAPI):
    assert post(app, as_csv(ROWS), "text/csv; charset=utf-8").status_code == 200
    assert post(app, as_csv(ROWS), "text/csv; charset=latin-1").status_code == 415


def test_without_pyarrow_arrow_is_answered_with_what_to_install(app: FastAPI, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(media_types, "HAS_ARROW", False)
    monkeypatch.setattr(media_types, "MEDIA", (JSON, CSV))
    media_types.body_media.cache_clear()
    media_types.answer_media.cache_clear()
    for answer, status in ((post(app, b"", ARROW), 415), (post(app, b"", CSV, Accept=ARROW), 406)):
        assert answer.status_code == status
        assert "pip install pyarrow" in answer.json()["error"]["message"]
    media_types.body_media.cache_clear()
    media_types.answer_media.cache_clear()


def line(**changes: Any) -> bytes:
    return as_csv([PATIENT_ROW | changes])


def columns(**changes: Any) -> bytes:
    return json.dumps({"columns": {name: [value] for name, value in PATIENT_ROW.items()} | changes}).encode()


def stream(**changes: Any) -> bytes:
    return as_stream(pa.table({name: [value] for name, value in PATIENT_ROW.items()} | changes))


WRONG: dict[str, tuple[str, bytes, list[str | int], str]] = {
    "no header": (CSV, b"", [], "There is no header"),
    "only a header": (CSV, as_csv(ROWS).splitlines()[0], [], "There is no line after the header"),
    "Latin 1": (CSV, as_csv(ROWS).decode().encode("latin-1"), [], "It is not encoded as UTF-8"),
    "an open quote": (CSV, line() + b'"', [], "unexpected end of data"),
    "semicolons": (CSV, line().replace(b",", b";"), ["columns", ";".join(PATIENT_ROW)], "There is no such column"),
    "a cell too few": (CSV, line()[:-3] + b"\r\n", ["rows", 0], "6 cells, and the header has 7"),
    "text for a number": (CSV, line(age="old"), ["columns", "age", 0], "Input should be a valid number"),
    "nan in CSV": (CSV, line(age="nan"), ["columns", "age", 0], "the column had no missing values in training"),
    "NAN in CSV": (CSV, line(age="NAN"), ["columns", "age", 0], "Input should be a valid number"),
    "an underscore": (CSV, line(age="1_0"), ["columns", "age", 0], "Input should be a valid number"),
    "digits of Devanagari": (CSV, line(age="४"), ["columns", "age", 0], "Input should be a valid number"),
    "1 for a truth": (CSV, line(smoker="1"), ["columns", "smoker", 0], "Input should be a valid boolean"),
    "an empty cell": (CSV, line(ward=""), ["columns", "ward", 0], "null is not accepted"),
    "no date": (CSV, line(joined="1.2.2024"), ["columns", "joined", 0], "Input should be an ISO 8601 date"),
    "a near name": (CSV, line().replace(b"smoker", b"smokr"), ["columns", "smokr"], "Did you mean 'smoker'?"),
    "twice a name": (CSV, line().replace(b"ward", b"city"), ["columns", "city"], "more than one column of this name"),
    "an unknown column": (JSON, columns(height=[1]), ["columns", "height"], "There is no such column"),
    "a cell for a column": (JSON, columns(age=1), ["columns", "age"], "Input should be a list of values"),
    "a column too long": (JSON, columns(city=["A", "B"]), ["columns", "city"], "2 values, and 'age' has 1"),
    "empty columns": (JSON, b'{"columns": {}}', ["columns", "age"], "This column is missing"),
    "columns in a list": (JSON, b'{"columns": []}', ["columns"], "Input should be an object"),
    "rows and columns": (JSON, columns()[:-1] + b', "rows": []}', ["columns"], "Send one of them"),
    "a wrong cell": (JSON, columns(age=["x"]), ["columns", "age", 0], "Input should be a valid number"),
    "NaN in columns": (JSON, columns(age=[float("nan")]), ["columns", "age", 0], "Input should be a finite number"),
    "no stream": (ARROW, b"age,city", [], ""),
    "an empty body": (ARROW, b"", [], ""),
    "cut off": (ARROW, stream()[:-50], [], ""),
    "a file": (ARROW, b"ARROW1\0\0" + stream(), [], "This is a file (Feather)"),
    "text for numbers": (ARROW, stream(age=["41"]), ["columns", "age"], "A numeric column cannot be string"),
    "truths for numbers": (ARROW, stream(age=[True]), ["columns", "age"], "A numeric column cannot be bool"),
    "numbers for truths": (ARROW, stream(smoker=[1]), ["columns", "smoker"], "A boolean column cannot be int64"),
    "lists": (ARROW, stream(city=[["Bern"]]), ["columns", "city"], "A categorical column cannot be list<"),
    "another column": (ARROW, stream(height=[1]), ["columns", "height"], "There is no such column"),
    "an infinite number": (ARROW, stream(age=[float("inf")]), ["columns", "age", 0], "The value is infinite"),
    "a missing number": (ARROW, stream(age=[None]), ["columns", "age", 0], "The value is missing"),
    "the year 0": (ARROW, stream(joined=["0000-06-30"]), ["columns", "joined", 0], "The value is no ISO 8601 date"),
    "no date in a stream": (ARROW, stream(joined=["soon"]), ["columns", "joined", 0], "The value is no ISO 8601 date"),
    "no rows": (ARROW, as_stream(pa.table({name: pa.nulls(0) for name in PATIENT_ROW})), [], "There is no row"),
}


@pytest.mark.parametrize(("sent", "content", "path", "message"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_named_by_column_and_row(
    app: FastAPI, *, sent: str, content: bytes, path: list[str | int], message: str
):
    answer = post(app, content, sent)
    assert answer.status_code == 422, answer.text
    error = answer.json()["error"]
    assert error["code"] == "invalid_request"
    assert error["details"][0]["path"] == path
    assert message in error["details"][0]["message"]


@pytest.mark.parametrize(
    ("sent", "content"),
    [
        (CSV, as_csv([PATIENT_ROW] * 21)),
        (JSON, json.dumps({"columns": {name: [value] * 21 for name, value in PATIENT_ROW.items()}}).encode()),
        (ARROW, as_stream(pa.table({name: pa.nulls(10**9) for name in PATIENT_ROW}))),
    ],
    ids=["CSV", "JSON", "a billion rows that take no bytes"],
)
def test_too_many_rows_are_refused_before_they_are_read(app: FastAPI, sent: str, content: bytes):
    answer = post(app, content, sent)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_many_rows")


def test_a_number_too_large_for_the_model_is_refused_in_every_form(app: FastAPI):
    for sent, content in ((JSON, columns(age=[1e300])), (CSV, line(age=1e300)), (ARROW, stream(age=[1e300]))):
        (detail,) = post(app, content, sent).json()["error"]["details"]
        assert detail == {"path": ["rows", 0], "message": "A number of this row is too large to compute with"}
