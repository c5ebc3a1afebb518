"""What the benchmark must know of another server."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from benchmarks.serving.model import ROOT, Columns, Model
from benchmarks.serving.questions import Question

VENV = ROOT / (os.environ.get("BENCH_PEERS_VENV") or ".venv-peers")
OWN_PYTHON = Path(sys.executable)
PEERS_PYTHON = VENV / "bin" / "python"
SERVICES = ROOT / "benchmarks" / "serving" / "services"


class Peer(Protocol):
    """Another server."""

    name: str
    """As its makers write it."""
    package: str
    """By which its version is known where it is installed."""
    python: Path
    """Of the environment that it is installed in."""
    ready: str
    """Path that answers 200 as soon as it can work."""

    def command(self, model: Model, port: int, folder: Path) -> Sequence[str]:
        """What starts it, in a folder to write in."""
        ...

    def variables(self, model: Model, folder: Path) -> Mapping[str, str]:
        """Of its environment, beside our own."""
        ...

    def ask(self, columns: Columns, last_class: str) -> Question:
        """A question in its own form; the probability of the last class is read from the answer."""
        ...


def installed_version(peer: Peer) -> str | None:
    """Of the installed package; None: it is not installed."""
    if not peer.python.exists():
        return None
    find = f"import importlib.metadata as own; print(own.version({peer.package!r}))"
    found = subprocess.run([peer.python, "-c", find], capture_output=True, text=True, check=False)
    return found.stdout.strip() if found.returncode == 0 else None
