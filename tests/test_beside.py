"""An object in a process of its own: it answers in order, and lives no longer than who asks."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Event

import psutil
import pytest

from pipelines.beside import Beside
from pipelines.errors import UserError

ROOT = Path(__file__).resolve().parents[1]

# A command of its own session: it says its process's number, then waits for an interrupt, and for another.
ASKING = """
import time
from contextlib import closing
from pipelines.beside import Beside
from pipelines.interrupts import sigterm_raised
from tests.test_beside import Notes

with sigterm_raised(), closing(Beside(Notes, name="taking notes")) as beside:
    try:
        print(beside.call("number").result(), flush=True)
        time.sleep(60)
    except KeyboardInterrupt as interrupt:
        print(beside.call("add", f"after {type(interrupt).__name__}").result(), flush=True)
        beside.call("count_until_left")
"""


class Notes:
    """What lives beside the tests."""

    def __init__(self, left: Event) -> None:
        self.notes: list[str] = []
        self.left = left

    def add(self, note: str) -> list[str]:
        self.notes.append(note)
        return self.notes

    def wait(self, seconds: float) -> None:
        time.sleep(seconds)

    def count_until_left(self) -> None:
        print("counting", flush=True)
        assert self.left.wait(60)
        print("counted", flush=True)

    def refuse(self, why: str) -> None:
        raise UserError(why)

    def divide(self, by: int) -> float:
        return 1 / by

    def number(self) -> int:
        return os.getpid()

    def die(self) -> None:
        os._exit(3)


@pytest.fixture
def beside() -> Iterator[Beside]:
    with closing(Beside(Notes, name="taking notes")) as made:
        yield made


def test_calls_are_carried_out_in_order_elsewhere(beside: Beside):
    slow = beside.call("wait", 0.2)
    assert [beside.call("add", note) for note in "abc"][-1].result() == ["a", "b", "c"]
    assert slow.done()
    assert beside.call("number").result() != os.getpid()


def test_an_error_is_raised_here_and_says_where_it_was_raised(beside: Beside):
    with pytest.raises(UserError) as refused:
        beside.call("refuse", "no such file").result()
    assert str(refused.value) == "no such file"
    with pytest.raises(ZeroDivisionError) as raised:
        beside.call("divide", 0).result()
    assert "return 1 / by" in raised.value.__notes__[0]
    assert beside.call("divide", 2).result() == 0.5


def test_a_process_that_ends_is_named(beside: Beside):
    for _ in range(2):
        with pytest.raises(UserError, match=r"^The process for taking notes ended with exit code 3\."):
            beside.call("die").result()


def test_closing_waits_for_what_was_asked():
    beside = Beside(Notes, name="taking notes")
    asked = beside.call("wait", 0.2)
    beside.close()
    assert asked.done()
    assert asked.exception() is None


def test_closing_after_an_interrupt_waits_for_nothing_that_has_not_begun():
    asked = []

    def interrupted() -> None:
        with closing(Beside(Notes, name="taking notes")) as beside:
            asked.extend([beside.call("count_until_left"), beside.call("add", "never")])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert asked[1].cancelled()


@pytest.fixture
def asking() -> "Iterator[subprocess.Popen[str]]":
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", ASKING], env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        yield process
        process.kill()


def read_line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def is_running(number: int) -> bool:
    try:
        return psutil.Process(number).status() != psutil.STATUS_ZOMBIE  # which nobody has buried
    except psutil.NoSuchProcess:
        return False


def test_who_asks_is_outlived_by_nobody(asking: "subprocess.Popen[str]"):
    number = int(read_line(asking))
    assert is_running(number)
    asking.kill()
    deadline = time.monotonic() + 120
    while is_running(number) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not is_running(number)


@pytest.mark.parametrize(("interrupt", "name"), [(signal.SIGINT, "KeyboardInterrupt"), (signal.SIGTERM, "Terminated")])
def test_an_interrupt_of_all_processes_is_for_who_asks(
    asking: "subprocess.Popen[str]", interrupt: signal.Signals, name: str
):
    read_line(asking)
    os.killpg(asking.pid, interrupt)
    assert read_line(asking) == f"['after {name}']"


@pytest.mark.parametrize("interrupt", [signal.SIGINT, signal.SIGTERM])
def test_a_second_interrupt_ends_what_is_under_way(asking: "subprocess.Popen[str]", interrupt: signal.Signals):
    number = int(read_line(asking))
    os.killpg(asking.pid, interrupt)
    assert [read_line(asking) for _ in range(2)][1] == "counting"
    time.sleep(1.0)  # who asks has asked, and waits for the answer by now
    os.killpg(asking.pid, interrupt)
    assert read_line(asking) == "counted"
    asking.wait(timeout=60)
    assert not is_running(number)


def test_what_is_under_way_is_ended_when_who_asks_is_killed(asking: "subprocess.Popen[str]"):
    read_line(asking)
    os.killpg(asking.pid, signal.SIGINT)
    assert [read_line(asking) for _ in range(2)][1] == "counting"
    asking.kill()
    assert read_line(asking) == "counted"
