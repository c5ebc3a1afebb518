"""Many clients at once, and what they were answered."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from serving.bundle import open_bundle

SECONDS = 120.0  # a loaded machine may take its time; only what hangs takes so long


def eventually(happens: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not happens():
        assert time.monotonic() < deadline
        time.sleep(0.05)


class Load:
    """Asks one question after the other on each of several connections until it is stopped, or nobody accepts any more.

    Attributes:
        answers: status and version of the header -> how many.
        values: version of the body -> the values that it predicted for the first row.
        failures: what was no answer.
    """

    def __init__(self, address: str, body: Any, *, n_connections: int) -> None:
        self.answers: Counter[tuple[int, str]] = Counter()
        self.values: dict[str, set[float]] = {}
        self.failures: list[str] = []
        self._address, self._body = address, body
        self._stopped = threading.Event()
        self._writing = threading.Lock()
        self._threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(n_connections)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join(SECONDS)

    def _ask(self) -> None:
        with httpx.Client(timeout=SECONDS, verify=False) as client:
            while not self._stopped.is_set():
                try:
                    answer = client.post(f"{self._address}/predict", json=self._body)
                except httpx.ConnectError:
                    return  # nothing was begun
                except httpx.TransportError as error:
                    self.failures.append(repr(error))
                else:
                    self._note(answer)

    def _note(self, answer: httpx.Response) -> None:
        with self._writing:
            self.answers[answer.status_code, answer.headers.get("X-Model-Version", "")] += 1
            if answer.status_code == 200:
                told = answer.json()
                if told["version"] != answer.headers["X-Model-Version"]:
                    self.failures.append(f"{told['version']} is not {answer.headers['X-Model-Version']}")
                self.values.setdefault(told["version"], set()).add(told["predictions"][0]["value"])


def check(load: Load, versions: Path, *, broken: set[str]) -> None:
    """No request failed, and each was answered by the version that the answer tells.

    Args:
        load: that has stopped.
        versions: folder of the bundles of all versions.
        broken: versions that must not have answered.
    """
    assert load.failures == []
    assert {status for status, _ in load.answers} == {200}
    assert {version for _, version in load.answers} == set(load.values)
    for version, values in load.values.items():
        assert version not in broken
        (value,) = values
        recorded = open_bundle(versions / version).contract.golden[0].prediction[0]
        assert value == pytest.approx(recorded, rel=1e-6)
