"""Threads beside the requests: one judges versions, has answers watched and counts shared; one looks for new versions.

Two of them, since a store may be silent for long.
"""

import logging
import os
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path

from serving.bundle import BundleError
from serving.monitoring.counters import Counters
from serving.versions.answer_monitor import AnswerMonitor
from serving.versions.champions import Champions

TICK_SECONDS = 1.0
JITTER = 0.2  # of the time between two polls, so that many servers do not ask a registry all at once
RELOADS = "reloads"  # in the folder where processes meet

logger = logging.getLogger("serving.keeper")


class BackgroundThreads:
    """Keeps a server's models up to date.

    Attributes:
        counters: of this process.

    Args:
        champions: whose aliases are looked up.
        monitor: looks at what they answered.
        counters: to share.
        poll_seconds: between two looks at the aliases.
        folder: where worker processes meet; None: there is one.
    """

    def __init__(
        self,
        champions: Champions,
        monitor: AnswerMonitor,
        counters: Counters,
        *,
        poll_seconds: float,
        folder: Path | None = None,
    ) -> None:
        self._champions = champions
        self._monitor = monitor
        self.counters = counters
        self._poll_seconds = poll_seconds
        self._reloads = _Reloads(folder / RELOADS if folder is not None else None)
        self._ended = threading.Event()
        self._upkeep = threading.Thread(target=self._do_upkeep, name="upkeep", daemon=True)
        self._looking = threading.Thread(target=self._look_up, name="looks versions up", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._upkeep.start()
        self._looking.start()

    def stop(self) -> None:
        """End, without waiting for a store that does not answer; the last counts are shared."""
        self._ended.set()
        self._upkeep.join(TICK_SECONDS)
        self.counters.share()

    def knows(self, name: str) -> bool:
        """Whether a model is, or should be, served.

        Raises:
            BundleError: the store cannot be read.
        """
        return self._champions.knows(name)

    def reload(self, name: str) -> None:
        """Give a model's version a new chance, here and now, and in the other processes within a second.

        Raises:
            BundleError: it must not be served, or the store does not answer.
        """
        self._champions.reload(name, tell=self._reloads.tell)

    def _do_upkeep(self) -> None:
        while not self._ended.wait(TICK_SECONDS):
            for step in (self.counters.share, self._champions.put_back_failing, self._monitor.look):
                _run_step(step)

    def _look_up(self) -> None:
        due = time.monotonic()  # a shadow is not loaded yet
        while not self._ended.wait(TICK_SECONDS):
            _run_step(self._reload_as_told)
            if time.monotonic() >= due:
                _run_step(self._champions.refresh)
                _run_step(self._monitor.refresh)
                due = time.monotonic() + self._pause()

    def _reload_as_told(self) -> None:
        for name in self._reloads.hear():
            try:
                self._champions.reload(name)
            except BundleError:
                logger.debug("%s was reloaded elsewhere, and cannot be here", name)  # why has been said

    def _pause(self) -> float:
        return self._poll_seconds * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311  no secret


def _run_step(step: Callable[[], None]) -> None:
    """A step of its own: the others are done whether or not it can be."""
    try:
        step()
    except Exception:  # a defect of ours must not end the thread, and is logged
        logger.exception("The keeper failed")


class _Reloads:
    """What processes tell each other: a line a reload, with who did it and of which model.

    Args:
        path: of the common file; None: there is one process.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._n_bytes = len(self._read())

    def tell(self, name: str) -> None:
        """Tell the others that a model was reloaded."""
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(f"{os.getpid()} {name}\n")

    def hear(self) -> set[str]:
        """Models that others have reloaded since this was asked last."""
        new = self._read()[self._n_bytes :]
        whole = new[: new.rfind(b"\n") + 1]
        self._n_bytes += len(whole)
        told = [line.split(" ", 1) for line in whole.decode().split("\n")[:-1]]
        return {name for process, name in told if int(process) != os.getpid()}

    def _read(self) -> bytes:
        try:
            return self._path.read_bytes() if self._path is not None else b""
        except FileNotFoundError:
            return b""
