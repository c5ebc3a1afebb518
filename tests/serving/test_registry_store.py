import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from serving.bundle import BundleError, open_bundle
from serving.registry import RegistryStore
from serving.store import open_champion
from tests.serving.bundles import PATIENT_ROW, publish_patients
from tests.serving.processes import running
from tests.tracking.records import make_run
from tests.tracking.servers import mlflow_server


@contextmanager
def answering(content: bytes, *, status: int = 200) -> Iterator[str]:
    """A server that has one answer to everything."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("content", [b"", b"<html>", b"[1]", b"null", b"\xff"])
def test_a_server_that_is_no_mlflow_server_is_named(tmp_path: Path, content: bytes):
    with answering(content) as address:
        store = RegistryStore(address, tmp_path)
        with pytest.raises(BundleError, match=f"{address}: .* is not answered as an MLflow server does"):
            store.names()
        with pytest.raises(BundleError, match=f"{address}: .* is not answered as an MLflow server does"):
            open_champion(store, "patients")
    assert list(tmp_path.iterdir()) == []


def test_what_the_server_says_of_a_mistake_is_passed_on(tmp_path: Path):
    refusal = b'{"message": "alias not found"}'
    with (
        answering(refusal, status=404) as address,
        pytest.raises(BundleError, match="404 Not Found: alias not found"),
    ):
        open_champion(RegistryStore(address, tmp_path), "patients")


def test_an_address_where_nobody_listens_is_named(tmp_path: Path):
    with pytest.raises(BundleError, match=r"http://127\.0\.0\.1:9/.*: .*Connection refused"):
        RegistryStore("http://127.0.0.1:9", tmp_path).names()


@pytest.mark.parametrize("name", ["..", "a/b", ""])
def test_a_name_cannot_lead_out_of_the_folder(tmp_path: Path, name: str):
    with pytest.raises(BundleError, match="is no name of a model"):
        open_champion(RegistryStore("http://127.0.0.1:9", tmp_path), name)


def register(uri: str, bundle: Path, *, name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow warns about itself while it is imported
        from pipelines.tracking.mlflow import MlflowRecorder  # noqa: PLC0415  for that reason
    recorder = MlflowRecorder(uri, experiment="patients", artifacts=None)
    (run_id,) = recorder.record([make_run()])
    recorder.register(bundle, name, run_id)


@pytest.mark.slow
def test_a_champion_is_fetched_once_and_served(tmp_path: Path):
    bundle = publish_patients(tmp_path / "made")
    cache = tmp_path / "cache"
    with mlflow_server(f"sqlite:///{tmp_path / 'server.db'}", tmp_path) as uri:
        register(uri, bundle, name="my patients")
        httpx.post(f"{uri}/api/2.0/mlflow/registered-models/create", json={"name": "no champion"}).raise_for_status()
        store = RegistryStore(uri, cache)
        assert store.names() == ["my patients"]

        found = open_champion(store, "my patients")
        assert (found.name, found.version) == ("my patients", "1")
        assert found.bundle.contract == open_bundle(bundle).contract
        (fetched,) = (cache / "my patients").iterdir()
        assert found.bundle.folder == fetched
        written = (fetched / "model.onnx").stat().st_mtime_ns
        assert open_champion(store, "my patients").bundle.model == found.bundle.model
        assert (fetched / "model.onnx").stat().st_mtime_ns == written, "what is there is not fetched again"

        register(uri, bundle, name="my patients")
        assert open_champion(store, "my patients").version == "2"
        with pytest.raises(BundleError, match="400 Bad Request: Registered model alias champion not found"):
            open_champion(store, "no champion")

        with running(tmp_path, SERVING_REGISTRY=uri) as server:
            assert httpx.get(f"{server.address}/ready").json()["models"] == {"my patients": "2"}
            answer = httpx.post(f"{server.address}/predict", json={"rows": [PATIENT_ROW]})
            assert answer.json()["predictions"][0]["label"] == "high"
            assert server.stop() == 0
