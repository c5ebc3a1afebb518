"""SIGTERM at any moment, as containers and schedulers send it: an end in order, as of Ctrl-C."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from tests.commands import of_kind, run, runs
from tests.serving.load import eventually
from tests.serving.processes import environment

pytestmark = pytest.mark.slow

ENDLESS = ("-m", "data=iris", "model.hidden=[8],[16]", "stopping=none", "trainer.max_epochs=200000")
TWO_PROCESSES = "engine.devices=[cpu,cpu]"
RECORDED = ("-m", "data=iris", "seed=range(0,200)", "model=linear", "stopping=none", "trainer.max_epochs=1")


@contextmanager
def command(folder: Path, *overrides: str) -> Iterator["subprocess.Popen[str]"]:
    """A training command and what it starts, as a group of processes."""
    words = [sys.executable, "-u", "-m", "pipelines.train", *overrides, "tracking.checkpoint_seconds=0"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(words, cwd=folder, env=environment(), start_new_session=True, **pipes) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for_line(process: "subprocess.Popen[str]", start: str) -> None:
    assert process.stdout is not None
    while (line := process.stdout.readline()) and not line.startswith(start):
        pass
    assert line, "the command ended before"


def wait_in(process: "subprocess.Popen[str]", holds: Callable[[], bool]) -> None:
    """Until something holds that a command is to bring about."""

    def holds_or_never_will() -> bool:
        assert process.poll() is None, "the command ended before"
        return holds()

    eventually(holds_or_never_will)


def n_trials(folder: Path) -> int:
    """How many runs of trials are in the file, asked past MLflow, which takes longer than to write them all."""
    with closing(sqlite3.connect(f"file:{folder}/var/mlflow.db?mode=ro", uri=True)) as connection:
        asked = "SELECT count(*) FROM tags WHERE key = 'kind' AND value = 'trial'"
        return int(connection.execute(asked).fetchone()[0])


def has_ended_for(process: "subprocess.Popen[str]", number: int) -> bool:
    """Whether a signal more ends it: one SIGTERM waits for the runs, another does not."""
    process.send_signal(number)
    time.sleep(0.5)
    return process.poll() is not None


def recorder_of(started: Sequence[psutil.Process]) -> psutil.Process:
    """The one process of Python's multiprocessing, where the trials are trained by the command itself."""
    (found,) = [own for own in started if any("spawn_main" in word for word in own.cmdline())]
    return found


def ended(process: "subprocess.Popen[str]", started: Sequence[psutil.Process]) -> tuple[int, str]:
    """Exit code and errors of a command, once all that it had started is gone."""
    _, errors = process.communicate(timeout=120)
    _, alive = psutil.wait_procs(started, timeout=120)
    assert not alive
    return process.returncode, errors


def started_by(process: "subprocess.Popen[str]") -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def names(processes: Sequence[psutil.Process]) -> set[str]:
    """Without those that have ended meanwhile."""
    found = set()
    for own in processes:
        with suppress(psutil.NoSuchProcess):
            found.add(own.name())
    return found


@contextmanager
def stopped(process: psutil.Process) -> Iterator[None]:
    """It does nothing for the length of the block, however long that is."""
    process.suspend()
    try:
        yield
    finally:
        process.resume()


@pytest.mark.parametrize("engine", [(), (TWO_PROCESSES,), ("engine=ray",)], ids=["here", "processes", "ray"])
@pytest.mark.parametrize("send", [os.kill, os.killpg], ids=["the command", "all of its processes"])
def test_a_command_that_trains_ends_with_all_of_its_processes(tmp_path, engine, send):
    with command(tmp_path, *ENDLESS, *engine) as process:
        wait_for_line(process, "Plan")
        if engine == ("engine=ray",):
            # Ray ends a command at once that hands it a table while it dies.
            wait_in(process, lambda: "ray::_call" in names(started_by(process)))
        started = started_by(process)
        send(process.pid, signal.SIGTERM)
        assert ended(process, started) == (143, "Interrupted.\n")


def test_workers_do_not_outlive_a_command_that_was_killed(tmp_path):
    with command(tmp_path, *ENDLESS, TWO_PROCESSES) as process:
        wait_for_line(process, "Plan")
        wait_in(process, lambda: len(list(tmp_path.glob("var/checkpoints/*/stack-*.pt"))) == 2)
        started = started_by(process)
        process.kill()
        assert ended(process, started) == (-signal.SIGKILL, "")


def test_runs_of_stacks_that_have_ended_are_written_first(tmp_path):
    with command(tmp_path, *RECORDED) as process:
        wait_for_line(process, "  stack 0: trained")
        os.killpg(process.pid, signal.SIGTERM)
        assert ended(process, []) == (143, "Interrupted.\n")
    found = of_kind(runs(tmp_path, "iris"), "trial")
    assert [own.info.status for own in found] == ["FINISHED"] * 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_command_that_must_end_at_once_leaves_no_run_half_written(tmp_path, number):
    with command(tmp_path, *RECORDED) as process:
        wait_for_line(process, "  stack 0: trained")
        started = started_by(process)
        wait_in(process, lambda: n_trials(tmp_path) > 0)
        with stopped(recorder_of(started)):  # or it might have written all of them by then
            for _ in range(2):
                has_ended_for(process, number)
        eventually(lambda: has_ended_for(process, number))
        ended(process, started)
    found = of_kind(runs(tmp_path, "iris"), "trial")
    assert {own.info.status for own in found} == {"FINISHED"}
    assert len(found) < 200
    assert run(tmp_path, "pipelines.train", *RECORDED).returncode == 0
    assert len(of_kind(runs(tmp_path, "iris"), "trial")) == 200
