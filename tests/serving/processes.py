"""`python -m serving` as a process of its own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.serving.load import SECONDS, eventually

ROOT = Path(__file__).parents[2]
STARTED = "Started server process"  # what a worker logs once it has loaded what it serves


@dataclass(frozen=True)
class Running:
    """A server that is ready."""

    address: str
    process: "subprocess.Popen[str]"
    log: Path

    def stop(self, signal_number: int = signal.SIGTERM) -> int:
        self.process.send_signal(signal_number)
        return self.process.wait(SECONDS)

    def logged(self, start: str) -> int:
        """How many lines of the log have a message that starts so."""
        return self.log.read_text().count(f'"message":"{start}')

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self._ask("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self._ask("POST", path, **options)

    def _ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """On a connection of its own, so that any worker may answer.

        Nothing is verified: reading the certificates would cost most of the time.
        """
        return httpx.request(method, f"{self.address}{path}", timeout=SECONDS, verify=False, **options)


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "serving", *arguments]


def environment(**changes: str) -> dict[str, str]:
    own = {name: text for name, text in os.environ.items() if not name.startswith("SERVING_")}
    return {**own, "PYTHONPATH": str(ROOT), **changes}


def run_to_the_end(folder: Path, *arguments: str, **changes: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command(*arguments),
        cwd=folder,
        env=environment(**changes),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


@contextmanager
def running(folder: Path, *arguments: str, **changes: str) -> Iterator[Running]:
    """A server on a port that it chooses itself, and announces."""
    log = folder / "stderr.log"
    with log.open("w") as errors:
        process = subprocess.Popen(
            command("--port", "0", *arguments),
            cwd=folder,
            env=environment(**changes),
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    with process:
        try:
            address = _announced(process)
            _wait_until_ready(address, process)
            yield Running(address, process, log)
        finally:
            process.kill()


@contextmanager
def two_workers(folder: Path, *arguments: str, **changes: str) -> Iterator[Running]:
    """A server of two processes, once both have started; they log what they swap in and put back."""
    with running(folder, *arguments, SERVING_WORKERS="2", SERVING_LOG_LEVEL="info", **changes) as server:
        eventually(lambda: server.logged(STARTED) == 2)
        yield server


def _announced(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("Try it: "):
            return line.removeprefix("Try it: ").strip().removesuffix("/")
    raise AssertionError(f"nothing was announced, exit code {process.wait(SECONDS)}")


def _wait_until_ready(address: str, process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if httpx.get(f"{address}/ready", timeout=SECONDS, verify=False).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.02)
    raise AssertionError(f"{address} does not get ready")
