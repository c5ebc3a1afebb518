"""Clients that exist, over HTTP: curl, pandas and polars send their own files and tables, and read what comes back."""

import io
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from serving.reading.media_types import ARROW, CSV, content_type
from tests.serving.bundles import PATIENT_ROW, publish_patients
from tests.serving.processes import Running, running

CURL = shutil.which("curl")
CLASSES = ["low", "middling", "high"]
COLUMNS = ["prediction", *(f"probability_{name}" for name in CLASSES)]
N_ROWS = 1_000
ROWS: list[dict[str, Any]] = [
    PATIENT_ROW
    | {
        "age": number % 90,
        "blood pressure": None if number % 3 else 60.5 + number % 100,
        "smoker": number % 2 == 0,
        "city": [None, "Bern", "7", "unseen, with a comma", "Zürich"][number % 5],
        "joined": f"{2000 + number % 20}-02-28",
    }
    for number in range(N_ROWS)
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    root = tmp_path_factory.mktemp("bundles")
    publish_patients(root)
    with running(root, SERVING_BUNDLES=str(root)) as own:
        yield own
        assert own.stop() == 0


@pytest.fixture(scope="module")
def expected(server: Running) -> np.ndarray:
    """Probabilities of `ROWS`, [N, 3], by the native API."""
    answer = server.post("/predict", json={"rows": ROWS}).json()
    return np.array([[own["probabilities"][name] for name in CLASSES] for own in answer["predictions"]])


def check(columns: list[str], labels: list[str], probabilities: np.ndarray, expected: np.ndarray) -> None:
    assert columns == COLUMNS
    np.testing.assert_allclose(probabilities, expected, rtol=1e-6)
    assert labels == [CLASSES[place] for place in expected.argmax(axis=1)]


def curl(folder: Path, *arguments: str) -> tuple[str, str]:
    """Status and media type of the answer; its body lies in `answer`."""
    if CURL is None:
        pytest.skip("no curl on this machine")
    said = "%{http_code} %{content_type}"
    command = [CURL, "--silent", "--show-error", "--max-time", "60", "--output", "answer", "--write-out", said]
    done = subprocess.run([*command, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    status, _, media = done.stdout.partition(" ")
    return status, media


def test_curl_sends_rows_of_json(tmp_path: Path, server: Running, expected: np.ndarray):
    (tmp_path / "rows.json").write_text(json.dumps({"rows": ROWS}), encoding="utf-8")
    status, media = curl(tmp_path, "--json", "@rows.json", f"{server.address}/predict")
    assert (status, media) == ("200", "application/json")
    answer = json.loads((tmp_path / "answer").read_text())
    found = [list(own["probabilities"].values()) for own in answer["predictions"]]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "gzip"])
def test_curl_sends_a_csv_file_and_gets_one(tmp_path: Path, server: Running, expected: np.ndarray, *, compressed: bool):
    pl.DataFrame(ROWS).write_csv(tmp_path / "rows.csv")
    options = ["--header", f"Content-Type: {CSV}"]
    name = "rows.csv"
    if compressed:
        subprocess.run(["gzip", "rows.csv"], cwd=tmp_path, check=True)
        name, options = "rows.csv.gz", [*options, "--header", "Content-Encoding: gzip"]
    status, media = curl(tmp_path, *options, "--data-binary", f"@{name}", f"{server.address}/models/patients/predict")
    assert (status, media) == ("200", content_type(CSV))
    answered = pd.read_csv(tmp_path / "answer")
    check(list(answered), answered["prediction"].tolist(), answered.iloc[:, 1:].to_numpy(), expected)


def test_curl_sends_csv_and_asks_for_arrow(tmp_path: Path, server: Running, expected: np.ndarray):
    pl.DataFrame(ROWS).write_csv(tmp_path / "rows.csv")
    headers = ["--header", f"Content-Type: {CSV}", "--header", f"Accept: {ARROW}"]
    status, media = curl(tmp_path, *headers, "--data-binary", "@rows.csv", f"{server.address}/predict")
    assert (status, media) == ("200", ARROW)
    answered = pl.read_ipc_stream(tmp_path / "answer")
    check(answered.columns, answered["prediction"].to_list(), answered.drop("prediction").to_numpy(), expected)


def test_curl_is_told_what_is_wrong(tmp_path: Path, server: Running):
    (tmp_path / "rows.csv").write_text("age,smoker\n40,maybe\n")
    options = ["--header", f"Content-Type: {CSV}", "--data-binary", "@rows.csv"]
    assert curl(tmp_path, *options, f"{server.address}/predict") == ("422", "application/json")
    error = json.loads((tmp_path / "answer").read_text())["error"]
    missing = [own["path"] for own in error["details"] if own["message"] == "This column is missing"]
    assert missing == [["columns", name] for name in PATIENT_ROW if name not in ("age", "smoker")]


def post(server: Running, content: bytes, media: str) -> bytes:
    answer = server.post("/predict", content=content, headers={"Content-Type": media})
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == content_type(media)
    assert answer.headers["X-Model-Version"] == "1"
    return answer.content


def test_pandas_sends_csv_and_arrow_and_reads_both(server: Running, expected: np.ndarray):
    table = pd.DataFrame(ROWS)
    by_csv = pd.read_csv(io.BytesIO(post(server, table.to_csv(index=False).encode(), CSV)))
    check(list(by_csv), by_csv["prediction"].tolist(), by_csv.iloc[:, 1:].to_numpy(), expected)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, (arrow := pa.Table.from_pandas(table)).schema) as writer:
        writer.write_table(arrow)
    by_arrow = pa.ipc.open_stream(post(server, sink.getvalue().to_pybytes(), ARROW)).read_pandas()
    check(list(by_arrow), by_arrow["prediction"].tolist(), by_arrow.iloc[:, 1:].to_numpy(), expected)


def test_polars_sends_csv_and_arrow_and_reads_both(server: Running, expected: np.ndarray):
    table = pl.DataFrame(ROWS).with_columns(pl.col("joined").str.to_date(), pl.col("city").cast(pl.Categorical))
    stream = io.BytesIO()
    table.write_ipc_stream(stream)
    for answered in (
        pl.read_csv(post(server, table.write_csv().encode(), CSV)),
        pl.read_ipc_stream(post(server, stream.getvalue(), ARROW)),
    ):
        check(answered.columns, answered["prediction"].to_list(), answered.drop("prediction").to_numpy(), expected)
