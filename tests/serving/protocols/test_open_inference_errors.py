"""What is refused around the Open Inference Protocol, by whatever stands before it, has its form too."""

import asyncio
import gzip
import json
import threading
import zlib
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI

from serving.app import create_app
from serving.keys import KeyFile, add_key
from serving.settings import Settings
from serving.worker import load_champions
from tests.serving.asking import app_of, ask
from tests.serving.bundles import PATIENT_COLUMNS, PATIENT_ROW, publish_patients, publish_sales
from tests.serving.inference import AGE, good, inputs_of, post, put, said

INFER = "/v2/models/patients/infer"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("bundles")
    publish_patients(root)
    publish_sales(root)
    return root


@pytest.fixture(scope="module")
def app(folder: Path) -> FastAPI:
    return app_of(folder, max_rows=5, max_body_bytes=20_000)


def test_rows_and_bytes_are_bounded(app: FastAPI):
    many = inputs_of(PATIENT_COLUMNS, [PATIENT_ROW] * 6, binary=False)
    body = json.dumps({"inputs": [own._get_tensor() for own in many]}).encode()
    assert said(post(app, "patients", body, {}), 413).startswith("A request may have 5 rows. Send several. ")
    huge = good()
    put(AGE, shape=[10**15])(huge)
    assert "More than 5 rows" in said(post(app, "patients", json.dumps(huge).encode(), {}), 413)
    assert "larger than 20,000 bytes" in said(post(app, "patients", b" " * 20_001, {}), 413)

    async def parts() -> AsyncIterator[bytes]:
        for _ in range(30):
            yield b" " * 1000

    assert "larger than 20,000 bytes" in said(ask(app, "POST", INFER, content=parts()), 413)


