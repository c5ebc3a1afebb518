"""Several processes on one port, as real processes: one is killed, all are ended, and their counts are one server's."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.serving.bundles import SALES_ROW, publish_sales
from tests.serving.load import SECONDS, Load, eventually
from tests.serving.processes import ROOT, Running, run_to_the_end, running, two_workers
from tests.serving.proofs import amount

BODY = {"rows": [SALES_ROW]}


def parent_of(process_id: int) -> int | None:
    """None when the process has ended, whether or not somebody has taken notice."""
    try:
        state, parent = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[:2]
    except OSError:
        return None
    return None if state == "Z" else int(parent)


def children(process_id: int) -> set[int]:
    others = [int(path.name) for path in Path("/proc").glob("[0-9]*")]
    return {own for own in others if parent_of(own) == process_id}


def counted(server: Running, name: str) -> float:
    """The sum of a metric over its labels."""
    lines = server.get("/metrics").text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith((f"{name}{{", f"{name} ")))


@pytest.mark.parametrize(("workers", "n_connections"), [("1", 16), pytest.param("3", 64, marks=pytest.mark.slow)])
def test_no_request_is_lost_when_the_server_is_asked_to_end_under_load(
    tmp_path: Path, workers: str, n_connections: int
):
    publish_sales(tmp_path)
    with running(tmp_path, "--bundles", str(tmp_path), "--workers", workers) as server:
        load = Load(server.address, BODY, n_connections=n_connections)
        eventually(lambda: load.answers[200, "1"] > 100)
        assert server.stop(signal.SIGTERM) == 0
        load.stop()
    assert set(load.answers) == {(200, "1")}
    assert load.failures == []


def test_a_worker_that_is_killed_is_started_again_while_the_others_answer(tmp_path: Path):
    publish_sales(tmp_path)
    with running(tmp_path, "--bundles", str(tmp_path), "--workers", "3") as server:
        eventually(lambda: len(children(server.process.pid)) == 3)
        before = children(server.process.pid)
        os.kill(min(before), signal.SIGKILL)
        for _ in range(50):
            assert server.post("/predict", json=BODY).status_code == 200
        eventually(lambda: len(children(server.process.pid) - before) == 1)
        assert before - {min(before)} <= children(server.process.pid)
        assert server.stop() == 0
    said = [json.loads(line)["message"] for line in (tmp_path / "stderr.log").read_text().splitlines()]
    assert f"Worker {min(before)} ended with -9; it is started again." in said


@pytest.mark.parametrize("workers", ["1", "3"])
def test_connections_that_nobody_has_accepted_yet_are_answered_at_the_end(tmp_path: Path, workers: str):
    publish_sales(tmp_path)
    with running(tmp_path, "--bundles", str(tmp_path), "--workers", workers) as server:
        eventually(lambda: workers == "1" or len(children(server.process.pid)) == int(workers))
        processes = children(server.process.pid) or {server.process.pid}
        for own in processes:
            os.kill(own, signal.SIGSTOP)
        waiting = [connect_and_ask(server.address) for _ in range(32)]
        server.process.send_signal(signal.SIGTERM)
        for own in processes:
            os.kill(own, signal.SIGCONT)
        assert [read_status(client) for client in waiting] == [200] * 32
        assert server.process.wait(60) == 0


def connect_and_ask(address: str) -> socket.socket:
    url = httpx.URL(address)
    client = socket.create_connection((url.host, url.port or 0), timeout=60)
    body = json.dumps(BODY)
    head = f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    client.sendall((head + body).encode())
    return client


def read_status(client: socket.socket) -> int:
    with client, client.makefile("rb") as answer:
        return int(answer.readline().split()[1])


@pytest.mark.slow
def test_killing_workers_under_load_loses_what_they_had_in_work_and_nothing_else(tmp_path: Path):
    publish_sales(tmp_path)
    n_connections, n_kills = 64, amount(usual=3, whole=10)
    with running(tmp_path, "--bundles", str(tmp_path), "--workers", "3") as server:
        load = Load(server.address, BODY, n_connections=n_connections)
        for _ in range(n_kills):
            eventually(lambda: len(children(server.process.pid)) == 3)
            before, n_answers = children(server.process.pid), load.answers.total()
            os.kill(min(before), signal.SIGKILL)
            eventually(lambda n_answers=n_answers: load.answers.total() > n_answers + 100)
            eventually(lambda before=before: len(children(server.process.pid) - before) == 1)
        load.stop()
        assert server.stop() == 0
    assert set(load.answers) == {(200, "1")}
    assert len(load.failures) <= n_kills * n_connections, "a connection loses the one request that it was in work on"
    assert {own.partition("(")[0] for own in load.failures} <= {"RemoteProtocolError", "ReadError", "WriteError"}


def test_workers_do_not_outlive_their_parent(tmp_path: Path):
    publish_sales(tmp_path)
    with running(tmp_path, "--bundles", str(tmp_path), "--workers", "2") as server:
        eventually(lambda: len(children(server.process.pid)) == 2)
        workers = children(server.process.pid)
        server.process.kill()
        server.process.wait()
        eventually(lambda: {parent_of(worker) for worker in workers} == {None})


def test_what_workers_count_is_one_servers_also_after_one_is_killed(tmp_path: Path):
    publish_sales(tmp_path)
    with two_workers(tmp_path, "--bundles", str(tmp_path)) as server:
        for _ in range(40):
            server.post("/predict", json=BODY)  # a connection each, so that both get some
        eventually(lambda: counted(server, "serving_rows_total") == 40)
        # Whoever shows all of them has written its own, and has read the other's.
        os.kill(min(children(server.process.pid)), signal.SIGKILL)
        eventually(lambda: len(children(server.process.pid)) == 2)
        seen = [counted(server, "serving_rows_total") for _ in range(20)]
        assert seen == [40] * 20


# As where Ctrl-C reaches a worker as well as its parent, which then tells it to end.
TOLD_TWICE = """
import os, signal
from serving import worker
from serving.settings import Settings

