"""One live line a stack: how far it is, how good its members are, how long it may still take.

For a person at a terminal. Whether there is one is the caller's business.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np

from pipelines.config.schema import MetricName
from pipelines.tasks.metrics import sign

SHORTEST_PAUSE_SECONDS = 0.1  # between two updates: more often than anyone reads


@runtime_checkable
class Progress(Protocol):
    """Is told of every epoch of a stack."""

    def epoch_ended(self, epochs: int, *, values: np.ndarray, n_steps: int) -> None:
        """Take in an epoch.

        Args:
            epochs: how many are done.
            values: of the primary metric on the validation part, of every member that still trains.
            n_steps: of the epoch.
        """
        ...

    def close(self) -> None:
        """The stack has ended or paused."""
        ...


def _write_to_terminal(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


@dataclass
class ProgressLine:
    """Writes over one line of a terminal.

    Attributes:
        label: of the stack.
        last_epoch: that a member may reach.
        metric: the primary one.
        write: takes what is shown.
    """

    label: str
    last_epoch: int
    metric: MetricName
    write: Callable[[str], object] = _write_to_terminal
    _started: float = field(default_factory=time.monotonic)
    _shown: float = 0.0
    _epochs: int = 0
    _steps: int = 0

    def epoch_ended(self, epochs: int, *, values: np.ndarray, n_steps: int) -> None:
        """Show the epoch, unless the last one was shown a moment ago."""
        self._epochs += 1
        self._steps += n_steps
        now = time.monotonic()
        if now - self._shown < SHORTEST_PAUSE_SECONDS:
            return
        self._shown = now
        elapsed = now - self._started
        left = (self.last_epoch - epochs) * elapsed / self._epochs
        self.write(
            f"\r\033[K  {self.label}: epoch {epochs}/{self.last_epoch}, {_members(len(values))}"
            f"{self._quality(values)}, {self._steps / elapsed:,.0f} steps/s, at most {_duration(left)} left"
        )

    def close(self) -> None:
        """Leave the line as it was found."""
        self.write("\r\033[K")

    def _quality(self, values: np.ndarray) -> str:
        scores = sign(self.metric) * values[np.isfinite(values)]
        if not len(scores):
            return ""
        best, median = (sign(self.metric) * score for score in (scores.max(), np.median(scores)))
        return f", {self.metric} best {best:.4g}, median {median:.4g}"


def _members(count: int) -> str:
    return "1 member" if count == 1 else f"{count} members"


def _duration(seconds: float) -> str:
    whole = max(0, round(seconds))
    hours, minutes = whole // 3600, whole % 3600 // 60
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"
