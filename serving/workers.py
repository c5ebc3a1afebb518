"""Several worker processes on one port: started, started again when one dies, and ended together.

They accept from one socket, so a connection that waits is taken by whoever lives. uvicorn's own supervisor keeps that
socket open while its workers end, kills a worker that computes for 5 s, and leaves workers behind when it is killed.
"""

import json
import logging
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from serving.monitoring.counters import keep_counts_of
from serving.monitoring.logs import log_as_json
from serving.settings import Settings

TICK_SECONDS = 0.1
SOUND_SECONDS = 10.0  # a worker that dies sooner is started again later each time
LONGEST_PAUSE_SECONDS = 30.0
KILL_SECONDS = 3.0  # beyond what a worker takes at most to end by itself

Announce = Callable[[Mapping[str, str]], None]

logger = logging.getLogger("serving.workers")


@dataclass
class WorkerSlot:
    """The slot of a worker, which a new process takes when the old one dies."""

    process: "subprocess.Popen[bytes] | None" = None
    started: float = 0.0
    pause: float = 0.0


class Workers:
    """All workers of a server.

    Args:
        settings: of the server; each worker reads the same ones from `environment`.
        listening: socket that all of them accept from.
        environment: of each worker.
    """

    def __init__(self, settings: Settings, listening: socket.socket, environment: Mapping[str, str]) -> None:
        self._settings = settings
        self._listening = listening
        self._environment = dict(environment)
        self._slots = [WorkerSlot() for _ in range(settings.workers)]
        self._ended = False

    def run(self, announce: Announce) -> int:
        """Start all, announce what they serve, and keep them alive until SIGTERM or Ctrl-C.

        Returns:
            0; or, when a worker cannot even start at first, its exit code.
        """
        log_as_json(self._settings.log_level)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._end)
        with tempfile.TemporaryDirectory(prefix="serving-") as folder:
            try:
                first, versions = self._start_first(Path(folder))
                if not versions:
                    return 0 if self._ended else first.wait()
                announce(versions)
                while not self._ended:
                    time.sleep(TICK_SECONDS)
                    self._revive(Path(folder))
            finally:
                self._stop()
        return 0

    def _end(self, _: int, __: FrameType | None) -> None:
        self._ended = True

    def _start_first(self, folder: Path) -> tuple["subprocess.Popen[bytes]", Mapping[str, str]]:
        """Start one worker, so that what is wrong is said once, and wait until it serves.

        Returns:
            it, and model -> version; no model when it, or all of this, has ended instead.
        """
        reading, writing = os.pipe()
        process = self._spawn(self._slots[0], folder, announcing=writing)
        with os.fdopen(reading) as pipe:
            is_told = False
            while not (is_told or self._ended):
                is_told = bool(select.select([pipe], [], [], TICK_SECONDS)[0])
            text = pipe.read() if is_told else ""  # until the worker closes it, or ends
        return process, json.loads(text or "{}")

    def _spawn(self, slot: WorkerSlot, folder: Path, *, announcing: int) -> "subprocess.Popen[bytes]":
        listening = self._listening.fileno()
        slot.started = time.monotonic()
        slot.process = subprocess.Popen(  # noqa: S603  this very program
            [sys.executable, "-m", "serving.worker", str(listening), str(announcing), str(os.getpid()), str(folder)],
            env=self._environment,
            pass_fds=(listening, announcing),
        )
        os.close(announcing)
        return slot.process

    def _revive(self, folder: Path) -> None:
        for slot in self._slots:
            now = time.monotonic()
            if slot.process is not None and slot.process.poll() is not None:
                if self._ended:  # it was told to end as this process was
                    return
                code = slot.process.returncode
                logger.error("Worker %d ended with %d; it is started again.", slot.process.pid, code)
                keep_counts_of(folder, slot.process.pid)
                is_sound = now - slot.started > SOUND_SECONDS
                slot.pause = 0.0 if is_sound else min(max(1.0, 2 * slot.pause), LONGEST_PAUSE_SECONDS)
                slot.process, slot.started = None, now
            if slot.process is None and now - slot.started >= slot.pause and not self._ended:
                self._spawn(slot, folder, announcing=os.open(os.devnull, os.O_WRONLY))

    def _stop(self) -> None:
        """Nobody waits in vain: the port is closed first, then every worker finishes what it has begun."""
        self._listening.close()
        running = [slot.process for slot in self._slots if slot.process is not None]
        for process in running:
            process.terminate()
        deadline = time.monotonic() + self._settings.shutdown_seconds + KILL_SECONDS
        for process in running:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
