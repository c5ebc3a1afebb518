"""A small body may ask for much: what takes long has a thread, so that every connection is answered meanwhile."""

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pytest

from serving.app import create_app
from serving.bundle import NumericColumn
from serving.event_loop_budget import SMALL_BODY_BYTES, SMALL_ROWS, TRIED_ROWS, NoTimeError, rows_at_once
from serving.protocols.mlflow_scoring.request import read_invocation
from serving.reading.media_types import ARROW, CSV
from serving.settings import Settings
from serving.worker import load_champions
from tests.serving.asking import app_of, ask
from tests.serving.bundles import publish, publish_sales
from tests.serving.http.test_limits import code, waiting_app
from tests.serving.processes import environment
from tests.serving.reading.test_media_types import as_stream
from tests.serving.slow import slow_down

NAMES = ("Temperatur in °C", "humidity")
MANY = SMALL_ROWS + 1
V2, MLFLOW = "/v2/models/ice%20cream/infer", "/invocations"


def tensors(n_rows: int) -> dict[str, Any]:
    own = {"shape": [n_rows, 1], "datatype": "FP64", "data": [7] * n_rows}
    return {"inputs": [{"name": name, **own} for name in NAMES]}


def as_json(content: Any) -> tuple[str, bytes]:
    return "application/json", json.dumps(content, separators=(",", ":")).encode()


def columns(n_rows: int) -> dict[str, list[int]]:
    return {name: [7] * n_rows for name in NAMES}


def bodies(n_rows: int) -> dict[str, tuple[str, str, bytes]]:
    """Path, media type and content of bodies of so many rows."""
    table = pa.table({name: pa.array(values, pa.float64()) for name, values in columns(n_rows).items()})
    split = {"columns": NAMES, "data": [[7, 7]] * n_rows}
    return {
        "rows": ("/predict", *as_json({"rows": [dict.fromkeys(NAMES, 7)] * n_rows})),
        "columns": ("/predict", *as_json({"columns": columns(n_rows)})),
        "columns, with more asked": ("/predict?explain=false", *as_json({"columns": columns(n_rows)})),
        "CSV": ("/predict", CSV, ("\n".join([",".join(NAMES), *["7,7"] * n_rows])).encode()),
        "Arrow": ("/predict", ARROW, as_stream(table)),
        "v2": (V2, *as_json(tensors(n_rows))),
        "mlflow": (MLFLOW, *as_json({"dataframe_split": split})),
    }


COMPRESSED = as_stream(pa.table(columns(1)), compression="zstd")
MUCH = {
    **bodies(MANY),
    "10,000 rows": ("/predict", *as_json({"columns": columns(10_000)})),
    "10,000 rows of Arrow": ("/predict", ARROW, as_stream(pa.table(columns(10_000)), compression="zstd")),
    "compressed": ("/predict", ARROW, COMPRESSED),
}


@pytest.mark.parametrize("kind", MUCH)
def test_others_are_answered_while_a_small_body_takes_long(tmp_path: Path, kind: str):
    path, media, content = MUCH[kind]
    assert len(content) <= SMALL_BODY_BYTES
    app, predictor = waiting_app(tmp_path)

    async def main() -> tuple[int, int]:
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
            own = asyncio.create_task(client.post(path, content=content, headers={"Content-Type": media}))
            await asyncio.sleep(0.2)
            meanwhile = await client.get("/live")
            assert not own.done()
            predictor.let.set()
            return meanwhile.status_code, (await own).status_code

    assert asyncio.run(main()) == (200, 200)


@pytest.mark.parametrize("kind", bodies(1))
@pytest.mark.parametrize(("n_rows", "is_at_once"), [(3, True), (4, False)])
def test_what_a_model_takes_long_for_has_a_thread(tmp_path: Path, kind: str, n_rows: int, *, is_at_once: bool):
    publish_sales(tmp_path)
    own = load_champions(Settings(bundles=tmp_path))["ice cream"]
    seen = set()

    class Seen:
        contract = own.contract

        def predict(self, columns: Any) -> Any:
            seen.add(threading.current_thread())
            return own.predictor.predict(columns)

    app = create_app({"ice cream": replace(own, predictor=Seen(), rows_at_once=3)}, Settings())
    path, media, content = bodies(n_rows)[kind]
    assert ask(app, "POST", path, content=content, headers={"Content-Type": media}).status_code == 200
    assert (seen == {threading.main_thread()}) == is_at_once


def test_how_many_rows_a_model_answers_at_once_comes_from_what_a_row_takes(tmp_path: Path):
    publish_sales(tmp_path / "fast")
    publish_sales(tmp_path / "slow", damage=slow_down)
    fast, slow = (load_champions(Settings(bundles=tmp_path / own))["ice cream"] for own in ("fast", "slow"))
    assert fast.rows_at_once == SMALL_ROWS
    assert 0 < slow.rows_at_once < TRIED_ROWS


