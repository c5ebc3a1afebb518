"""Beside the requests: no step waits for another, or fails with it."""

import threading
from pathlib import Path

import pytest

from serving.background import BackgroundThreads
from serving.monitoring.counters import Counters
from serving.versions.answer_monitor import AnswerMonitor
from serving.versions.champions import Champions
from serving.versions.served_model import loader
from serving.versions.store import FolderStore
from tests.serving.bundles import publish_sales
from tests.serving.load import eventually
from tests.serving.versions.test_champions import NAME


class SilentStore(FolderStore):
    """Answers only when it may."""

    def __init__(self, root: Path, may_answer: threading.Event) -> None:
        super().__init__(root)
        self._may_answer = may_answer

    def names(self) -> list[str]:
        assert self._may_answer.wait(60)
        return super().names()


class FailingMonitor(AnswerMonitor):
    """Its shadow fails on some rows."""

    def look(self) -> None:
        raise RuntimeError("no answer")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.background.TICK_SECONDS", 0.01)


def counted_in(folder: Path) -> str:
    return "".join(path.read_text() for path in folder.glob("[0-9]*.json"))


@pytest.mark.usefixtures("quick")
def test_nothing_waits_for_a_store_that_is_silent(tmp_path: Path):
    publish_sales(tmp_path / "bundles", version=1)
    (tmp_path / "workers").mkdir()
    may_answer, counters = threading.Event(), Counters(tmp_path / "workers")
    store = SilentStore(tmp_path / "bundles", may_answer)
    champions = Champions(store, load=loader(threads=1, max_rows=100), counters=counters)
    background = BackgroundThreads(champions, AnswerMonitor(champions, None, counters), counters, poll_seconds=60)
    background.start()
    counters.add("rows", ("a", "1"))
    eventually(lambda: "rows" in counted_in(tmp_path / "workers"))
    assert len(champions) == 0
    may_answer.set()
    eventually(lambda: set(champions) == {NAME})
    background.stop()


@pytest.mark.usefixtures("quick")
def test_new_versions_are_found_although_watching_fails(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    publish_sales(tmp_path, version=1)
    counters = Counters()
    champions = Champions(FolderStore(tmp_path), load=loader(threads=1, max_rows=100), counters=counters)
    background = BackgroundThreads(champions, FailingMonitor(champions, None, counters), counters, poll_seconds=0.01)
    background.start()
    eventually(lambda: set(champions) == {NAME})
    publish_sales(tmp_path, version=2)
    eventually(lambda: champions[NAME].version == "2")
    eventually(lambda: "The keeper failed" in caplog.messages)
    background.stop()
