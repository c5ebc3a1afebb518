"""`python -m serving` as a user runs it: a process, its exit code and what it prints."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.serving.bundles import PATIENT_ROW, SALES_ROW, publish_patients, publish_sales
from tests.serving.processes import ROOT, SECONDS, command, environment, run_to_the_end, running
from tests.serving.slow import slow_down

TRAINING_ONLY = {"torch", "pytorch_lightning", "mlflow", "pandas", "polars", "sklearn", "hydra", "onnx", "pipelines"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_answers_until_it_is_asked_to_end(tmp_path: Path, number: int):
    publish_patients(tmp_path / "var" / "bundles")
    publish_sales(tmp_path / "var" / "bundles")
    with running(tmp_path) as server:
        sales = server.post("/models/ice%20cream/predict", json={"rows": [SALES_ROW]})
        assert sales.json()["predictions"][0].keys() == {"value", "rules"}
        patients = server.post("/models/patients/predict", json={"rows": [PATIENT_ROW]})
        assert patients.json()["predictions"][0]["label"] == "high"
        assert server.stop(number) == 0
    assert (tmp_path / "stderr.log").read_text() == ""


def test_a_server_ends_in_time_although_a_model_still_computes_what_was_given_up(tmp_path: Path):
    publish_sales(tmp_path, damage=slow_down)
    limits = {"SERVING_REQUEST_SECONDS": "1", "SERVING_SHUTDOWN_SECONDS": "2"}
    with running(tmp_path, "--bundles", str(tmp_path), **limits) as server:
        columns = {"columns": {name: [7] * 2000 for name in SALES_ROW}}
        assert httpx.post(f"{server.address}/predict", json=columns, timeout=SECONDS).status_code == 504
        assert server.stop() == 0  # long before the model is through


def test_a_client_that_hangs_up_or_talks_nonsense_does_not_end_the_server(tmp_path: Path):
    publish_sales(tmp_path)
    with running(tmp_path, "--bundles", str(tmp_path)) as server:
        url = httpx.URL(server.address)
        start = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        for sent in (
            start + b'Content-Length: 500\r\n\r\n{"rows": [',
            start + b"Content-Length: " + b"9" * 5_000 + b"\r\n\r\n{}",
            start + b"Content-Length: minus one\r\n\r\n{}",
            b"\x16\x03\x01 no HTTP at all\r\n\r\n",
        ):
            with socket.create_connection((url.host, url.port or 0)) as client:
                client.sendall(sent)
        assert server.post("/predict", json={"rows": [SALES_ROW]}).status_code == 200
        assert server.stop() == 0
    assert "Traceback" not in (tmp_path / "stderr.log").read_text()


def test_a_broken_bundle_is_passed_over_while_others_are_served(tmp_path: Path):
    publish_sales(tmp_path)
    (publish_patients(tmp_path) / "model.onnx").write_bytes(b"changed")
    with running(tmp_path, SERVING_BUNDLES=str(tmp_path)) as server:
        assert server.get("/ready").json()["models"] == {"ice cream": "1"}
        assert server.stop() == 0
    (said,) = [json.loads(line)["message"] for line in (tmp_path / "stderr.log").read_text().splitlines()]
    assert said.startswith("patients is not served: ")
    assert "its sha256 is not the one in contract.json" in said


def test_models_to_serve_may_be_named(tmp_path: Path):
    publish_sales(tmp_path)
    publish_patients(tmp_path)
    with running(tmp_path, SERVING_BUNDLES=str(tmp_path), SERVING_NAMES="patients") as server:
        assert server.get("/ready").json()["models"] == {"patients": "1"}


def test_nothing_to_serve_is_answered_with_what_to_run(tmp_path: Path):
    done = run_to_the_end(tmp_path)
    assert done.returncode == 2
    assert "There is no model to serve in var/bundles. Train one first: python -m pipelines.train" in done.stderr
    assert "Traceback" not in done.stderr


def test_bundles_that_are_all_broken_end_the_server(tmp_path: Path):
    (publish_patients(tmp_path) / "contract.json").unlink()
    done = run_to_the_end(tmp_path, "--bundles", str(tmp_path))
    assert done.returncode == 2
    assert "patients is not served: " in done.stderr
    assert "contract.json: cannot be read" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_that_is_taken_is_said_before_anything_is_announced(tmp_path: Path):
    publish_sales(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = run_to_the_end(tmp_path, "--bundles", str(tmp_path), "--port", port)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"127.0.0.1:{port} cannot be listened on: address already in use" in done.stderr.lower()
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--port", "70000"], "SERVING_PORT='70000': must be a whole number"),
        (["--host", "no such host"], "no such host can be reached from other machines"),
        (["--host", "127.0.0.256.1"], "can be reached from other machines"),
        (["--workers", "0"], "SERVING_WORKERS='0': must be a whole number"),
        (["--unknown"], "unrecognized arguments"),
    ],
)
def test_a_wrong_argument_is_explained(tmp_path: Path, arguments: list[str], said: str):
    publish_sales(tmp_path)
    done = run_to_the_end(tmp_path, "--bundles", str(tmp_path), *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_registry_that_does_not_answer_is_named(tmp_path: Path):
    done = run_to_the_end(tmp_path, SERVING_REGISTRY="http://127.0.0.1:9")
    assert done.returncode == 2
    assert "http://127.0.0.1:9/api/2.0/mlflow/registered-models/search" in done.stderr
    assert "Connection refused" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_server_that_waits_for_a_registry_ends_when_it_is_asked_to(tmp_path: Path, workers: str, number: int):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(SECONDS)
        process = subprocess.Popen(
            command("--port", "0", "--workers", workers),
            cwd=tmp_path,
            env=environment(SERVING_REGISTRY=f"http://127.0.0.1:{silent.getsockname()[1]}"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            with silent.accept()[0]:
                if number == signal.SIGINT:
                    os.killpg(process.pid, number)  # as a terminal does
                else:
                    process.send_signal(number)
                printed = process.communicate(timeout=SECONDS)
        finally:
            process.kill()
    assert (process.returncode, *printed) == (0, "", "")


def test_serving_imports_nothing_that_only_training_needs():
    code = "import sys, serving.app, serving.__main__, serving.versions.registry; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    imported = set(done.stdout.split())
    assert "onnxruntime" in imported
    assert imported & TRAINING_ONLY == set()


@pytest.mark.parametrize("module", ["serving.predictor", "pipelines.tracking.mlflow.scoring_model"])
def test_the_runtime_reports_to_nobody(tmp_path: Path, module: str):
    """ONNX Runtime would gather what it is used for in a database in the user's folder, and send it to its makers."""
    environs = environment(HOME=str(tmp_path))
    environs.pop("ORT_DISABLE_TELEMETRY", None)  # which this process has set for itself
    subprocess.run([sys.executable, "-c", f"import {module}"], cwd=ROOT, env=environs, check=True)
    assert [path for path in tmp_path.rglob("*") if "onnxruntime" in path.name] == []