@pytest.mark.parametrize(
    ("a_start", "a_row", "fewest", "most"),
    [
        (0.0, 0.0, SMALL_ROWS, SMALL_ROWS),
        (0.003, 0.00001, SMALL_ROWS, SMALL_ROWS),
        (0.0, 0.001, 4, 5),
        (0.006, 0.0, 0, 0),
    ],
)
def test_rows_at_once_fit_their_time(a_start: float, a_row: float, fewest: int, most: int):
    def answer(n_rows: int) -> None:
        end = time.thread_time() + a_start + n_rows * a_row
        while time.thread_time() < end:
            pass

    assert fewest <= rows_at_once(answer) <= most


@pytest.mark.parametrize("form", ["inputs", "dataframe_records"])
def test_what_a_small_body_leaves_out_of_many_rows_is_filled_in_a_thread(tmp_path: Path, form: str):
    publish_sales(tmp_path)
    own = load_champions(Settings(bundles=tmp_path))["ice cream"]
    name = NAMES[0]
    rows = {"inputs": {name: [7] * 10_000}, "dataframe_records": [{name: 7}] * 1_000}
    media, content = as_json({form: rows[form]})
    assert len(content) <= SMALL_BODY_BYTES
    with pytest.raises(NoTimeError):
        read_invocation(content, media, own.quick_reader)


ASK_FOR_ARROW = """
import sys, threading
from pathlib import Path
from tests.serving.asking import app_of, ask

class Seen:
    def find_spec(name, path=None, target=None):
        if name == "pyarrow":
            print(threading.current_thread() is threading.main_thread())

folder, sent, accepted = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
app = app_of(folder)
sys.meta_path.insert(0, Seen)
for _ in range(2):
    header = {"Content-Type": sent, "Accept": accepted}
    assert ask(app, "POST", "/predict", content=(folder / "body").read_bytes(), headers=header).status_code == 200
"""


@pytest.mark.parametrize(("kind", "accepted"), [("Arrow", ARROW), ("Arrow", CSV), ("CSV", ARROW)])
def test_who_first_asks_for_arrow_keeps_nobody_waiting_until_it_is_imported(tmp_path: Path, kind: str, accepted: str):
    publish_sales(tmp_path)
    _, sent, content = bodies(1)[kind]
    (tmp_path / "body").write_bytes(content)
    asking = [sys.executable, "-c", ASK_FOR_ARROW, str(tmp_path), sent, accepted]
    done = subprocess.run(asking, env=environment(), capture_output=True, text=True, check=False)
    assert (done.stdout.split(), done.stderr) == (["False"], "")


def test_a_small_body_of_many_rows_is_given_up_in_time(tmp_path: Path):
    app, predictor = waiting_app(tmp_path, request_seconds=1)
    path, media, content = MUCH["10,000 rows"]
    answer = ask(app, "POST", path, content=content, headers={"Content-Type": media})
    predictor.let.set()
    assert code(answer) == (504, "prediction_too_slow")


@pytest.fixture
def threads_of(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], set[threading.Thread]]:
    """The threads in which a module looked for the nearest name."""

    def watch(module: str) -> set[threading.Thread]:
        seen = set()

        def look(*_: Any, **__: Any) -> list[str]:
            seen.add(threading.current_thread())
            return []

        monkeypatch.setattr(f"{module}.get_close_matches", look)
        return seen

    return watch


WRONG = {f"no column {place}": [1] for place in range(200)}
MISTAKES = {
    "rows": ("/predict", *as_json({"rows": [dict.fromkeys(WRONG, 1)]})),
    "columns": ("/predict", *as_json({"columns": WRONG})),
    "CSV": ("/predict", CSV, f"{','.join(WRONG)}\n{','.join('1' for _ in WRONG)}\n".encode()),
    "Arrow": ("/predict", ARROW, as_stream(pa.table(WRONG))),
}


@pytest.mark.parametrize("kind", MISTAKES)
def test_what_is_wrong_is_found_out_in_a_thread(
    tmp_path: Path, kind: str, threads_of: Callable[[str], set[threading.Thread]]
):
    columns = [
        NumericColumn(name=f"column {place}", nullable=True, minimum=0, maximum=1, integer=False, example=0.5)
        for place in range(3)
    ]
    publish(tmp_path, name="wide", version=1, columns=columns, rows=[{own.name: 0.5 for own in columns}])
    path, media, content = MISTAKES[kind]
    seen = threads_of("serving.reading.mistakes")
    answer = ask(app_of(tmp_path), "POST", path, content=content, headers={"Content-Type": media})
    assert answer.status_code == 422
    assert len(answer.json()["error"]["details"]) == 100
    assert seen
    assert threading.main_thread() not in seen
