"""`kill -9` at any moment: the same command, typed again, ends with the table of an undisturbed run.

`make proofs` kills it twenty times.
"""

import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.commands import of_kind, run, runs
from tests.serving.processes import environment
from tests.serving.proofs import amount

pytestmark = pytest.mark.slow

KILLS = amount(usual=10, whole=20)
LATEST_SECONDS = 2.5  # after the plan was told; a fast machine ends earlier
COMMAND = [
    *("-m", "data=iris", "optimizer=adam,sgd", "optimizer.lr=0.001,0.01", "model=mlp,linear", "stopping=halving"),
    *("stopping.min_epochs=10", "trainer.max_epochs=40", "tracking.checkpoint_seconds=0", "ensemble=greedy"),
]


def scores(found: list[Any]) -> dict[str, dict[str, float]]:
    """Metrics by run, without how long it took."""
    return {
        own.data.tags["identity"]: {name: value for name, value in own.data.metrics.items() if name != "seconds"}
        for own in found
    }


def table(printed: str) -> str:
    """The leaderboard, without the address of the sweep's view."""
    return printed[printed.index("ranked by") : printed.index("Registered as")]


def start(folder: Path) -> "subprocess.Popen[str]":
    """Start the command and wait for its plan, or for what it goes on from."""
    command = [sys.executable, "-u", "-m", "pipelines.train", *COMMAND]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, cwd=folder, env=environment(), **pipes)
    assert process.stdout is not None
    while (line := process.stdout.readline()) and not line.startswith(("Plan", "  going on")):
        pass
    return process


def time_undisturbed(folder: Path) -> tuple[str, float]:
    """What the command prints after its plan, and the seconds that this takes on this machine."""
    with start(folder) as process:
        started = time.perf_counter()
        printed, mistakes = process.communicate()
    assert process.returncode == 0, mistakes
    return printed, time.perf_counter() - started


def moments() -> Iterator[float]:
    """When to kill, as shares of the time there is: one in each of as many equal parts, in any order, over and over."""
    dice = random.Random(0)
    while True:
        shares = [(part + dice.random()) / KILLS for part in range(KILLS)]
        dice.shuffle(shares)
        yield from shares


def kill_after(folder: Path, seconds: float) -> bool:
    """Start the command and kill it a while after it told its plan; False if it ended before."""
    with start(folder) as process:
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
        _, mistakes = process.communicate()
    assert process.returncode in (0, -signal.SIGKILL), mistakes
    return process.returncode != 0


def test_a_sweep_killed_many_times_ends_as_an_undisturbed_one(tmp_path: Path) -> None:
    calm, killed = tmp_path / "calm", tmp_path / "killed"
    for folder in (calm, killed):
        folder.mkdir()
    undisturbed, seconds = time_undisturbed(calm)

    latest, n_killed, shares = min(seconds, LATEST_SECONDS), 0, moments()
    while n_killed < KILLS:
        if kill_after(killed, next(shares) * latest):
            n_killed += 1
        else:
            latest /= 2  # there is less and less left to do
    last = run(killed, "pipelines.train", *COMMAND)
    assert last.returncode == 0, last.stderr

    assert table(last.stdout) == table(undisturbed)
    found, expected = runs(killed, "iris"), runs(calm, "iris")
    assert scores(found) == scores(expected)
    assert len(of_kind(found, "trial")) == 8, "no run is missing and none is doubled"
    assert {own.info.status for own in found} == {"FINISHED"}
    assert "version 1." in last.stdout, "one version was registered"
