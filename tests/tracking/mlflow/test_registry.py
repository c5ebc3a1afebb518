"""A registered bundle is what MLflow's own clients find under the alias `champion`, and it answers as ONNX Runtime."""

import json
from pathlib import Path

import mlflow.pyfunc
import numpy as np
import onnxruntime
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from pipelines.errors import UserError
from pipelines.tracking.mlflow import MlflowRecorder
from pipelines.tracking.recorder import RegisteredVersion
from tests.tracking.bundles import write_bundle
from tests.tracking.mlflow.readers import client_of
from tests.tracking.records import make_run

ROWS = pd.DataFrame(
    {
        "age": [40.0, np.nan, 71.5],
        "smoker": [True, False, None],
        "city": ["Bern", "Zürich", "Atlantis"],
        "joined": ["2020-02-29", None, "1999-01-01"],
    }
)


def register(uri: str, folder: Path, *, classes: tuple[str, ...] = ("no", "yes")) -> Path:
    bundle = write_bundle(folder / "made" / "bundle", classes=classes)
    recorder = MlflowRecorder(uri, experiment="patients", artifacts=str(folder / "artifacts"))
    (run_id,) = recorder.record([make_run()])
    version = recorder.register(bundle, "patients", run_id)
    assert recorder.settle(version, is_champion=True) == RegisteredVersion("patients", 1, champion=1)
    return bundle


