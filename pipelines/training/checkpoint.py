"""When a stack in training is written to its file."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipelines.training.state import StackState, save_state


@dataclass
class Checkpoint:
    """One stack's file, and how often it is written.

    Attributes:
        path: of the file.
        every_seconds: least time between two writes; 0 writes after every epoch.
        note: kept beside the state, for whoever looks for files to go on from.
    """

    path: Path
    every_seconds: float
    note: Mapping[str, Any]
    _last: float = field(default_factory=time.monotonic)

    @property
    def is_due(self) -> bool:
        """Whether it is time to write again."""
        return time.monotonic() - self._last >= self.every_seconds

    def write(self, state: StackState) -> None:
        """Replace what the file held."""
        save_state(self.path, state, note=self.note)
        self._last = time.monotonic()
