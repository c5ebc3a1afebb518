"""MLflow waits a minute for each request to a server that is gone: a user waits for it once."""

import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from pipelines.errors import UserError
from pipelines.tracking.mlflow import MlflowRecorder
from tests.listening import listening
from tests.tracking.bundles import write_bundle
from tests.tracking.records import make_run

EXPERIMENT = {"experiment": {"experiment_id": "1", "name": "wine", "lifecycle_stage": "active"}}
RUN = {"run": {"info": {"run_id": "r1", "status": "RUNNING", "artifact_uri": "mlflow-artifacts:/1/r1"}, "data": {}}}
NO_RUNS: dict[str, Any] = {"runs": []}
GONE = r"^No MLflow server answers at tracking\.uri=http://127\.0\.0\.1:"


class Answers(BaseHTTPRequestHandler):
    """Of an MLflow server that goes as soon as it has made a run."""

    def do_GET(self) -> None:
        self._answer(EXPERIMENT if "experiments" in self.path else {})

    def do_POST(self) -> None:
        if self.path.endswith("/runs/create"):
            self.server.socket.close()
            self._answer(RUN)
        else:
            self._answer(NO_RUNS)

    def _answer(self, content: dict[str, Any]) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(content).encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Iterator[MlflowRecorder]:
    """Of a server that is gone, if it is not asked for a run first: nobody waits here."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with listening(Answers) as uri:
        yield MlflowRecorder(uri, experiment="wine", artifacts=None)


def test_a_run_that_was_begun_is_given_up_as_soon_as_the_server_does_not_answer(recorder: MlflowRecorder) -> None:
    with pytest.raises(UserError, match=GONE):
        recorder.record([make_run()])


ASKED: dict[str, Callable[[MlflowRecorder, Any], object]] = {
    "annotate": lambda recorder, _: recorder.annotate("r1", {"test/rmse": 1.0}),
    "newest version": lambda recorder, _: recorder.newest_version("wine"),
    "register": lambda recorder, folder: recorder.register(write_bundle(folder / "bundle"), "wine", "r1"),
    "tag": lambda recorder, _: recorder.tag_experiment("key", "value"),
}


@pytest.mark.parametrize("ask", ASKED.values(), ids=ASKED)
def test_after_a_failure_it_is_asked_for_a_sign_of_life_first(
    recorder: MlflowRecorder, ask: Callable[[MlflowRecorder, Any], object], tmp_path: Any
) -> None:
    with pytest.raises(UserError):
        recorder.record([make_run()])
    with pytest.raises(UserError, match=GONE):
        ask(recorder, tmp_path)