def load_champion(uri: str) -> mlflow.pyfunc.PyFuncModel:
    """As its users load it; the address is forgotten afterwards, also by the processes that are started then."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("MLFLOW_TRACKING_URI", uri)
        return mlflow.pyfunc.load_model("models:/patients@champion")


def by_onnxruntime(bundle: Path) -> np.ndarray:
    days = np.array([18_321.0, np.nan, 10_592.0])
    session = onnxruntime.InferenceSession(bundle / "model.onnx")
    feed = {
        "age": ROWS["age"].to_numpy(float).reshape(-1, 1),
        "smoker": np.array([[1.0], [0.0], [np.nan]]),
        "city": ROWS["city"].to_numpy(object).reshape(-1, 1),
        "joined": days.reshape(-1, 1),
    }
    (prediction,) = session.run(["prediction"], feed)
    return np.asarray(prediction)


def test_the_champion_answers_through_mlflows_own_loader(uri: str, tmp_path: Path) -> None:
    bundle = register(uri, tmp_path)
    answer = load_champion(uri).predict(ROWS)
    expected = by_onnxruntime(bundle)
    np.testing.assert_allclose(answer[["probability_no", "probability_yes"]], expected, rtol=1e-6)
    assert answer["prediction"].tolist() == [("no", "yes")[place] for place in expected.argmax(axis=1)]


def test_a_regression_answers_with_its_value(uri: str, tmp_path: Path) -> None:
    bundle = register(uri, tmp_path, classes=())
    answer = load_champion(uri).predict(ROWS)
    np.testing.assert_allclose(answer["prediction"], by_onnxruntime(bundle)[:, 0], rtol=1e-6)


def test_a_version_says_where_it_comes_from(uri: str, tmp_path: Path) -> None:
    register(uri, tmp_path)
    version = client_of(uri).get_model_version_by_alias("patients", "champion")
    assert version.tags["sweep"] == "s1"
    assert version.tags["validation/roc_auc"] == "0.91"
    assert "an ensemble of 2 trials" in version.description


def test_a_version_describes_a_trial_with_folds_as_one_and_an_ensemble_by_its_first_trials(
    uri: str, tmp_path: Path
) -> None:
    recorder = MlflowRecorder(uri, experiment="patients", artifacts=str(tmp_path / "artifacts"))
    members = [
        {"run_id": f"r{trial}", "name": f"trial {trial} {'x' * 100}", "weight": 1 / 500}
        for trial in range(100)
        for _ in range(5)
    ]
    bundle = write_bundle(tmp_path / "bundle")
    contract = json.loads((bundle / "contract.json").read_text())
    contract["lineage"]["members"] = members
    (bundle / "contract.json").write_text(json.dumps(contract))
    recorder.register(bundle, "patients", recorder.record([make_run()])[0])
    described = client_of(uri).get_model_version("patients", "1").description
    assert "an ensemble of 100 trials" in described
    assert described.count("- trial ") == 20
    assert described.endswith("- and 80 trials more")
    assert f"trial 7 {'x' * 100}, weight 0.01" in described
    assert len(described) <= 5000  # as many as PostgreSQL has room for


def test_a_version_that_was_put_back_by_hand_stays_back_when_its_command_is_typed_again(
    uri: str, tmp_path: Path
) -> None:
    bundle = write_bundle(tmp_path / "bundle")
    recorder = MlflowRecorder(uri, experiment="patients", artifacts=str(tmp_path / "artifacts"))
    first, second = recorder.record([make_run(), make_run()])
    for run_id in (first, second):
        recorder.settle(recorder.register(bundle, "patients", run_id), is_champion=True)
    client_of(uri).set_registered_model_alias("patients", "champion", "1")

    again = recorder.register(bundle, "patients", second)
    assert again == RegisteredVersion("patients", 2, champion=1)
    assert recorder.settle(again, is_champion=True) == again
    client_of(uri).delete_registered_model_alias("patients", "champion")
    assert recorder.register(bundle, "patients", second) == RegisteredVersion("patients", 2, champion=None)


def test_a_version_that_no_command_came_to_settle_is_settled_by_the_next(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ends(*_: object) -> None:
        raise KeyboardInterrupt

    bundle = write_bundle(tmp_path / "bundle")
    recorder = MlflowRecorder(uri, experiment="patients", artifacts=str(tmp_path / "artifacts"))
    first, second = recorder.record([make_run(), make_run()])
    recorder.settle(recorder.register(bundle, "patients", first), is_champion=True)
    version = recorder.register(bundle, "patients", second)
    with monkeypatch.context() as patched:
        patched.setattr(MlflowClient, "set_registered_model_alias", ends)
        with pytest.raises(KeyboardInterrupt):
            recorder.settle(version, is_champion=True)

    again = recorder.register(bundle, "patients", second)
    assert again == RegisteredVersion("patients", 2, champion=1, is_settled=False)
    assert recorder.settle(again, is_champion=True) == RegisteredVersion("patients", 2, champion=2)


def test_a_registry_that_refuses_says_that_nothing_is_lost(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(*_: object, **__: object) -> None:
        raise MlflowException("database is locked")

    recorder = MlflowRecorder(uri, experiment="patients", artifacts=str(tmp_path / "artifacts"))
    (run_id,) = recorder.record([make_run()])
    bundle = write_bundle(tmp_path / "bundle")

    def registered() -> RegisteredVersion:
        return recorder.settle(recorder.register(bundle, "patients", run_id), is_champion=True)

    for method, said in (
        ("create_model_version", "'patients' could not be registered in"),
        ("set_registered_model_alias", "Version 1 of 'patients' is registered in"),
    ):
        with monkeypatch.context() as patched:
            patched.setattr(MlflowClient, method, refuses)
            with pytest.raises(UserError, match=f"(?s){said}.*database is locked\nNothing is lost"):
                registered()
    assert registered() == RegisteredVersion("patients", 1, champion=1)


@pytest.mark.slow
def test_a_server_keeps_bundles_where_a_reader_without_mlflow_can_fetch_them(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], mlflow_uri: str
) -> None:
    capfd.readouterr()
    bundle = register(mlflow_uri, tmp_path)
    assert capfd.readouterr() == ("", ""), "a user is told what we say, not what MLflow says"
    answer = load_champion(mlflow_uri).predict(ROWS)
    np.testing.assert_allclose(answer["probability_yes"], by_onnxruntime(bundle)[:, 1], rtol=1e-6)


def test_a_server_that_does_not_answer_is_named_before_anything_is_written() -> None:
    with pytest.raises(UserError, match=r"No MLflow server answers at tracking\.uri=http://127\.0\.0\.1:9"):
        MlflowRecorder("http://127.0.0.1:9", experiment="x", artifacts=None)


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(UserError, match="is no tracking store"):
        MlflowRecorder("mlruns", experiment="x", artifacts=None)
