"""The application around its models: before they are there, while they change, and when something of ours fails."""

import json
import socket
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import onnx
import pytest
from fastapi import FastAPI

from serving.app import create_app
from serving.bundle import Bundle, BundleError, open_bundle
from serving.command import listen
from serving.event_loop_budget import SMALL_BODY_BYTES
from serving.predictor import Predictor
from serving.settings import Settings
from serving.versions.served_model import ServedModel, load_model
from serving.versions.store import FolderStore, open_champion
from tests.serving.asking import JSON, ask
from tests.serving.bundles import PATIENT_ROW, SALES_COLUMNS, SALES_ROW, publish_patients, publish_sales, weighted_sum
from tests.serving.load import SECONDS, eventually
from tests.serving.processes import running


def load(root: Path, name: str) -> ServedModel:
    return load_model(open_champion(FolderStore(root), name), threads=1, max_rows=1_000)


def test_without_a_model_the_server_lives_but_is_not_ready():
    app = create_app({}, Settings())
    assert ask(app, "GET", "/live").status_code == 200
    for method, path in (("GET", "/ready"), ("POST", "/predict")):
        answer = ask(app, method, path)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "not_ready")
    assert ask(app, "GET", "/openapi.json").status_code == 200


def test_a_model_may_be_put_in_the_place_of_another_between_two_requests(tmp_path: Path):
    publish_sales(tmp_path, version=1)
    models: dict[str, ServedModel] = {}
    app = create_app(models, Settings())
    models["ice cream"] = load(tmp_path, "ice cream")
    assert ask(app, "GET", "/ready").json()["models"] == {"ice cream": "1"}
    publish_sales(tmp_path, version=2)
    models["ice cream"] = load(tmp_path, "ice cream")
    assert ask(app, "POST", "/predict", json={"rows": [SALES_ROW]}).json()["version"] == "2"
    paths = ask(app, "GET", "/openapi.json").json()["paths"]
    shown = paths["/predict"]["post"]["responses"]["200"]["content"]["application/json"]["example"]
    assert shown["version"] == "2"


def test_a_large_request_is_answered_as_a_small_one(tmp_path: Path):
    publish_patients(tmp_path)
    app = create_app({"patients": load(tmp_path, "patients")}, Settings())
    rows = [PATIENT_ROW] * 1_000
    assert len(json.dumps({"rows": rows})) > SMALL_BODY_BYTES
    (one,) = ask(app, "POST", "/predict", json={"rows": [PATIENT_ROW]}).json()["predictions"]
    many = ask(app, "POST", "/predict", json={"rows": rows}).json()["predictions"]
    assert len(many) == 1_000
    for own in many:
        assert own["probabilities"] == pytest.approx(one["probabilities"], rel=1e-6)


def broken_app(folder: Path) -> FastAPI:
    """A model whose session has gone: a defect that no check at loading can foresee."""
    publish_sales(folder)
    own = load(folder, "ice cream")
    return create_app({"ice cream": replace(own, predictor=object())}, Settings())


def test_a_defect_is_answered_without_a_word_of_the_machine(tmp_path: Path):
    answer = ask(broken_app(tmp_path), "POST", "/predict", content=json.dumps({"rows": [SALES_ROW]}), headers=JSON)
    assert answer.status_code == 500
    assert answer.json() == {
        "error": {"code": "internal", "message": "The server failed on this request. Its log says why.", "details": []}
    }


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("weights.bin", r"data path does not exist: .*model\.onnx/weights\.bin"),
        ("../weights.bin", "data path escapes model directory"),
        ("*/_ORT_MEM_ADDR_/*", "in-memory address marker, which is not allowed"),
    ],
)
def test_weights_outside_the_model_are_never_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, location: str, said: str
):
    bundle = open_bundle(publish_sales(tmp_path))
    model = onnx.load_from_string(weighted_sum(SALES_COLUMNS, width=1, softmax=False))
    tensor = next(node for node in model.graph.node if node.op_type == "Constant").attribute[0].t
    size = 8 * int(np.prod(tensor.dims))
    # ONNX Runtime would find them in the working folder.
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    for place in (Path("weights.bin"), Path("../weights.bin"), bundle.folder / "weights.bin"):
        place.write_bytes(bytes(size))
    tensor.ClearField("double_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    tensor.external_data.add(key="length", value=str(size))
    with pytest.raises(BundleError, match=rf"model\.onnx: ONNX Runtime cannot load it: .*{said}"):
        Predictor(Bundle(bundle.folder, bundle.contract, model.SerializeToString()))


def test_a_request_that_has_begun_is_answered_after_the_server_was_asked_to_end(tmp_path: Path):
    publish_sales(tmp_path)
    body = json.dumps({"rows": [SALES_ROW]}).encode()
    with running(tmp_path, "--bundles", str(tmp_path)) as server:
        url = httpx.URL(server.address)
        with socket.create_connection((url.host, url.port or 0)) as client:
            head = f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
            client.sendall(head.encode() + b"\r\n\r\n" + body[:10])
            server.get("/live")  # accepted after the request above, so that one has begun
            server.process.terminate()
            eventually(lambda: is_refused(url))
            client.sendall(body[10:])
            assert client.recv(65_536).startswith(b"HTTP/1.1 200 OK")
        assert server.process.wait(SECONDS) == 0


def is_refused(url: httpx.URL) -> bool:
    """Whether no new connection is accepted."""
    try:
        socket.create_connection((url.host, url.port or 0), timeout=SECONDS).close()
    except ConnectionError:
        return True
    return False


def test_an_answer_does_not_wait_until_the_client_has_confirmed_its_head():
    with listen(Settings(port=0)) as listening, socket.create_connection(listening.getsockname()[:2]):
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="no IPv6 on this machine")
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_the_address_of_all_addresses_is_that_of_both_versions_of_ip(host: str):
    with listen(Settings(host="::", port=0)) as listening:
        socket.create_connection((host, listening.getsockname()[1]), timeout=5).close()