worker._load_and_run = lambda *_: os.kill(os.getpid(), signal.SIGINT)
worker.serve(Settings(), None, None)
os.kill(os.getpid(), signal.SIGTERM)
print("the end")
"""


def test_a_worker_that_has_ended_says_nothing_when_it_is_told_to_end_again():
    done = subprocess.run([sys.executable, "-c", TOLD_TWICE], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "the end\n", "")


def test_a_worker_that_ends_with_the_server_is_not_said_to_be_started_again(tmp_path: Path):
    publish_sales(tmp_path)
    with two_workers(tmp_path, "--bundles", str(tmp_path)) as server:
        worker = min(children(server.process.pid))
        server.process.send_signal(signal.SIGSTOP)
        for own in (server.process.pid, worker):  # as Ctrl-C and a shutdown of the machine reach all
            os.kill(own, signal.SIGTERM)
        eventually(lambda: parent_of(worker) is None)
        server.process.send_signal(signal.SIGCONT)
        assert server.process.wait(SECONDS) == 0
        assert server.logged("Worker ") == 0


def test_a_mistake_is_said_once_and_ends_all(tmp_path: Path):
    (publish_sales(tmp_path) / "model.onnx").write_bytes(b"changed")
    done = run_to_the_end(tmp_path, "--bundles", str(tmp_path), "--workers", "3", "--port", "0")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("is not served") == 1


def test_the_log_has_a_line_of_json_a_request_with_its_id(tmp_path: Path):
    publish_sales(tmp_path)
    with running(tmp_path, "--bundles", str(tmp_path), SERVING_LOG_LEVEL="info") as server:
        server.post("/predict", json=BODY, headers={"X-Request-ID": "my-id.7"})
        given = server.post("/predict", json={}, headers={"X-Request-ID": "bad id"})
        assert server.stop() == 0
    lines = [json.loads(line) for line in (tmp_path / "stderr.log").read_text().splitlines()]
    ours = {line["request_id"]: line for line in lines if line.get("path") == "/predict"}
    assert set(ours) == {"my-id.7", given.headers["X-Request-ID"]}
    line = ours["my-id.7"]
    assert (line["status"], line["model"], line["version"], line["rows"], line["protocol"]) == (
        200,
        "ice cream",
        "1",
        1,
        "native",
    )
    assert ours[given.headers["X-Request-ID"]]["status"] == 422
