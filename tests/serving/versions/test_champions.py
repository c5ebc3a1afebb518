"""Versions come and go while requests are answered: only what is proven answers, and what fails goes back."""

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.types import ASGIApp, Message

from serving.app import create_app
from serving.background import BackgroundThreads
from serving.bundle import BundleError, NumericColumn, PassingError
from serving.keys import KeyFile, add_key
from serving.monitoring.counters import Counters
from serving.settings import Settings
from serving.versions.answer_monitor import AnswerMonitor
from serving.versions.champions import Champions
from serving.versions.history import VersionHistory
from serving.versions.served_model import ServedModel, loader
from serving.versions.shadow import Shadow
from serving.versions.store import AwayError, FolderStore, OpenedVersion
from tests.serving.asking import JSON, ask
from tests.serving.broken import BROKEN
from tests.serving.bundles import (
    PATIENT_ROW,
    SALES_COLUMNS,
    SALES_ROW,
    choose,
    publish,
    publish_patients,
    publish_sales,
)

NAME = "ice cream"
BODY = {"rows": [SALES_ROW]}
WIND = NumericColumn(name="wind", nullable=False, minimum=0, maximum=90, integer=False, example=3.5)
MORE_COLUMNS = (SALES_COLUMNS[0], WIND)


def tensors(row: Mapping[str, Any]) -> dict[str, Any]:
    inputs = [{"name": name, "shape": [1], "datatype": "FP64", "data": [value]} for name, value in row.items()]
    return {"inputs": inputs}


# Path, the body of a row, and how a row that does not fit is answered.
PROTOCOLS: dict[str, tuple[str, Callable[[Mapping[str, Any]], Any], int]] = {
    "native": (f"/models/{NAME}/predict", lambda row: {"rows": [row]}, 422),
    "MLflow's": ("/invocations", lambda row: {"dataframe_records": [row]}, 400),
    "Open Inference": (f"/v2/models/{NAME}/infer", tensors, 422),
}


