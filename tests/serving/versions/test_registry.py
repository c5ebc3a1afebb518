import os
import shutil
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import httpx
import pytest

from serving.bundle import BundleError, open_bundle
from serving.monitoring.counters import Counters
from serving.settings import Settings, SettingsError
from serving.versions.champions import Champions
from serving.versions.history import VersionHistory
from serving.versions.registry import RegistryStore
from serving.versions.served_model import loader
from serving.versions.store import AwayError, open_champion
from serving.worker import load_champions
from tests.listening import listening
from tests.serving.bundles import PATIENT_ROW, publish_patients, publish_sales
from tests.serving.processes import run_to_the_end, running
from tests.serving.registries import Send, registry_of
from tests.tracking.records import make_run


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

    with listening(Handler) as address:
        yield address


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


def drip(content: bytes, send: Send) -> None:
    """A byte now and then: no timeout of a socket ever ends it."""
    for place in range(len(content)):
        send(content[place : place + 1])
        time.sleep(0.2)


def drip_a_head(content: bytes, send: Send) -> None:
    send(b"HTTP/1.1 200 OK\r\n")
    drip(b"X-Long: " + 1000 * b"x", send)


@pytest.mark.parametrize("how", [drip, drip_a_head])
def test_a_server_that_drips_is_away_when_its_time_is_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: Callable[[bytes, Send], None]
):
    publish_sales(tmp_path / "made")
    with registry_of(tmp_path / "made") as registry:
        registry.send_slowly = how
        registry.sends_head = how is drip
        store = RegistryStore(registry.address, tmp_path / "cache")
        started = time.monotonic()
        with monkeypatch.context() as patched:
            patched.setattr("serving.versions.registry.MODEL_SECONDS", 1.0)
            with pytest.raises(AwayError, match=r"model\.onnx: not done in 1 s"):
                open_champion(store, "ice cream")
        assert time.monotonic() - started < 100  # of the minutes that it would take
        registry.send_slowly, registry.sends_head = None, True
        assert open_champion(store, "ice cream").version == "1"


def test_a_file_that_is_too_large_or_not_whole_is_not_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    publish_sales(tmp_path / "made")
    with registry_of(tmp_path / "made") as registry:
        store = RegistryStore(registry.address, tmp_path / "cache")
        registry.send_slowly = lambda content, send: send(content[:-1])
        with pytest.raises(AwayError, match="IncompleteRead"):
            open_champion(store, "ice cream")
        registry.send_slowly = None
        monkeypatch.setattr("serving.versions.registry.MODEL_BYTES", 100)
        with pytest.raises(BundleError, match=r"model\.onnx: it is too large, more than 0 MiB"):
            open_champion(store, "ice cream")


def test_what_a_registry_wants_to_know_of_the_server_is_mlflows_own_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    publish_sales(tmp_path / "made")
    with registry_of(tmp_path / "made") as registry:
        settings = Settings(bundles=tmp_path / "bundles", registry=registry.address)

        def sent(**variables: str) -> str | None:
            for name in ("TOKEN", "USERNAME", "PASSWORD"):
                monkeypatch.setenv(f"MLFLOW_TRACKING_{name}", variables.get(name, ""))
            registry.authorizations.clear()
            load_champions(settings)
            (header,) = set(registry.authorizations)
            return header

        assert sent() is None
        assert sent(TOKEN="abc") == "Bearer abc"
        assert sent(USERNAME="jo", PASSWORD="päss:word", TOKEN="abc") == "Basic am86cMOkc3M6d29yZA=="
        with pytest.raises(SettingsError, match="MLFLOW_TRACKING_TOKEN holds a character") as raised:
            sent(TOKEN="abc\n")
        assert "abc" not in str(raised.value)


def test_a_registry_that_does_not_know_who_is_asking_says_nothing_about_a_version(tmp_path: Path):
    with (
        answering(b"", status=401) as address,
        pytest.raises(AwayError, match=r"401 Unauthorized.*MLFLOW_TRACKING_USERNAME and .*, or MLFLOW_TRACKING_TOKEN"),
    ):
        open_champion(RegistryStore(address, tmp_path), "patients")


def test_a_password_in_the_address_is_refused_and_not_repeated(tmp_path: Path):
    done = run_to_the_end(tmp_path, SERVING_REGISTRY="http://jo:secret@127.0.0.1:9")
    assert (done.returncode, done.stdout) == (2, "")
    assert "MLFLOW_TRACKING_PASSWORD" in done.stderr
    assert "secret" not in done.stderr


def test_a_secret_goes_to_no_other_address(tmp_path: Path):
    publish_sales(tmp_path / "made")
    with registry_of(tmp_path / "made") as other, registry_of(tmp_path / "made") as registry:
        registry.moved_to = other.address
        assert RegistryStore(registry.address, tmp_path, authorization="Bearer abc").names() == ["ice cream"]
        assert (registry.authorizations, other.authorizations) == (["Bearer abc"], [None])


