"""Every bad request has its documented answer: a status, a code, and the path to what is wrong."""

import json
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.serving.conftest import ROW

PATH = "/models/patients/predict"
JSON = {"Content-Type": "application/json"}
Path = list[str | int]


def rows(**changes: Any) -> bytes:
    return json.dumps({"rows": [ROW | changes]}).encode()


def without(name: str) -> bytes:
    return json.dumps({"rows": [{key: value for key, value in ROW.items() if key != name}]}).encode()


def token(text: str) -> bytes:
    """A row whose age is written as given, JSON or not."""
    return rows().replace(b"40", text.encode(), 1)


INVALID: list[tuple[str, bytes, Path | None]] = [
    ("unknown column", rows(height=1), ["rows", 0, "height"]),
    ("missing column", without("city"), ["rows", 0, "city"]),
    ("missing number", without("age"), ["rows", 0, "age"]),
    ("string for a number", rows(age="40"), ["rows", 0, "age"]),
    ("bool for a number", rows(age=True), ["rows", 0, "age"]),
    ("list for a number", rows(age=[40]), ["rows", 0, "age"]),
    ("object for a number", rows(age={"value": 40}), ["rows", 0, "age"]),
    ("NaN", token("NaN"), ["rows", 0, "age"]),
    ("Infinity", token("Infinity"), ["rows", 0, "age"]),
    ("minus Infinity", token("-Infinity"), ["rows", 0, "age"]),
    ("1e400", token("1e400"), ["rows", 0, "age"]),
    ("a thousand digits", token("9" * 1000), ["rows", 0, "age"]),
    ("a hexadecimal number", token("0x1F"), []),
    ("number for a bool", rows(smoker=1), ["rows", 0, "smoker"]),
    ("string for a bool", rows(smoker="true"), ["rows", 0, "smoker"]),
    ("null for a label that never was missing", rows(city=None), ["rows", 0, "city"]),
    ("bool for a label", rows(city=True), ["rows", 0, "city"]),
    ("fraction for a label", rows(city=1.5), ["rows", 0, "city"]),
    ("list for a label", rows(city=["Bern"]), ["rows", 0, "city"]),
    ("no date", rows(joined="yesterday"), ["rows", 0, "joined"]),
    ("no day of the calendar", rows(joined="2023-02-30"), ["rows", 0, "joined"]),
    ("number for a date", rows(joined=18000), ["rows", 0, "joined"]),
    ("year zero", rows(joined="0000-01-01"), ["rows", 0, "joined"]),
    ("empty list", b'{"rows": []}', ["rows"]),
    ("rows that are no list", b'{"rows": {"age": 40}}', ["rows"]),
    ("rows that are null", b'{"rows": null}', ["rows"]),
    ("rows that are text", b'{"rows": "abc"}', ["rows"]),
    ("a row that is a list", b'{"rows": [[40, true]]}', ["rows", 0]),
    ("a row that is null", b'{"rows": [null]}', ["rows", 0]),
    ("no rows", b"{}", ["rows"]),
    ("another key", b'{"rows": [], "coverage": 0.9}', None),
    ("a list", b"[1, 2]", []),
    ("a number", b"3", []),
    ("null", b"null", []),
    ("empty body", b"", []),
    ("no JSON", b"age=40", []),
    ("cut off", rows()[:-5], []),
    ("two documents", rows() + rows(), []),
    ("invalid UTF-8", b'{"rows": [{"age": 40, "city": "\xff\xfe"}]}', []),
    ("UTF-16", rows().decode().encode("utf-16"), []),
    ("a bomb of brackets", b"[" * 10_000, []),
    ("a bomb of objects", b'{"rows":' * 2_000, []),
    ("a null byte", b"\x00", []),
]


@pytest.mark.parametrize(("body", "path"), [case[1:] for case in INVALID], ids=[case[0] for case in INVALID])
def test_a_body_that_does_not_fit_is_answered_with_the_path_to_it(
    client: TestClient, body: bytes, path: Path | None
) -> None:
    answer = client.post(PATH, content=body, headers=JSON)
    assert answer.status_code == 422, answer.text
    error = answer.json()["error"]
    assert error["code"] == "invalid_request"
    if path is not None:
        assert error["details"][0]["path"] == path
    assert_reveals_nothing(answer.text)
    assert client.post(PATH, content=rows(), headers=JSON).status_code == 200, "the process goes on"


def assert_reveals_nothing(text: str) -> None:
    for word in ("Traceback", ".py", "/tmp", "site-packages", "onnxruntime"):
        assert word not in text


OTHERS: list[tuple[str, str, str, bytes, dict[str, str], int, str]] = [
    ("form", "POST", PATH, rows(), {"Content-Type": "application/x-www-form-urlencoded"}, 415, "wrong_content_type"),
    ("xml", "POST", PATH, b"<rows/>", {"Content-Type": "text/xml"}, 415, "wrong_content_type"),
    ("51 rows", "POST", PATH, json.dumps({"rows": [ROW] * 51}).encode(), JSON, 413, "too_many_rows"),
    ("30,000 bytes", "POST", PATH, b" " * 30_000, JSON, 413, "body_too_large"),
    ("a near name", "POST", "/models/patient/predict", rows(), JSON, 404, "unknown_model"),
    ("a card of no model", "GET", "/models/unknown", b"", {}, 404, "unknown_model"),
    ("GET", "GET", PATH, b"", {}, 405, "method_not_allowed"),
    ("PUT", "PUT", PATH, rows(), JSON, 405, "method_not_allowed"),
    ("no such path", "GET", "/nothing", b"", {}, 404, "not_found"),
    ("out of the folder", "POST", "/models/..%2f..%2fetc/predict", rows(), JSON, 404, "not_found"),
]


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status", "code"),
    [case[1:] for case in OTHERS],
    ids=[case[0] for case in OTHERS],
)
def test_other_mistakes_have_their_own_answers(  # noqa: PLR0917  one argument a column of the table
    client: TestClient, method: str, path: str, body: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    answer = client.request(method, path, content=body, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert_reveals_nothing(answer.text)


def test_a_near_name_is_offered(client: TestClient) -> None:
    answer = client.post("/models/patient/predict", content=rows(), headers=JSON)
    assert "Did you mean patients?" in answer.json()["error"]["message"]


def test_a_large_body_is_refused_while_it_comes(client: TestClient) -> None:
    def parts() -> Any:
        for _ in range(30):
            yield b" " * 1000

    answer = client.post(PATH, content=parts(), headers=JSON)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_large")


def test_every_wrong_cell_is_named(client: TestClient) -> None:
    body = {"rows": [ROW, ROW | {"age": "x"}, ROW | {"city": None, "smoker": 3}]}
    details = client.post(PATH, json=body).json()["error"]["details"]
    assert sorted(own["path"] for own in details) == [["rows", 1, "age"], ["rows", 2, "city"], ["rows", 2, "smoker"]]
