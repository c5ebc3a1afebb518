"""A thread beside the requests: finds new versions, puts failing ones back, has answers watched and counts shared."""

import logging
import random
import threading
import time
from pathlib import Path

from serving.champions import Champions
from serving.tally import Tally
from serving.watch import Watch

TICK_SECONDS = 1.0
JITTER = 0.2  # of the time between two polls, so that many servers do not ask a registry all at once
RELOAD = "reload"  # in the folder where processes meet; is touched when somebody asks for a reload

logger = logging.getLogger("serving.keeper")


class Keeper:
    """Keeps a server's models up to date.

    Attributes:
        tally: counts of this process.

    Args:
        champions: whose aliases are looked up.
        watch: looks at what they answered.
        tally: to share.
        poll_seconds: between two looks at the aliases.
        folder: where worker processes meet; None: there is one.
    """

    def __init__(
        self,
        champions: Champions,
        watch: Watch,
        tally: Tally,
        *,
        poll_seconds: float,
        folder: Path | None = None,
    ) -> None:
        self._champions = champions
        self._watch = watch
        self.tally = tally
        self._poll_seconds = poll_seconds
        self._signal = folder / RELOAD if folder is not None else None
        self._reloaded = self._asked()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, without waiting for a store that does not answer; the last counts are shared."""
        self._ended.set()
        self._thread.join(TICK_SECONDS)
        self.tally.share()

    def reload(self, name: str) -> None:
        """Give a model's version a new chance, here and now, and in the other processes within a second.

        Raises:
            BundleError: it must not be served, or the store does not answer.
        """
        if self._signal is not None:
            self._signal.touch()
            self._reloaded = self._asked()
        self._champions.reload(name)

    def _run(self) -> None:
        due = time.monotonic()  # a shadow is not loaded yet
        while not self._ended.wait(TICK_SECONDS):
            try:
                self._tick()
                if time.monotonic() >= due:
                    self._champions.refresh()
                    self._watch.refresh()
                    due = time.monotonic() + self._pause()
            except Exception:  # a defect of ours must not end the keeping, and is logged
                logger.exception("The keeper failed")

    def _tick(self) -> None:
        self.tally.share()
        self._champions.put_back_failing()
        if self._asked() != self._reloaded:
            self._reloaded = self._asked()
            self._champions.reload_all()
        self._watch.look()

    def _pause(self) -> float:
        return self._poll_seconds * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311  no secret

    def _asked(self) -> float:
        """When somebody last asked for a reload."""
        try:
            return self._signal.stat().st_mtime if self._signal is not None else 0.0
        except FileNotFoundError:
            return 0.0
