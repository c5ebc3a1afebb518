"""What a client can get wrong beyond one wrong cell, and what it can try on purpose: each has its own answer."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import FastAPI

from tests.serving.asking import JSON, app_of, ask
from tests.serving.bundles import PATIENT_ROW, SALES_ROW, publish_patients, publish_sales

PATIENTS = "/models/patients/predict"
SALES = "/models/ice cream/predict"
MAX_ROWS, MAX_BYTES = 20, 1_000_000
SECRETS = ("Traceback", ".py", "site-packages", "onnxruntime", "contract.json", "model.onnx")
Place = list[str | int]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    root = tmp_path_factory.mktemp("bundles")
    publish_patients(root)
    publish_sales(root)
    return app_of(root, max_rows=MAX_ROWS, max_body_bytes=MAX_BYTES)


def body(**changes: Any) -> bytes:
    return json.dumps({"rows": [PATIENT_ROW | changes]}, ensure_ascii=False).encode()


def token(column: str, text: str) -> bytes:
    """A request in which a cell is written as given, JSON or not."""
    return body(**{column: "here"}).replace(b'"here"', text.encode())


def sales(**changes: Any) -> bytes:
    return json.dumps({"rows": [SALES_ROW | changes]}).encode()


WRONG_CELLS: dict[str, tuple[str, bytes, Place]] = {
    "a name with a space": (PATIENTS, body(**{"blood pressure": "low"}), ["rows", 0, "blood pressure"]),
    "a name that is not ASCII": (SALES, sales(**{"Temperatur in °C": None}), ["rows", 0, "Temperatur in °C"]),
    "a name of our own for a column": (SALES, sales(column_0=1), ["rows", 0, "column_0"]),
    "a number too large for a float": (PATIENTS, token("age", "1" + "0" * 400), ["rows", 0, "age"]),
    "a number too large for the model": (PATIENTS, token("age", "1e300"), ["rows", 0]),
    "minus 1e400": (PATIENTS, token("age", "-1e400"), ["rows", 0, "age"]),
    "NaN for a label": (PATIENTS, token("city", "NaN"), ["rows", 0, "city"]),
    "1e400 for a label": (PATIENTS, token("city", "1e400"), ["rows", 0, "city"]),
    "an object for a label": (PATIENTS, token("city", "{}"), ["rows", 0, "city"]),
    "an empty label that never was missing": (PATIENTS, body(ward=""), ["rows", 0, "ward"]),
    "null for a truth": (PATIENTS, body(smoker=None), ["rows", 0, "smoker"]),
    "NaN for a truth": (PATIENTS, token("smoker", "NaN"), ["rows", 0, "smoker"]),
    "null for a date that never was missing": (PATIENTS, body(joined=None), ["rows", 0, "joined"]),
    "an empty date": (PATIENTS, body(left=""), ["rows", 0, "left"]),
    "month 13": (PATIENTS, body(left="2024-13-01"), ["rows", 0, "left"]),
    "hour 25": (PATIENTS, body(left="2024-01-01T25:00"), ["rows", 0, "left"]),
    "a date in words": (PATIENTS, body(left="31.12.2024"), ["rows", 0, "left"]),
    "true for a date": (PATIENTS, body(left=True), ["rows", 0, "left"]),
}
NO_JSON: dict[str, bytes] = {
    "a number of 5,000 digits": token("age", "1" + "0" * 5_000),
    "half a surrogate": token("city", '"\\ud800"'),
    "a comment": body() + b" // my patients",
    "single quotes": body().replace(b'"', b"'"),
    "a comma too many": body().replace(b"}]}", b",}]}"),
    "a byte order mark": b"\xef\xbb\xbf" + body(),
    "UTF-16": body().decode().encode("utf-16"),
    "Latin 1": body().decode().encode("latin-1"),
    "100,000 open brackets": b"[" * 100_000,
    "100,000 nested lists in a cell": token("age", "[" * 100_000 + "]" * 100_000),
    "100,000 nested objects": b'{"rows":' * 100_000,
}
REFUSED: dict[str, tuple[str, str, bytes, dict[str, str], int, str]] = {
    "no content type": ("POST", PATIENTS, body(), {}, 415, "wrong_content_type"),
    "an empty content type": ("POST", PATIENTS, body(), {"Content-Type": ""}, 415, "wrong_content_type"),
    "text": ("POST", PATIENTS, body(), {"Content-Type": "text/plain"}, 415, "wrong_content_type"),
    "JSON in name alone": ("POST", PATIENTS, body(), {"Content-Type": "application/jsonp"}, 415, "wrong_content_type"),
    "two models and no name": ("POST", "/predict", body(), JSON, 404, "unknown_model"),
    "another case": ("POST", "/models/Patients/predict", body(), JSON, 404, "unknown_model"),
    "dots for a name": ("POST", "/models/%2e%2e/predict", body(), JSON, 404, "unknown_model"),
    "a null byte in the name": ("POST", "/models/patients%00/predict", body(), JSON, 404, "unknown_model"),
    "a name that is no UTF-8": ("POST", "/models/%ff/predict", body(), JSON, 404, "unknown_model"),
    "upwards": ("POST", "/models/..%2f/predict", body(), JSON, 404, "not_found"),
    "a file of the machine": ("GET", "/models/..%2f..%2f..%2fetc%2fpasswd", b"", {}, 404, "not_found"),
    "a bundle's file": ("GET", "/models/patients/1/model.onnx", b"", {}, 404, "not_found"),
    "a slash at the end": ("POST", f"{PATIENTS}/", body(), JSON, 404, "not_found"),
    "GET": ("GET", PATIENTS, b"", {}, 405, "method_not_allowed"),
    "DELETE a model": ("DELETE", "/models/patients", b"", {}, 405, "method_not_allowed"),
    "POST to health": ("POST", "/ready", body(), JSON, 405, "method_not_allowed"),
}


def check_refusal(app: FastAPI, answer: Any, *, status: int, code: str) -> Any:
    """The answer is the documented one, tells nothing of the machine, and the process goes on."""
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert error["code"] == code
    assert [word for word in SECRETS if word in answer.text] == []
    assert ask(app, "POST", PATIENTS, content=body(), headers=JSON).status_code == 200
    return error


def test_there_are_enough_bad_requests():
    assert len(WRONG_CELLS) + len(NO_JSON) + len(REFUSED) >= 40


@pytest.mark.parametrize(("path", "content", "place"), WRONG_CELLS.values(), ids=WRONG_CELLS)
def test_a_wrong_cell_is_answered_with_the_path_to_it(app: FastAPI, path: str, content: bytes, place: Place):
    answer = ask(app, "POST", path, content=content, headers=JSON)
    error = check_refusal(app, answer, status=422, code="invalid_request")
    assert [detail["path"] for detail in error["details"]] == [place]


@pytest.mark.parametrize("content", NO_JSON.values(), ids=NO_JSON)
def test_a_body_that_is_no_json_is_answered_with_where_it_ceases_to_be(app: FastAPI, content: bytes):
    answer = ask(app, "POST", PATIENTS, content=content, headers=JSON)
    error = check_refusal(app, answer, status=422, code="invalid_request")
    (detail,) = error["details"]
    assert detail["path"] == []
    assert detail["message"].startswith("Invalid JSON: ")


@pytest.mark.parametrize(("method", "path", "content", "headers", "status", "code"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_request_for_a_prediction_has_its_own_answer(
    app: FastAPI, *, method: str, path: str, content: bytes, headers: dict[str, str], status: int, code: str
):
    answer = ask(app, method, path, content=content, headers=headers)
    check_refusal(app, answer, status=status, code=code)


def test_rows_are_counted_before_they_are_read(app: FastAPI):
    content = b'{"rows": [' + b"1," * MAX_ROWS + b"1]}"
    error = check_refusal(
        app, ask(app, "POST", PATIENTS, content=content, headers=JSON), status=413, code="too_many_rows"
    )
    assert error["details"] == [{"path": ["rows"], "message": "21 rows, at most 20"}]


def test_as_many_rows_as_allowed_are_answered(app: FastAPI):
    answer = ask(app, "POST", PATIENTS, json={"rows": [PATIENT_ROW] * MAX_ROWS})
    assert len(answer.json()["predictions"]) == MAX_ROWS


@pytest.mark.parametrize("is_declared", [True, False], ids=["declared", "in parts"])
def test_a_body_is_refused_at_the_first_byte_too_many(app: FastAPI, *, is_declared: bool):
    content = body() + b" " * (MAX_BYTES - len(body()))

    def sent(whole: bytes) -> bytes | AsyncIterator[bytes]:
        return whole if is_declared else in_parts(whole)

    assert ask(app, "POST", PATIENTS, content=sent(content), headers=JSON).status_code == 200
    answer = ask(app, "POST", PATIENTS, content=sent(content + b" "), headers=JSON)
    check_refusal(app, answer, status=413, code="body_too_large")


async def in_parts(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), 50_000):
        yield content[start : start + 50_000]


def test_an_answer_to_very_many_mistakes_stays_short(app: FastAPI):
    names = b",".join(b'"%s %d": 1' % (b"long " * 40, number) for number in range(4_000))
    answer = ask(app, "POST", PATIENTS, content=b'{"rows": [{' + names + b"}]}", headers=JSON)
    error = check_refusal(app, answer, status=422, code="invalid_request")
    assert len(error["details"]) == 100
    assert len(answer.content) < 50_000


def test_of_a_repeated_key_the_last_one_counts_as_in_other_readers_of_json(app: FastAPI):
    repeated = body().replace(b'"age": 41', b'"age": 77, "age": 41')
    assert repeated != body()
    answers = [ask(app, "POST", PATIENTS, content=content, headers=JSON) for content in (body(), repeated)]
    assert answers[0].json() == answers[1].json()
    check_refusal(
        app,
        ask(app, "POST", PATIENTS, content=body()[:-1] + b', "rows": []}', headers=JSON),
        status=422,
        code="invalid_request",
    )


@pytest.mark.parametrize("declared", ["application/json; charset=utf-8", "APPLICATION/JSON", "application/json ;x=y"])
def test_json_may_be_declared_with_parameters_and_in_any_case(app: FastAPI, declared: str):
    assert ask(app, "POST", PATIENTS, content=body(), headers={"Content-Type": declared}).status_code == 200


def test_a_near_name_is_offered_for_a_model_and_for_a_column(app: FastAPI):
    assert "Did you mean patients?" in ask(app, "GET", "/models/patient").json()["error"]["message"]
    (detail,) = ask(app, "POST", PATIENTS, content=body(smokr=True), headers=JSON).json()["error"]["details"]
    assert "Did you mean 'smoker'?" in detail["message"]
