"""Versions that change under load, in a real server: no answer fails, and each tells the version that gave it."""

import time
from pathlib import Path

import pytest

from serving.versions.probation import LEAST_ANSWERS
from tests.serving.bundles import SALES_ROW, choose, publish_patients, publish_sales
from tests.serving.load import Load, check, eventually
from tests.serving.processes import Running, running, two_workers
from tests.serving.proofs import amount

NAME = "ice cream"
BODY = {"rows": [SALES_ROW]}
N_SWAPS = amount(usual=8, whole=50)
N_CONNECTIONS = amount(usual=8, whole=64)
UNTOLD = {"SERVING_POLL_SECONDS": "600"}  # nobody looks, after a first look, unless told to


def asked(server: Running) -> set[str]:
    """Versions that answer, on connections of their own, so that any worker may."""
    return {server.post("/predict", json=BODY).json()["version"] for _ in range(20)}


def break_model(folder: Path) -> None:
    (folder / "model.onnx").write_bytes(b"broken")


@pytest.mark.slow
def test_versions_change_under_load(tmp_path: Path):
    publish_sales(tmp_path, version=1)
    with running(tmp_path, "--bundles", str(tmp_path), SERVING_POLL_SECONDS="1") as server:
        load = Load(server.address, BODY, n_connections=N_CONNECTIONS)
        served, broken = {"1"}, set()
        for number in range(N_SWAPS):
            version = 2 * number + 2
            publish_sales(tmp_path, version=version)
            assert server.post(f"/models/{NAME}/reload").json()["version"] == str(version)
            eventually(lambda version=version: load.answers[200, str(version)] > 0)
            served.add(str(version))
            if number % 5 == 0:  # a broken one is offered in between, and taken back
                publish_sales(tmp_path, version=version + 1, damage=break_model)
                broken.add(str(version + 1))
                assert server.post(f"/models/{NAME}/reload").status_code == 409
                choose(tmp_path, name=NAME, version=version)
        load.stop()
        assert server.stop() == 0
    check(load, tmp_path / NAME, broken=broken)
    assert served - {"1"} <= load.values.keys() <= served


def test_an_alias_is_looked_up_by_every_worker_without_being_told(tmp_path: Path):
    publish_sales(tmp_path, version=1)
    with two_workers(tmp_path, "--bundles", str(tmp_path), SERVING_POLL_SECONDS="1") as server:
        load = Load(server.address, BODY, n_connections=4)
        publish_sales(tmp_path, version=2)
        eventually(lambda: server.logged("swapped") == 2)
        load.stop()
        assert asked(server) == {"2"}
    check(load, tmp_path / NAME, broken=set())


def test_a_reload_reaches_every_worker(tmp_path: Path):
    publish_sales(tmp_path, version=1)
    with two_workers(tmp_path, "--bundles", str(tmp_path), **UNTOLD) as server:
        for version in (2, 3):  # at the first of them each may have its first look, which is its last
            publish_sales(tmp_path, version=version)
            assert server.post(f"/models/{NAME}/reload").json()["version"] == str(version)
            eventually(lambda version=version: server.logged("swapped") == 2 * (version - 1))
        assert asked(server) == {"3"}


def answering(server: Running) -> set[str]:
    """Versions that would answer, of any worker, without asking for a prediction."""
    return {server.get("/ready").json()["models"][NAME] for _ in range(20)}


def test_workers_judge_a_version_by_what_all_of_them_answered(tmp_path: Path):
    publish_sales(tmp_path, version=1)
    with two_workers(tmp_path, "--bundles", str(tmp_path), **UNTOLD) as server:
        publish_patients(tmp_path, name=NAME, version=2)
        assert server.post(f"/models/{NAME}/reload").json()["version"] == "2"
        eventually(lambda: server.logged("swapped") == 2)
        for _ in range(LEAST_ANSWERS):
            assert server.post("/predict", json=BODY).status_code == 422
        eventually(lambda: server.logged("put back") == 2)
        assert answering(server) == {"1"}
        assert server.post(f"/models/{NAME}/reload").json()["version"] == "2"
        eventually(lambda: server.logged("swapped") == 4)  # it has a new chance in each


def test_a_reload_of_one_model_leaves_the_others_as_they_are(tmp_path: Path):
    publish_sales(tmp_path, version=1)
    publish_patients(tmp_path, name="patients", version=1)
    with two_workers(tmp_path, "--bundles", str(tmp_path), **UNTOLD) as server:
        publish_patients(tmp_path, name=NAME, version=2)
        assert server.post(f"/models/{NAME}/reload").json()["version"] == "2"
        eventually(lambda: server.logged("swapped") == 2)
        for _ in range(LEAST_ANSWERS):
            server.post(f"/models/{NAME}/predict", json=BODY)
        eventually(lambda: server.logged("put back") == 2)
        publish_patients(tmp_path, name="patients", version=2)
        assert server.post("/models/patients/reload").status_code == 200
        eventually(lambda: server.logged("swapped") == 4)  # both have heard of it
        assert answering(server) == {"1"}
        outcomes = ("swapped", "put_back")
        once = {f'serving_versions_total{{model="{NAME}",outcome="{own}"}} 1.0' for own in outcomes}
        lines = server.get("/metrics").text.splitlines()
        told = {line for line in lines if line.startswith(f'serving_versions_total{{model="{NAME}"')}
        assert told == once, "once, not by every worker"


def test_a_broken_version_is_told_in_the_log_and_in_the_models_card(tmp_path: Path):
    publish_sales(tmp_path, version=1)
    with running(tmp_path, "--bundles", str(tmp_path), SERVING_POLL_SECONDS="1") as server:
        publish_sales(tmp_path, version=2, damage=break_model)
        eventually(lambda: server.get(f"/models/{NAME}").json()["refused"].keys() == {"2"})
        time.sleep(3)
        assert server.get(f"/models/{NAME}").json()["version"] == "1"
        assert server.stop() == 0
    log = (tmp_path / "stderr.log").read_text()
    assert log.count("its sha256 is not the one in contract.json") == 1
