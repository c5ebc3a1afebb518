"""Champions come from a real MLflow server as they come from a folder."""

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

import tests.tracking.conftest  # noqa: F401  imports MLflow with its own warnings held back
from serving.__main__ import load_models
from serving.app import create_app
from serving.bundle import BundleError
from serving.settings import Settings
from tests.commands import free_port
from tests.serving.conftest import ROW
from tests.tracking.mlflow.test_registry import register
from tests.tracking.servers import mlflow_server


@pytest.mark.slow
def test_a_champion_is_fetched_from_a_registry(tmp_path: Path) -> None:
    with mlflow_server(f"sqlite:///{tmp_path / 'server.db'}", tmp_path) as uri:
        register(uri, tmp_path)
        own = Settings(registry=uri, bundles=tmp_path / "bundles")
        for _ in range(2):  # the second time from the cache
            (model,) = load_models(own)
            assert (model.name, model.version) == ("patients", "1")
        with TestClient(create_app([model], own)) as served:
            assert served.post("/predict", json={"rows": [ROW]}).status_code == 200
        with pytest.raises(BundleError, match="None of the 1 models can be served"):
            load_models(Settings(registry=uri, bundles=tmp_path / "bundles", names=("unknown",)))
    with pytest.raises(BundleError, match="does not answer"):
        load_models(Settings(registry=f"http://127.0.0.1:{free_port()}", bundles=tmp_path / "bundles"))
