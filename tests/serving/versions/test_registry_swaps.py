"""A server of two workers under load while its registry, a real MLflow server, offers versions, good and broken, and
is cut off: every request is answered, and every answer tells the version that gave it.
"""

import time
import warnings
from itertools import cycle, islice
from pathlib import Path

import httpx
import pytest

from tests.serving.broken import BROKEN
from tests.serving.bundles import SALES_ROW, publish_sales
from tests.serving.load import Load, check, eventually
from tests.serving.processes import Running, running
from tests.serving.proofs import amount
from tests.serving.wire import Wire, wire_to
from tests.tracking.records import make_run

NAME = "ice cream"
N_CONNECTIONS = amount(usual=8, whole=64)
N_SWAPS = amount(usual=4, whole=50)
SECONDS_AWAY = amount(usual=4, whole=20)
KINDS = [kind for kind in BROKEN if kind not in {"no model file", "no folder"}]  # MLflow keeps what it was given
BREAKS = list(islice(cycle(KINDS), amount(usual=3, whole=10)))


def register(uri: str, bundles: list[Path]) -> None:
    """As versions 1, 2, ..., in this order."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow warns about itself while it is imported
        from pipelines.tracking.mlflow import MlflowRecorder  # noqa: PLC0415  for that reason
    recorder = MlflowRecorder(uri, experiment="sales", artifacts=None)
    for number, bundle in enumerate(bundles, start=1):
        (run_id,) = recorder.record([make_run(name=str(number))])
        version = recorder.register(bundle, NAME, run_id)
        assert version.version == number
        recorder.settle(version, is_champion=True)


def choose(uri: str, version: int) -> None:
    answer = httpx.post(
        f"{uri}/api/2.0/mlflow/registered-models/alias",
        json={"name": NAME, "alias": "champion", "version": str(version)},
        timeout=60,
        verify=False,
    )
    answer.raise_for_status()


def publish(made: Path) -> tuple[list[Path], dict[int, str]]:
    """Bundles of all versions, and those that are broken -> why."""
    n_versions = 1 + N_SWAPS + len(BREAKS)
    bundles = [publish_sales(made, version=version) for version in range(1, n_versions + 1)]
    broken = {}
    for number, kind in enumerate(BREAKS):
        break_it, reason = BROKEN[kind]
        break_it(bundles[N_SWAPS + 1 + number])
        broken[N_SWAPS + 2 + number] = reason
    return bundles, broken


def reload(server: Running) -> httpx.Response:
    return server.post(f"/models/{NAME}/reload")


def swap_and_offer(uri: str, server: Running, load: Load, broken: dict[int, str]) -> None:
    """Every good version, and the broken ones spread among them."""
    offered = list(broken)
    for number in range(N_SWAPS):
        version = number + 2
        choose(uri, version)
        assert reload(server).json() == {"model": NAME, "version": str(version)}
        eventually(lambda version=version: load.answers[200, str(version)] > 0)
        until = len(offered) * (N_SWAPS - number - 1) // N_SWAPS
        for bad in offered[until:]:
            choose(uri, bad)
            answer = reload(server)
            assert answer.status_code == 409, answer.text
            assert broken[bad] in answer.json()["error"]["message"]
        del offered[until:]
        choose(uri, version)
    assert offered == []


def cut_off(uri: str, server: Running, wire: Wire, *, seconds: float) -> None:
    """Half of the time nobody listens, half of it nobody answers; a version is chosen meanwhile."""
    for silently in (False, True):
        wire.cut(silently=silently)
        choose(uri, 1)
        if not silently:
            assert reload(server).status_code == 502
        time.sleep(seconds / 2)
    wire.mend()
    assert wire.n_refused > 0


@pytest.mark.slow
def test_versions_of_a_registry_change_under_load_and_it_may_go_away(tmp_path: Path, mlflow_uri: str):
    made = tmp_path / "made"
    bundles, broken = publish(made)
    register(mlflow_uri, bundles)
    choose(mlflow_uri, 1)
    settings = {"SERVING_POLL_SECONDS": "1", "SERVING_WORKERS": "2", "SERVING_NAMES": NAME}
    with wire_to(mlflow_uri) as wire, running(tmp_path, SERVING_REGISTRY=wire.address, **settings) as server:
        load = Load(server.address, {"rows": [SALES_ROW]}, n_connections=N_CONNECTIONS)
        swap_and_offer(mlflow_uri, server, load, broken)
        before = load.answers[200, "1"]
        cut_off(mlflow_uri, server, wire, seconds=SECONDS_AWAY)
        eventually(lambda: load.answers[200, "1"] > before)
        load.stop()
        assert server.stop() == 0
    check(load, made / NAME, broken={str(version) for version in broken})
    assert load.values.keys() == {str(version) for version in range(1, N_SWAPS + 2)}
    print(f"\n{sum(load.answers.values()):,} answers, {len(load.values)} versions")
