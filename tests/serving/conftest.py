"""A served model with a column of each kind, built without training."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from serving.app import create_app
from serving.settings import Settings
from serving.worker import load_champions
from tests.tracking.bundles import write_bundle

ROW = {"age": 40, "smoker": True, "city": "Bern", "joined": "2020-02-29"}


def publish(root: Path, name: str = "patients", *, classes: tuple[str, ...] = ("no", "yes")) -> Path:
    """A bundle where the server finds it."""
    folder = write_bundle(root / name / "3", classes=classes)
    (root / name / "champion").write_text("3\n")
    return folder


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    root = tmp_path_factory.mktemp("bundles")
    publish(root)
    settings = Settings(bundles=root, max_rows=50, max_body_bytes=20_000)
    with TestClient(create_app(load_champions(settings), settings)) as own:
        yield own
