"""A worker, or the whole server, that starts again goes on as before: what was refused or put back stays out."""

import os
import signal
from pathlib import Path

import httpx
import pytest

from serving.versions.probation import LEAST_ANSWERS
from tests.serving.bundles import publish_patients, publish_sales
from tests.serving.load import eventually
from tests.serving.processes import STARTED, Running, two_workers
from tests.serving.registries import registry_of
from tests.serving.test_workers import children
from tests.serving.versions.test_swaps import BODY, NAME, UNTOLD, break_model
from tests.serving.wire import wire_to

pytestmark = pytest.mark.slow


def ready(server: Running) -> list[dict[str, str]]:
    """What each of both workers serves; nothing as long as one of them does not answer."""
    seen = set()
    for _ in range(20):
        seen.add(tuple(sorted(server.get("/ready").json()["models"].items())))
    return [dict(own) for own in seen]


def kill_one(server: Running) -> None:
    n_started = server.logged(STARTED)
    os.kill(min(children(server.process.pid)), signal.SIGKILL)
    eventually(lambda: server.logged(STARTED) == n_started + 1)


def kill_both(server: Running) -> None:
    """One after the other; none of those of before is left."""
    n_started = server.logged(STARTED)
    for worker in children(server.process.pid):
        n_lines = log_of(server).count("is started again")
        os.kill(worker, signal.SIGKILL)
        eventually(lambda n_lines=n_lines: log_of(server).count("is started again") > n_lines)
    eventually(lambda: server.logged(STARTED) == n_started + 2)


def log_of(server: Running) -> str:
    return server.log.read_text()


def refused(server: Running) -> list[set[str]]:
    return [set(server.get(f"/models/{NAME}").json()["refused"]) for _ in range(20)]


def goes_on_with_1(server: Running) -> None:
    eventually(lambda: ready(server) == [{NAME: "1", "patients": "1"}])
    assert refused(server) == [{"2"}] * 20
    for _ in range(20):
        answer = server.post(f"/models/{NAME}/predict", json=BODY)
        assert (answer.status_code, answer.json()["version"]) == (200, "1")


def reload(server: Running) -> httpx.Response:
    return server.post(f"/models/{NAME}/reload")


def refuse_2(server: Running, bundles: Path) -> None:
    publish_sales(bundles, version=2, damage=break_model)
    assert reload(server).status_code == 409


def put_2_back(server: Running, bundles: Path) -> None:
    """Its callers send other columns."""
    publish_patients(bundles, name=NAME, version=2)
    assert reload(server).json()["version"] == "2"
    eventually(lambda: server.logged("swapped") == 2)
    for _ in range(LEAST_ANSWERS):
        server.post(f"/models/{NAME}/predict", json=BODY)
    eventually(lambda: server.logged("put back") == 2)


@pytest.mark.parametrize("fail", [refuse_2, put_2_back])
def test_what_was_refused_or_put_back_stays_out_after_restarts(tmp_path: Path, fail):
    bundles = tmp_path / "bundles"
    publish_sales(bundles, version=1)
    publish_patients(bundles, version=1)
    with two_workers(tmp_path, "--bundles", str(bundles), **UNTOLD) as server:
        fail(server, bundles)
        kill_one(server)
        goes_on_with_1(server)
        kill_both(server)
        goes_on_with_1(server)
        assert server.stop() == 0
    with two_workers(tmp_path, "--bundles", str(bundles), **UNTOLD) as server:
        goes_on_with_1(server)
        assert reload(server).status_code == (409 if fail is refuse_2 else 200)


@pytest.mark.parametrize("fail", [refuse_2, put_2_back])
def test_while_the_registry_is_away_workers_and_servers_start_with_what_was_served(tmp_path: Path, fail):
    made, bundles = tmp_path / "made", tmp_path / "bundles"
    publish_sales(made, version=1)
    publish_patients(made, version=1)
    with registry_of(made) as registry, wire_to(registry.address) as wire:
        with two_workers(tmp_path, "--bundles", str(bundles), **UNTOLD, SERVING_REGISTRY=wire.address) as server:
            fail(server, made)
            wire.cut(silently=False)
            kill_both(server)
            eventually(lambda: ready(server) == [{NAME: "1", "patients": "1"}])
            assert server.stop() == 0
        with two_workers(tmp_path, "--bundles", str(bundles), **UNTOLD, SERVING_REGISTRY=wire.address) as server:
            assert ready(server) == [{NAME: "1", "patients": "1"}]
            assert reload(server).status_code == 502
            wire.mend()
            assert reload(server).status_code == (409 if fail is refuse_2 else 200)


def test_a_version_on_probation_is_judged_by_the_server_that_starts_again(tmp_path: Path):
    bundles = tmp_path / "bundles"
    publish_sales(bundles, version=1)
    publish_patients(bundles, version=1)
    with two_workers(tmp_path, "--bundles", str(bundles), **UNTOLD) as server:
        assert server.stop() == 0
    publish_patients(bundles, name=NAME, version=2)  # nobody is there to see it
    with two_workers(tmp_path, "--bundles", str(bundles), **UNTOLD) as server:
        assert {own[NAME] for own in ready(server)} == {"2"}
        for _ in range(LEAST_ANSWERS):
            server.post(f"/models/{NAME}/predict", json=BODY)
        eventually(lambda: {own[NAME] for own in ready(server)} == {"1"})


def test_where_nothing_can_be_kept_among_the_bundles_workers_keep_it_among_them(tmp_path: Path):
    bundles = tmp_path / "bundles"
    publish_sales(bundles, version=1)
    publish_patients(bundles, version=1)
    for place in (bundles / ".served", tmp_path / ".served-bundles"):
        place.write_text("no folder")
    with two_workers(tmp_path, "--bundles", str(bundles), **UNTOLD) as server:
        put_2_back(server, bundles)
        kill_both(server)
        goes_on_with_1(server)
        assert "can be written" in log_of(server)