@pytest.mark.parametrize(("encoding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_compressed_bodies_are_bounded_and_checked(app: FastAPI, encoding: str, compress: Callable[[bytes], bytes]):
    body = json.dumps(good()).encode()
    header = {"Content-Encoding": encoding}
    assert post(app, "patients", compress(body), header).status_code == 200
    assert "when decompressed" in said(post(app, "patients", compress(body + b" " * 10**6), header), 413)
    assert "cut off" in said(post(app, "patients", compress(body)[:-9], header), 422)
    assert f"no {encoding} stream" in said(post(app, "patients", body, header), 422)
    answer = post(app, "patients", body, {"Content-Encoding": "br"})
    assert "gzip or deflate" in said(answer, 415)
    assert answer.headers["Accept-Encoding"] == "gzip, deflate"


OTHERS: list[tuple[str, str, int, str]] = [
    ("GET", "/v2/models/patient", 404, "There is no model 'patient'. Did you mean patients?"),
    ("POST", "/v2/models/patient/infer", 404, "Did you mean patients?"),
    ("GET", "/v2/models/patients/versions/2", 404, "Version '2' of 'patients' is not served. Version 1 is."),
    ("GET", "/v2/models/patients/versions/01", 404, "Version '01' of 'patients' is not served."),
    ("GET", "/v2/models/patients/versions/2/ready", 404, "Version 1 is."),
    ("POST", f"/v2/models/patients/versions/{'9' * 3000}/infer", 404, f"Version '{'9' * 100}' of "),
    ("GET", "/v2/models/patients/config", 404, "Not Found."),
    ("GET", "/v2/", 404, "Not Found."),
    ("GET", "/v2/nothing", 404, "Not Found."),
    ("GET", "/v2/models/..%2f..%2fetc", 404, "Not Found."),
    ("POST", "/v2/repository/index", 404, "Not Found."),
    ("GET", INFER, 405, "Method Not Allowed."),
    ("POST", "/v2", 405, "Method Not Allowed."),
    ("DELETE", "/v2/models/patients", 405, "Method Not Allowed."),
]


@pytest.mark.parametrize(
    ("method", "path", "status", "message"), OTHERS, ids=[" ".join(own[:2])[:40] for own in OTHERS]
)
def test_other_mistakes_are_answered_in_the_protocols_form(
    app: FastAPI, method: str, path: str, status: int, message: str
):
    assert message in said(ask(app, method, path, content=b"{}" if method == "POST" else None), status)


def test_another_content_type_is_refused(app: FastAPI):
    body = json.dumps(good()).encode()
    for accepted in ("application/json", "Application/JSON; charset=utf-8", "application/octet-stream"):
        assert post(app, "patients", body, {"Content-Type": accepted}).status_code == 200
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert "'application/x-www-form-urlencoded'" in said(post(app, "patients", body, form), 415)


def test_keys_are_asked_for_in_the_protocols_form(folder: Path, tmp_path: Path):
    path = tmp_path / "keys.json"
    header = {"Authorization": f"Bearer {add_key(path, name='one', role='reader')}"}
    settings = Settings(bundles=folder, max_concurrent_per_key=0)
    app = create_app(load_champions(settings), settings, keys=KeyFile(path))
    assert "A valid API key is needed" in said(ask(app, "GET", "/v2/models/patients"), 401)
    assert "A valid API key is needed" in said(post(app, "patients", b"", {}), 401)
    assert ask(app, "GET", "/v2/models/patients", headers=header).status_code == 200
    assert "with this key are in work" in said(post(app, "patients", b"", header), 429)
    for open_path in ("/v2/health/live", "/v2/health/ready"):
        assert ask(app, "GET", open_path).status_code == 200


def test_a_server_that_has_too_much_to_do_or_no_model_says_so(folder: Path):
    assert "No model is loaded." in said(ask(create_app({}, Settings()), "GET", "/v2/health/ready"), 503)
    answer = post(app_of(folder, max_concurrent=0), "patients", b"", {})
    assert "as many as there may be" in said(answer, 503)
    assert answer.headers["Retry-After"] == "1"


class Slow:
    """A predictor that takes its time, until it is let."""

    def __init__(self, contract: Any) -> None:
        self.contract = contract
        self.let = threading.Event()

    def predict(self, columns: Any) -> Any:
        assert self.let.wait(30)
        return np.zeros((1, 3), np.float32)


def test_what_takes_too_long_is_given_up(folder: Path):
    async def endless() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(60)

    settings = Settings(bundles=folder, request_seconds=0.5)  # a test need not take a second
    own = load_champions(settings)["patients"]
    slow = Slow(own.contract)
    app = create_app({"patients": replace(own, predictor=slow)}, settings)
    assert "did not come within 0.5 seconds" in said(ask(app, "POST", INFER, content=endless()), 408)
    answer = post(app, "patients", gzip.compress(json.dumps(good()).encode()), {"Content-Encoding": "gzip"})
    slow.let.set()
    assert "no answer after 0.5 seconds" in said(answer, 504)


def test_a_defect_of_the_server_and_a_number_too_large_are_answered_in_the_protocols_form(folder: Path):
    settings = Settings(bundles=folder)
    models = load_champions(settings)
    broken = create_app({"patients": replace(models["patients"], predictor=object())}, settings)
    assert "The server failed on this request." in said(ask(broken, "GET", "/v2/models/patients"), 500)
    body = {"inputs": [{"name": "Temperatur in °C", "shape": [1], "datatype": "FP64", "data": [1e308]}]}
    body["inputs"].append(body["inputs"][0] | {"name": "humidity"})
    answer = post(create_app(models, settings), "ice cream", json.dumps(body).encode(), {})
    assert "There is no finite prediction. rows[0]: A number of this row is too large" in said(answer, 422)


def test_errors_of_the_other_protocols_keep_their_form(app: FastAPI):
    assert ask(app, "GET", "/v22").json()["error"]["code"] == "not_found"
    assert ask(app, "GET", "/models/v2").json()["error"]["code"] == "unknown_model"