def hang_up(app: ASGIApp, path: str) -> None:
    """Ask, and be gone before the body is whole."""
    headers = [(b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": headers}

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(_: Message) -> None: ...

    asyncio.run(app(scope, receive, send))


class Store(FolderStore):
    """A folder that may be away."""

    is_away = False

    def names(self) -> list[str]:
        self._answer()
        return super().names()

    def find_version(self, name: str, alias: str = "champion") -> str:
        self._answer()
        return super().find_version(name, alias)

    def _answer(self) -> None:
        if self.is_away:
            raise AwayError("http://nowhere: it does not answer")


class Server:
    """An application whose models a test refreshes itself."""

    def __init__(
        self,
        root: Path,
        *,
        load: Callable[[OpenedVersion], ServedModel] | None = None,
        shadow: str | None = None,
        history: VersionHistory | None = None,
    ) -> None:
        self.store, self.counters = Store(root), Counters()
        load = load or loader(threads=1, max_rows=100)
        self.champions = Champions(self.store, load=load, counters=self.counters, history=history, max_error_share=0.2)
        self.champions.resume(NAME)
        beside = Shadow(self.store, load=load, alias=shadow) if shadow else None
        self.monitor = AnswerMonitor(self.champions, beside, self.counters)
        self.background = BackgroundThreads(self.champions, self.monitor, self.counters, poll_seconds=60)
        self.champions.refresh()
        self.monitor.refresh()
        self.app = create_app(self.champions, Settings(), background=self.background)

    def version(self) -> str:
        answer = ask(self.app, "POST", f"/models/{NAME}/predict", json=BODY)
        assert answer.status_code == 200, answer.text
        assert answer.headers["X-Model-Version"] == answer.json()["version"]
        return str(answer.json()["version"])

    def refused(self) -> Any:
        return ask(self.app, "GET", f"/models/{NAME}").json()["refused"]

    def metric(self, line: str) -> float:
        for shown in ask(self.app, "GET", "/metrics").text.splitlines():
            if shown.startswith(f"{line} "):
                return float(shown.rpartition(" ")[2])
        return 0.0


def test_a_new_champion_answers_the_next_request(tmp_path: Path):
    publish_sales(tmp_path, version=1)
    server = Server(tmp_path)
    assert server.version() == "1"
    for version in (2, 3):
        publish_sales(tmp_path, version=version)
        server.champions.refresh()
        assert server.version() == str(version)
    (tmp_path / NAME / "champion").write_text("1\n")
    server.champions.refresh()
    assert server.version() == "1"
    assert server.metric('serving_versions_total{model="ice cream",outcome="swapped"}') == 3


def test_a_model_that_is_new_is_served_and_one_that_lost_its_champion_goes_on(tmp_path: Path):
    publish_sales(tmp_path)
    server = Server(tmp_path)
    publish_patients(tmp_path)
    server.champions.refresh()
    assert ask(server.app, "POST", "/models/patients/predict", json={"rows": [PATIENT_ROW]}).status_code == 200
    (tmp_path / NAME / "champion").unlink()
    server.champions.refresh()
    assert server.version() == "1"


@pytest.mark.parametrize(("break_it", "said"), BROKEN.values(), ids=BROKEN)
def test_a_version_that_cannot_be_proven_stays_out_however_often_it_is_offered(
    tmp_path: Path, break_it: Callable[[Path], None], said: str
):
    publish_sales(tmp_path, version=1)
    server = Server(tmp_path)
    break_it(publish_sales(tmp_path, version=2))
    for _ in range(10):
        server.champions.refresh()
        assert server.version() == "1"
    (version, reason), *others = server.refused().items()
    assert (version, others) == ("2", [])
    assert reason.startswith(said)
    assert str(tmp_path) not in reason
    assert server.metric('serving_versions_total{model="ice cream",outcome="refused"}') == 1, "it is loaded once"
    publish_sales(tmp_path, version=3)
    server.champions.refresh()
    assert server.version() == "3"


def hide(path: Path) -> None:
    """As a disk with a fault does: the file is there, and cannot be read."""
    path.rename(path.with_suffix(".whole"))
    path.symlink_to(path.name)


def unhide(path: Path) -> None:
    path.with_suffix(".whole").replace(path)


def test_a_fault_of_this_machine_refuses_no_version(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    publish_sales(tmp_path, version=1)
    server = Server(tmp_path)
    path = publish_sales(tmp_path, version=2) / "model.onnx"
    hide(path)
    publish_patients(tmp_path)
    for _ in range(5):
        server.champions.refresh()
    assert set(server.champions) == {NAME, "patients"}, "others are looked up"
    assert ask(server.app, "POST", f"/models/{NAME}/reload").status_code == 409
    assert (server.version(), server.refused()) == ("1", {})
    assert [record.message for record in caplog.records] == ["A version is not served"], "said once"
    unhide(path)
    server.champions.refresh()
    assert server.version() == "2"


def test_a_fault_of_this_machine_refuses_no_shadow(tmp_path: Path):
    publish_sales(tmp_path, version=1)
    path = publish_sales(tmp_path, version=2) / "model.onnx"
    choose(tmp_path, name=NAME, version=1)
    choose(tmp_path, name=NAME, version=2, alias="challenger")
    hide(path)
    shadow = Shadow(FolderStore(tmp_path), load=loader(threads=1, max_rows=100), alias="challenger")
    shadow.refresh()
    assert set(shadow) == set()
    unhide(path)
    shadow.refresh()
    assert shadow[NAME].version == "2"


def test_a_store_that_is_away_changes_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    publish_sales(tmp_path, version=1)
    server = Server(tmp_path)
    server.store.is_away = True
    publish_sales(tmp_path, version=2)
    for _ in range(5):
        server.champions.refresh()
    assert (server.version(), server.refused()) == ("1", {})
    assert [record.message for record in caplog.records] == ["The store of models does not answer"], "said once"
    server.store.is_away = False
    server.champions.refresh()
    assert server.version() == "2"


def test_a_reload_while_the_store_is_away_says_that_it_is_away(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    publish_sales(tmp_path, version=1)
    server = Server(tmp_path)
    server.store.is_away = True
    assert ask(server.app, "POST", f"/models/{NAME}/reload").status_code == 502
    server.champions.refresh()
    server.store.is_away = False
    server.champions.refresh()
    assert [record.message for record in caplog.records] == [
        "The store of models does not answer",
        "The store of models answers again",
    ]


class Failing:
    """A predictor that answers while it is loaded, and then no more."""

    def __init__(self, own: ServedModel) -> None:
        self.contract = own.contract

    def predict(self, _: Any) -> Any:
        raise RuntimeError("no answer")


def failing(*versions: str) -> Callable[[OpenedVersion], ServedModel]:
    def load(opened: OpenedVersion) -> ServedModel:
        own = loader(threads=1, max_rows=100)(opened)
        return replace(own, predictor=Failing(own)) if opened.version in versions else own

    return load


def ask_and_judge(server: Server, n: int) -> list[int]:
    """Statuses, with a look at the share of errors after each."""
    statuses = []
    for _ in range(n):
        statuses.append(ask(server.app, "POST", f"/models/{NAME}/predict", json=BODY).status_code)
        server.champions.put_back_failing()
    return statuses


def test_a_version_that_fails_its_callers_is_put_back(tmp_path: Path):
    publish_sales(tmp_path, version=1)
    server = Server(tmp_path, load=failing("2"))
    for _ in range(30):
        assert server.version() == "1"
    publish_sales(tmp_path, version=2)
    server.champions.refresh()
    assert ask_and_judge(server, 30) == [500] * 20 + [200] * 10
    server.champions.refresh()
    assert server.version() == "1"
    assert server.refused() == {"2": "100% more of its answers were errors than of version 1's."}
    assert server.metric('serving_versions_total{model="ice cream",outcome="put_back"}') == 1
    assert server.metric('serving_versions_total{model="ice cream",outcome="refused"}') == 0, "it could be served"


def test_of_two_failing_versions_in_a_row_none_answers(tmp_path: Path):
    publish_sales(tmp_path, version=1)
    server = Server(tmp_path, load=failing("2", "3"))
    for version in (2, 3):  # the first has not been judged yet
        publish_sales(tmp_path, version=version)
        server.champions.refresh()
    assert ask_and_judge(server, 30) == [500] * 20 + [200] * 10
    assert server.version() == "1"


@pytest.mark.parametrize(("n_answers", "ends_on"), [(0, "1"), (20, "2")], ids=["unasked", "asked"])
def test_only_what_has_answered_often_enough_is_sound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n_answers: int, ends_on: str
):
    monkeypatch.setattr("serving.versions.probation.PROBATION_SECONDS", 0.0)
    publish_sales(tmp_path, version=1)
    server = Server(tmp_path, load=failing("3"))
    publish_sales(tmp_path, version=2)
    server.champions.refresh()
    assert ask_and_judge(server, n_answers) == [200] * n_answers
    server.champions.put_back_failing()
    publish_sales(tmp_path, version=3)
    server.champions.refresh()
    monkeypatch.undo()
    assert ask_and_judge(server, 20) == [500] * 20
    assert server.version() == ends_on


def test_what_was_repaired_while_it_was_judged_stays(tmp_path: Path):
    publish_sales(tmp_path, version=1)
    is_fetching, may_go_on = threading.Event(), threading.Event()
    usual = failing("2")

    def load(opened: OpenedVersion) -> ServedModel:
        if opened.version == "3":
            is_fetching.set()
            assert may_go_on.wait(60)
        return usual(opened)

    server = Server(tmp_path, load=load)
    publish_sales(tmp_path, version=2)
    server.champions.refresh()
    for _ in range(20):
        assert ask(server.app, "POST", f"/models/{NAME}/predict", json=BODY).status_code == 500
    publish_sales(tmp_path, version=3)
    repairing = threading.Thread(target=server.champions.reload, args=(NAME,))
    judging = threading.Thread(target=server.champions.put_back_failing)
    repairing.start()
    assert is_fetching.wait(60)
    judging.start()
    judging.join(1.0)
    may_go_on.set()
    repairing.join()
    judging.join()
    assert (server.version(), server.refused().keys()) == ("3", {"2"})


def test_a_server_that_starts_again_goes_on_with_the_version_that_was_sound(tmp_path: Path):
    bundles, history = tmp_path / "bundles", VersionHistory(tmp_path / "served")
    publish_sales(bundles, version=1)
    before = Server(bundles, load=failing("2"), history=history)
    publish_sales(bundles, version=2)
    before.champions.refresh()
    assert ask_and_judge(before, 20) == [500] * 20
    server = Server(bundles, load=failing("2"), history=history)
    assert (server.version(), server.refused()) == ("1", before.refused())
    assert server.metric('serving_versions_total{model="ice cream",outcome="refused"}') == 0
    assert ask(server.app, "POST", f"/models/{NAME}/reload").json()["version"] == "2"
    assert ask_and_judge(server, 21)[-1] == 200, "it was put back again"


def test_whoever_starts_meanwhile_goes_on_with_the_same_versions(tmp_path: Path):
    bundles, history = tmp_path / "bundles", VersionHistory(tmp_path / "served")
    publish_sales(bundles, version=1)
    before = Server(bundles, history=history)
    publish_sales(bundles, version=2)
    before.champions.refresh()
    seen = []

    def load(opened: OpenedVersion) -> ServedModel:
        seen.append(history.bundles(NAME))
        if opened.version == "1":
            history.note_sound(NAME, "2")  # as another process judges meanwhile
        return failing()(opened)

    assert Server(bundles, load=load, history=history).version() == "2"
    assert seen == [["1", "2"], ["2"]]
    assert history.sound(NAME) == "2"


def test_a_version_that_was_put_back_is_better_than_none(tmp_path: Path):
    bundles, history = tmp_path / "bundles", VersionHistory(tmp_path / "served")
    for version in (1, 2):
        publish_sales(bundles, version=version)
    history.note_put_back(NAME, "2", "It failed.", instead="1")
    BROKEN["no folder"][0](bundles / NAME / "1")
    assert Server(bundles, history=history).version() == "2"


def two_that_swapped(folder: Path, *, fails: str) -> list[Server]:
    """Servers that share verdicts and went from version 1 to 2."""
    bundles, history = folder / "bundles", VersionHistory(folder / "served")
    publish_sales(bundles, version=1)
    servers = [Server(bundles, load=failing(fails), history=history) for _ in range(2)]
    publish_sales(bundles, version=2)
    for server in servers:
        server.champions.refresh()
    return servers


def test_what_one_process_puts_back_all_do(tmp_path: Path):
    servers = two_that_swapped(tmp_path, fails="2")
    assert ask_and_judge(servers[0], 20) == [500] * 20
    servers[1].champions.put_back_failing()
    assert [server.version() for server in servers] == ["1", "1"]
    assert servers[0].refused() == servers[1].refused()


def test_what_one_process_finds_sound_all_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    servers = two_that_swapped(tmp_path, fails="3")
    with monkeypatch.context() as patched:
        patched.setattr("serving.versions.probation.PROBATION_SECONDS", 0.0)
        assert ask_and_judge(servers[0], 20) == [200] * 20
    servers[1].champions.put_back_failing()
    publish_sales(tmp_path / "bundles", version=3)
    servers[1].champions.refresh()
    assert ask_and_judge(servers[1], 20) == [500] * 20
    assert servers[1].version() == "2"


def two_that_put_back(folder: Path) -> list[Server]:
    """Servers that share verdicts and went from version 1 to 2 and back, for 2 failed; now it would not."""
    publish_sales(folder / "bundles", version=1)
    publish_sales(folder / "bundles", version=2)
    history = VersionHistory(folder / "served")
    history.note_put_back(NAME, "2", "It failed.", instead="1")
    servers = [Server(folder / "bundles", history=history) for _ in range(2)]
    assert [server.version() for server in servers] == ["1", "1"]
    return servers


def test_a_reload_while_the_store_is_away_forgives_nothing(tmp_path: Path):
    servers = two_that_put_back(tmp_path)
    servers[0].store.is_away = True
    assert ask(servers[0].app, "POST", f"/models/{NAME}/reload").status_code == 502
    servers[0].store.is_away = False
    for server in servers:
        server.champions.refresh()
    assert [server.version() for server in servers] == ["1", "1"]


@pytest.mark.parametrize("heard", ["at once", "while the store is away"])
def test_what_is_forgiven_is_so_in_all_processes_whatever_comes_of_it(tmp_path: Path, heard: str):
    servers, told = two_that_put_back(tmp_path), list[str]()
    hide(tmp_path / "bundles" / NAME / "2" / "model.onnx")
    with pytest.raises(PassingError):
        servers[0].champions.reload(NAME, tell=told.append)
    servers[1].store.is_away = heard != "at once"
    for name in told:
        with pytest.raises(PassingError):
            servers[1].champions.reload(name)
    servers[1].store.is_away = False
    unhide(tmp_path / "bundles" / NAME / "2" / "model.onnx")
    for server in servers:
        server.champions.refresh()
    assert [server.version() for server in servers] == ["2", "2"]


def test_a_verdict_that_cannot_be_kept_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    bundles, file = tmp_path / "bundles", tmp_path / "file"
    file.write_text("no folder")
    publish_sales(bundles, version=1)
    server = Server(bundles, history=VersionHistory(file))
    assert server.version() == "1"
    assert [record.message for record in caplog.records] == ["What became of versions cannot be kept"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_version_whose_columns_nobody_sends_is_put_back(tmp_path: Path, protocol: str):
    path, body_of, refused = PROTOCOLS[protocol]
    row = {"Temperatur in °C": 30.0}
    publish(tmp_path, name=NAME, version=1, columns=SALES_COLUMNS[:1], rows=[row])
    server = Server(tmp_path)
    publish(tmp_path, name=NAME, version=2, columns=MORE_COLUMNS, rows=[{**row, "wind": 3.0}])
    server.champions.refresh()
    for _ in range(20):
        assert ask(server.app, "POST", path, json=body_of(row)).status_code == refused
        server.champions.put_back_failing()
    assert ask(server.app, "POST", path, json=body_of(row)).status_code == 200
    assert server.refused().keys() == {"2"}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_callers_who_were_wrong_before_put_no_version_back(tmp_path: Path, protocol: str):
    path, body_of, refused = PROTOCOLS[protocol]
    publish_sales(tmp_path, version=1)
    server = Server(tmp_path)

    def ask_wrongly_twice() -> None:
        assert ask(server.app, "POST", path, json=body_of({**SALES_ROW, "humidity": 40.0})).status_code == 200
        for broken in (b"{", b"[]"):
            assert ask(server.app, "POST", path, content=broken, headers=JSON).status_code == refused

    for _ in range(10):
        ask_wrongly_twice()
    publish_sales(tmp_path, version=2)
    server.champions.refresh()
    for _ in range(10):
        ask_wrongly_twice()
        server.champions.put_back_failing()
    assert server.version() == "2"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_callers_who_hang_up_put_no_version_back(tmp_path: Path, protocol: str):
    path, _, __ = PROTOCOLS[protocol]
    publish_sales(tmp_path, version=1)
    server = Server(tmp_path)
    publish_sales(tmp_path, version=2)
    server.champions.refresh()
    for _ in range(25):
        hang_up(server.app, path)
        server.champions.put_back_failing()
    assert server.version() == "2"


def test_a_version_that_was_put_back_is_judged_anew_once_it_is_asked_for_again(tmp_path: Path):
    path, body_of, _ = PROTOCOLS["native"]
    publish_sales(tmp_path, version=1)
    server = Server(tmp_path)
    publish(tmp_path, name=NAME, version=2, columns=[*SALES_COLUMNS, WIND], rows=[{**SALES_ROW, "wind": 3.0}])
    server.champions.refresh()

    def answered(row: Mapping[str, Any]) -> list[int]:
        statuses = []
        for _ in range(20):
            statuses.append(ask(server.app, "POST", path, json=body_of(row)).status_code)
            server.champions.put_back_failing()
        return statuses

    for _ in range(2):
        assert answered(SALES_ROW) == [422] * 20
        assert server.refused().keys() == {"2"}
        assert ask(server.app, "POST", f"/models/{NAME}/reload").json()["version"] == "2"
        assert answered({**SALES_ROW, "wind": 3.0}) == [200] * 20
        assert (ask(server.app, "GET", "/ready").json()["models"], server.refused()) == ({NAME: "2"}, {})
        (tmp_path / NAME / "champion").write_text("1\n")
        server.champions.refresh()
        (tmp_path / NAME / "champion").write_text("2\n")
        server.champions.refresh()


def test_reloading_gives_a_version_a_new_chance(tmp_path: Path):
    publish_sales(tmp_path, version=1)
    server = Server(tmp_path)
    path = publish_sales(tmp_path, version=2) / "model.onnx"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    refused = ask(server.app, "POST", f"/models/{NAME}/reload")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "not_reloaded")
    assert refused.json()["error"]["message"].endswith("Version 1 goes on.")
    assert str(tmp_path) not in refused.text
    path.write_bytes(whole)
    server.champions.refresh()
    assert server.version() == "1", "it was refused once"
    assert ask(server.app, "POST", f"/models/{NAME}/reload").json() == {"model": NAME, "version": "2"}
    assert (server.version(), server.refused()) == ("2", {})
    assert ask(server.app, "POST", "/models/nobody/reload").status_code == 404
    server.store.is_away = True
    assert ask(server.app, "POST", f"/models/{NAME}/reload").status_code == 502


def test_a_model_whose_only_version_was_refused_can_be_asked_about_and_reloaded(tmp_path: Path):
    publish_patients(tmp_path)
    path = publish_sales(tmp_path) / "model.onnx"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    server = Server(tmp_path)
    card = ask(server.app, "GET", f"/models/{NAME}")
    assert (card.status_code, card.json()["error"]["code"]) == (404, "unknown_model")
    said = f"No version of '{NAME}' is served. Version 1: The model file: its sha256 is not the one in contract.json."
    assert card.json()["error"]["message"].startswith(said)
    refused = ask(server.app, "POST", f"/models/{NAME}/reload")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "not_reloaded")
    assert refused.json()["error"]["message"].endswith("No version of it is served.")
    path.write_bytes(whole)
    assert ask(server.app, "POST", f"/models/{NAME}/reload").json() == {"model": NAME, "version": "1"}
    assert server.version() == "1"


def test_a_model_that_is_new_need_not_be_waited_for(tmp_path: Path):
    publish_patients(tmp_path)
    server = Server(tmp_path)
    publish_sales(tmp_path)
    assert ask(server.app, "POST", f"/models/{NAME}/reload").json() == {"model": NAME, "version": "1"}
    server.store.is_away = True
    away = ask(server.app, "POST", "/models/nobody/reload")
    assert (away.status_code, away.json()["error"]["code"]) == (502, "store_away")


def test_a_reload_is_refused_also_when_others_look_at_the_same_time(tmp_path: Path):
    publish_sales(tmp_path, version=1)
    server = Server(tmp_path)
    BROKEN["another hash"][0](publish_sales(tmp_path, version=2))
    ended = threading.Event()

    def look_on() -> None:
        while not ended.is_set():
            server.champions.refresh()

    looking = threading.Thread(target=look_on)
    looking.start()
    try:
        for _ in range(200):
            with pytest.raises(BundleError):
                server.champions.reload(NAME)
    finally:
        ended.set()
        looking.join()


def test_without_keys_nobody_from_elsewhere_may_reload(tmp_path: Path):
    publish_sales(tmp_path)
    server = Server(tmp_path)
    opened = create_app(server.champions, Settings(host="0.0.0.0", auth="none"), background=server.background)
    assert ask(opened, "POST", f"/models/{NAME}/reload").status_code == 403
    key = add_key(tmp_path / "keys.json", name="one", role="admin")
    keys = KeyFile(tmp_path / "keys.json")
    guarded = create_app(server.champions, Settings(host="0.0.0.0"), background=server.background, keys=keys)
    header = {"Authorization": f"Bearer {key}"}
    assert ask(guarded, "POST", f"/models/{NAME}/reload", headers=header).status_code == 200


@pytest.mark.parametrize(
    "sent",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://server", "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
    ids=["another site", "a sandbox", "a name that another site has put here", "no origin"],
)
def test_no_page_in_a_browser_may_reload_where_no_key_is_asked_for(tmp_path: Path, sent: dict[str, str]):
    publish_sales(tmp_path)
    server = Server(tmp_path)
    path = f"/models/{NAME}/reload"
    refused = ask(server.app, "POST", path, headers=sent)
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "forbidden")
    assert "No web page" in refused.json()["error"]["message"]
    assert ask(server.app, "POST", path, headers={"Sec-Fetch-Site": "none"}).status_code == 200
    header = {"Authorization": f"Bearer {add_key(tmp_path / 'keys.json', name='one', role='admin')}"}
    guarded = create_app(
        server.champions, Settings(), background=server.background, keys=KeyFile(tmp_path / "keys.json")
    )
    assert ask(guarded, "POST", path, headers=header | sent).status_code == 200, "a key is enough"


@pytest.mark.parametrize("name", ["Forwarded", "X-Forwarded-For", "X-Real-IP", "Via"])
def test_what_a_proxy_passes_on_reloads_nothing_where_no_key_is_asked_for(tmp_path: Path, name: str):
    publish_sales(tmp_path)
    refused = ask(Server(tmp_path).app, "POST", f"/models/{NAME}/reload", headers={name: "192.0.2.7"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "forbidden")
    assert "a proxy has passed it on" in refused.json()["error"]["message"]


def test_a_shadow_answers_the_same_unseen_and_is_compared(tmp_path: Path):
    publish_sales(tmp_path, version=1)
    publish_sales(tmp_path, version=2)
    (tmp_path / NAME / "champion").write_text("1\n")
    (tmp_path / NAME / "challenger").write_text("2\n")
    server = Server(tmp_path, shadow="challenger")
    for _ in range(7):
        assert server.version() == "1"
    server.monitor.look()
    labels = 'model="ice cream",shadow="2",version="1"'
    assert server.metric(f'serving_shadow_difference_bucket{{le="1e-06",{labels}}}') == 0, "it has other weights"
    assert server.metric(f'serving_shadow_difference_bucket{{le="+Inf",{labels}}}') == 7
    (tmp_path / NAME / "challenger").write_text("1\n")
    server.monitor.refresh()
    server.version()
    server.monitor.look()
    same = labels.replace('shadow="2"', 'shadow="1"')
    assert server.metric(f'serving_shadow_difference_bucket{{le="1e-06",{same}}}') == 1
    (tmp_path / NAME / "challenger").unlink()
    server.monitor.refresh()
    server.version()
    server.monitor.look()
    assert server.metric(f'serving_shadow_difference_bucket{{le="+Inf",{labels}}}') == 7


def test_a_model_may_have_no_shadow(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO, logger="serving.shadow")
    publish_sales(tmp_path)
    server = Server(tmp_path, shadow="challenger")
    server.monitor.refresh()
    (said,) = caplog.records
    assert (said.levelname, said.message) == ("INFO", "A model has no shadow")
    assert said.__dict__["fields"].items() >= {"model": NAME, "alias": "challenger"}.items()


def test_a_shadow_that_cannot_be_proven_is_called_a_shadow(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    publish_sales(tmp_path, version=1)
    BROKEN["another hash"][0](publish_sales(tmp_path, version=2))
    (tmp_path / NAME / "champion").write_text("1\n")
    (tmp_path / NAME / "challenger").write_text("2\n")
    server = Server(tmp_path, shadow="challenger")
    server.monitor.refresh()
    (said,) = caplog.records
    assert (said.levelname, said.message) == ("WARNING", "A version is no shadow")
    assert "its sha256 is not the one in contract.json" in said.__dict__["fields"]["reason"]


def test_a_shadow_that_takes_other_columns_is_not_asked(tmp_path: Path):
    publish_patients(tmp_path, name=NAME, version=2)
    publish_sales(tmp_path, version=1)
    (tmp_path / NAME / "challenger").write_text("2\n")
    server = Server(tmp_path, shadow="challenger")
    server.version()
    server.monitor.look()
    assert server.metric('serving_shadow_rows_not_asked_total{model="ice cream",shadow="2",version="1"}') == 1


def test_a_shadow_that_fails_is_counted_and_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    publish_sales(tmp_path, version=1)
    publish_sales(tmp_path, version=2)
    (tmp_path / NAME / "champion").write_text("1\n")
    (tmp_path / NAME / "challenger").write_text("2\n")
    publish_patients(tmp_path)
    server = Server(tmp_path, load=failing("2"), shadow="challenger")
    for _ in range(2):
        server.version()
        ask(server.app, "POST", "/models/patients/predict", json={"rows": [PATIENT_ROW]})
        server.monitor.look()
    assert server.metric('serving_shadow_rows_not_asked_total{model="ice cream",shadow="2",version="1"}') == 2
    looked_at = 'serving_column_values_total{column="age",model="patients",state="usual",version="1"}'
    assert server.metric(looked_at) == 2, "the other model is looked at"
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == ["A shadow fails"]