def test_a_registry_that_was_made_anew_is_asked_what_its_versions_are(tmp_path: Path):
    made, history = tmp_path / "made", VersionHistory(tmp_path / "served")
    with registry_of(made) as registry:
        settings = Settings(bundles=tmp_path / "bundles", registry=registry.address)
        for publish in (publish_sales, publish_patients):
            bundle = publish(made, name="a", version=1)
            champions = load_champions(settings, history=history)
            assert champions["a"].contract == open_bundle(bundle).contract
            shutil.rmtree(bundle)


@pytest.mark.parametrize(("content", "status"), [(b"no such page", 404), (b"<html>", 200)])
def test_a_registry_whose_place_is_taken_by_another_server_keeps_nobody_from_starting(
    tmp_path: Path, content: bytes, status: int
):
    """As an ingress answers while what is behind it is down."""
    publish_sales(tmp_path / "made", version=1)
    settings, history = Settings(bundles=tmp_path / "bundles"), VersionHistory(tmp_path / "served")
    with registry_of(tmp_path / "made") as registry:
        load_champions(replace(settings, registry=registry.address), history=history)
    with answering(content, status=status) as address:
        champions = load_champions(replace(settings, registry=address), history=history)
        assert champions["ice cream"].version == "1"
        with pytest.raises(BundleError, match=address):
            load_champions(replace(settings, registry=address), history=VersionHistory(tmp_path / "none"))


def test_a_version_that_cannot_be_kept_is_fetched_again_once_it_can(tmp_path: Path):
    publish_sales(tmp_path / "made", version=1)
    cache = tmp_path / "cache"
    cache.write_text("no folder")
    with registry_of(tmp_path / "made") as registry:
        store = RegistryStore(registry.address, cache)
        champions = Champions(store, load=loader(threads=1, max_rows=10), counters=Counters())
        champions.refresh()
        assert (set(champions), champions.refused("ice cream")) == (set(), {})
        cache.unlink()
        champions.refresh()
    assert champions["ice cream"].version == "1"


def test_bundles_that_nobody_needs_any_more_are_removed(tmp_path: Path):
    made, cache = tmp_path / "made", tmp_path / "cache" / "ice cream"
    with registry_of(made) as registry:
        store = RegistryStore(registry.address, tmp_path / "cache")
        champions = Champions(store, load=loader(threads=1, max_rows=10), counters=Counters(), names=["ice cream"])
        for version in range(1, 8):
            publish_sales(made, version=version)
            champions.refresh()
            for own in cache.iterdir():  # in order, however short the time between two of them
                number = int(own.name.partition("-")[0])
                os.utime(own, (number, number))
        left = cache / ".of a process that was killed"
        left.mkdir()
        os.utime(left, (0, 0))
        publish_sales(made, version=8)
        champions.refresh()
    # 1 was sound, the others never answered; 8 answers.
    assert sorted(own.name.partition("-")[0] for own in cache.iterdir()) == ["1", "5", "6", "7", "8"]


def register(uri: str, bundle: Path, *, name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow warns about itself while it is imported
        from pipelines.tracking.mlflow import MlflowRecorder  # noqa: PLC0415  for that reason
    recorder = MlflowRecorder(uri, experiment=name, artifacts=None)
    (run_id,) = recorder.record([make_run()])
    recorder.settle(recorder.register(bundle, name, run_id), is_champion=True)


@pytest.mark.slow
def test_a_champion_is_fetched_once_and_served(tmp_path: Path, mlflow_uri: str):
    bundle = publish_patients(tmp_path / "made")
    cache = tmp_path / "cache"
    register(mlflow_uri, bundle, name="my patients")
    httpx.post(
        f"{mlflow_uri}/api/2.0/mlflow/registered-models/create",
        json={"name": "no champion"},
        timeout=60,
        verify=False,
    ).raise_for_status()
    store = RegistryStore(mlflow_uri, cache)
    assert {"my patients", "no champion"} & set(store.names()) == {"my patients"}

    found = open_champion(store, "my patients")
    assert (found.name, found.version) == ("my patients", "1")
    assert found.bundle.contract == open_bundle(bundle).contract
    (fetched,) = (cache / "my patients").iterdir()
    assert found.bundle.folder == fetched
    written = (fetched / "model.onnx").stat().st_mtime_ns
    assert open_champion(store, "my patients").bundle.model == found.bundle.model
    assert (fetched / "model.onnx").stat().st_mtime_ns == written, "what is there is not fetched again"

    register(mlflow_uri, bundle, name="my patients")
    assert open_champion(store, "my patients").version == "2"
    with pytest.raises(BundleError, match="400 Bad Request: Registered model alias champion not found"):
        open_champion(store, "no champion")

    with running(tmp_path, SERVING_REGISTRY=mlflow_uri, SERVING_NAMES="my patients") as server:
        assert server.get("/ready").json()["models"] == {"my patients": "2"}
        answer = server.post("/predict", json={"rows": [PATIENT_ROW]})
        assert answer.json()["predictions"][0]["label"] == "high"
        assert server.stop() == 0
