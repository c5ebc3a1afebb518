"""What is served: typed routes, documented by examples that they accept, answers equal to ONNX Runtime's."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import onnxruntime
import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serving.__main__ import load_models, main
from serving.app import create_app
from serving.bundle import BundleError, open_bundle
from serving.predictor import Predictor, check_golden, days_since_1970
from serving.settings import Settings, SettingsError, read_settings
from serving.store import FolderStore
from tests.commands import server
from tests.serving.conftest import ROW, publish
from tests.tracking.bundles import write_bundle


def test_health_lists_what_is_ready(client: TestClient) -> None:
    assert client.get("/live").json() == {"status": "live"}
    assert client.get("/ready").json() == {"status": "ready", "models": {"patients": "3"}}
    assert client.get("/live").headers["X-Content-Type-Options"] == "nosniff"


def test_a_model_says_what_it_is(client: TestClient) -> None:
    (summary,) = client.get("/models").json()
    assert summary["metrics"]["test"] == {"roc_auc": 0.89}
    card = client.get("/models/patients").json()
    assert [column["name"] for column in card["contract"]["columns"]] == ["age", "smoker", "city", "joined"]
    assert card["version"] == "3"


def test_every_documented_example_is_accepted_by_its_route(client: TestClient) -> None:
    tried = 0
    for path, methods in client.get("/openapi.json").json()["paths"].items():
        if "post" in methods:
            example = methods["post"]["requestBody"]["content"]["application/json"]["example"]
            answer = client.post(path, json=example)
            assert answer.status_code == 200, answer.text
            assert answer.json()["predictions"][0]["label"] in ("no", "yes")
            tried += 1
    assert tried == 2, "the model's own route, and /predict for the only model"


def test_predict_without_a_name_exists_for_a_single_model_alone(tmp_path: Path) -> None:
    publish(tmp_path, "a")
    publish(tmp_path, "b", classes=())
    own = Settings(bundles=tmp_path)
    with TestClient(create_app(load_models(own), own)) as both:
        assert both.post("/predict", json={"rows": [ROW]}).status_code == 404
        assert both.post("/models/b/predict", json={"rows": [ROW]}).json()["predictions"][0].keys() == {"value"}


row_values = st.fixed_dictionaries(
    {
        "age": st.none() | st.integers(-1000, 1000) | st.floats(-1e6, 1e6),
        "smoker": st.none() | st.booleans(),
        "city": st.sampled_from(["Basel", "Bern", "Zürich", "Atlantis", "", "7"]) | st.just(7),
        "joined": st.none() | st.dates().map(str) | st.datetimes().map(lambda own: own.isoformat()),
    }
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(row_values, min_size=1, max_size=5))
def test_any_valid_rows_are_answered_as_onnx_runtime_says(client: TestClient, rows: list[dict[str, Any]]) -> None:
    answer = client.post("/predict", json={"rows": rows})
    assert answer.status_code == 200, answer.text
    columns = {
        "age": np.array([np.nan if row["age"] is None else float(row["age"]) for row in rows]),
        "smoker": np.array([np.nan if row["smoker"] is None else float(row["smoker"]) for row in rows]),
        "city": np.array([str(row["city"]) for row in rows], dtype=object),
        "joined": np.array([np.nan if row["joined"] is None else days_since_1970(row["joined"]) for row in rows]),
    }
    (expected,) = _session(client).run(["prediction"], {name: own.reshape(-1, 1) for name, own in columns.items()})
    found = [list(own["probabilities"].values()) for own in answer.json()["predictions"]]
    np.testing.assert_allclose(found, np.asarray(expected), rtol=1e-6)


_SESSIONS: dict[str, onnxruntime.InferenceSession] = {}


def _session(client: TestClient) -> onnxruntime.InferenceSession:
    """Its own, apart from the server's: of a bundle made in the same way."""
    if "own" not in _SESSIONS:
        import tempfile  # noqa: PLC0415  needed once

        with tempfile.TemporaryDirectory() as folder:
            bundle = write_bundle(Path(folder) / "bundle", classes=("no", "yes"))
            _SESSIONS["own"] = onnxruntime.InferenceSession((bundle / "model.onnx").read_bytes())
    return _SESSIONS["own"]


