"""Servers as processes of their own, each on the server's core, from their start until the block ends."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.serving.cores import on_core
from benchmarks.serving.load import OK, LoadError, ask_once

START_SECONDS = 180.0
STOP_SECONDS = 10.0
MB = 10**6


@dataclass(frozen=True)
class Server:
    """A server that is ready.

    Attributes:
        port: on this machine.
        seconds: from the start of its process until it answered that it is ready.
        process: of the command; it may have children.
    """

    port: int
    seconds: float
    process: "subprocess.Popen[bytes]"

    @property
    def resident_mb(self) -> float:
        """Memory that it holds, with its children."""
        own = psutil.Process(self.process.pid)
        return sum(each.memory_info().rss for each in (own, *own.children(recursive=True))) / MB


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


@contextmanager
def running(
    command: Sequence[str], *, port: int, ready: str, core: int, folder: Path, variables: Mapping[str, str]
) -> Iterator[Server]:
    """A server whose command says on which port it listens.

    Args:
        command: that starts it.
        port: that the command names.
        ready: path that answers 200 as soon as it can work.
        core: on which it and its children stay.
        folder: in which it runs; gets a log.
        variables: of its environment, beside our own.

    Raises:
        RuntimeError: it ended, or did not get ready; shows the end of its log.
    """
    environment = {name: text for name, text in os.environ.items() if not name.startswith("SERVING_")}
    log = folder / f"server.{port}.log"
    started = time.perf_counter()
    with log.open("wb") as output, on_core(core):
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**environment, **variables},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # so that its children can be ended with it
        )
    try:
        _wait_until_ready(port, ready, process, log)
        yield Server(port, time.perf_counter() - started, process)
    finally:
        _stop(process)


def _wait_until_ready(port: int, path: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode()
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if ask_once(port, request)[0] == OK:
                return
        except (OSError, LoadError):
            pass
        time.sleep(0.005)
    raise RuntimeError(f"A server did not get ready:\n{log.read_text(errors='replace')[-3000:]}")


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """The whole group: some servers leave their children behind."""
    try:
        with suppress(subprocess.TimeoutExpired, ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(STOP_SECONDS)
    finally:
        with suppress(ProcessLookupError):  # all have ended
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(STOP_SECONDS)