def test_bundles_that_must_not_be_served_say_why(tmp_path: Path) -> None:
    folder = publish(tmp_path)
    model, contract = folder / "model.onnx", folder / "contract.json"
    whole, text = model.read_bytes(), contract.read_text()
    model.write_bytes(whole[:-1])
    with pytest.raises(BundleError, match=r"model\.onnx: its sha256 is not the one in contract\.json"):
        open_bundle(folder)
    model.unlink()
    with pytest.raises(BundleError, match=r"model\.onnx: cannot be read"):
        open_bundle(folder)
    model.write_bytes(whole)
    contract.write_text(text.replace('"format_version": 1', '"format_version": 2'))
    with pytest.raises(BundleError, match=r"contract\.json: format_version"):
        open_bundle(folder)
    contract.write_text("{")
    with pytest.raises(BundleError, match=r"contract\.json"):
        open_bundle(folder)


def test_a_golden_row_that_is_answered_otherwise_keeps_a_bundle_out(tmp_path: Path) -> None:
    bundle = open_bundle(publish(tmp_path))
    golden = [{"row": ROW, "prediction": [0.5, 0.5]}]
    wrong = type(bundle.contract).model_validate(bundle.contract.model_dump() | {"golden": golden})
    with pytest.raises(BundleError, match="golden row 0 is answered"):
        check_golden(Predictor(type(bundle)(bundle.folder, wrong, bundle.model)))


def test_names_and_versions_cannot_lead_out_of_the_folder(tmp_path: Path) -> None:
    publish(tmp_path / "inside")
    store = FolderStore(tmp_path / "inside")
    assert store.names() == ["patients"]
    for name in ("../inside/patients", "..", "/etc", "", "a/b"):
        with pytest.raises(BundleError, match="is no name of a model"):
            store.open_champion(name)
    (tmp_path / "inside/patients/champion").write_text("../3")
    with pytest.raises(BundleError, match="instead of the number of a version"):
        store.open_champion("patients")


def test_wrong_settings_are_listed_together() -> None:
    environment = {
        "SERVING_PORT": "99999",
        "SERVING_MAX_ROWS": "many",
        "SERVING_PROT": "1",
        "SERVING_REGISTRY": "ftp://x",
    }
    with pytest.raises(SettingsError) as caught:
        read_settings(environment)
    for variable in environment:
        assert variable in str(caught.value)
    assert read_settings({"SERVING_NAMES": "a, b", "OTHER": "x"}).names == ("a", "b")


def test_a_broken_bundle_is_passed_over_while_others_are_served(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(tmp_path, "good")
    (publish(tmp_path, "broken") / "model.onnx").unlink()
    assert [own.name for own in load_models(Settings(bundles=tmp_path))] == ["good"]
    assert "Not served: broken: " in capsys.readouterr().err


def test_nothing_to_serve_says_what_to_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--bundles", str(tmp_path)]) == 2
    assert "Train one first: python -m pipelines.train" in capsys.readouterr().err


def test_a_real_server_answers_and_ends_cleanly(tmp_path: Path) -> None:
    publish(tmp_path / "var/bundles")
    with server(tmp_path) as address:  # which asserts exit code 0 after SIGTERM
        answer = httpx.post(f"{address}/predict", json={"rows": [ROW]})
        assert answer.json()["model"] == "patients"


def test_a_port_that_is_taken_ends_with_a_message(tmp_path: Path) -> None:
    publish(tmp_path / "var/bundles")
    with server(tmp_path) as address:
        done = subprocess.run(
            [sys.executable, "-m", "serving", "--port", address.rpartition(":")[2]],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 2
    assert "address already in use" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_server_needs_nothing_that_only_training_needs() -> None:
    code = (
        "import sys, serving.__main__, serving.app; heavy = {'torch', 'mlflow', 'pandas', 'polars', 'sklearn', 'hydra',"
        " 'omegaconf', 'onnx', 'pipelines', 'pytorch_lightning'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=True)
