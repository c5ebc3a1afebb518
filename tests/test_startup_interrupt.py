"""Every command, interrupted while it still imports: an exit code of its own, and nothing to read."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# What each command imports while Python reads its module; in the tests one that never ends stands in for it.
COMMANDS = {
    "pipelines.train": "argparse",
    "pipelines.demo": "json",
    "serving": "argparse",
    "serving.score": "argparse",
    "serving.keys": "argparse",
    "serving.worker": "json",
}
ENDLESS = 'import time\nprint("imported", flush=True)\ntime.sleep(600)\n'


def ended(folder: Path, command: str, *signals: int, stands_in: str) -> tuple[int, str]:
    """Exit code and errors of a command that is sent signals during an import."""
    (folder / f"{stands_in}.py").write_text(ENDLESS)
    process = subprocess.Popen(
        [sys.executable, "-m", command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "imported\n"
    for number in signals:
        process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    return process.returncode, errors


def test_every_entry_point_is_asked() -> None:
    runnable = (path for half in ("pipelines", "serving") for path in (ROOT / half).rglob("*.py"))
    found = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__main__")
        for path in runnable
        if '\nif __name__ == "__main__":' in path.read_text(encoding="utf-8")
    }
    assert found == set(COMMANDS)


@pytest.mark.parametrize(("command", "stands_in"), COMMANDS.items(), ids=COMMANDS)
def test_ctrl_c_while_a_command_imports_ends_it_without_a_word(tmp_path: Path, command: str, stands_in: str) -> None:
    assert ended(tmp_path, command, signal.SIGINT, stands_in=stands_in) == (130, "")


def test_sigterm_meanwhile_ends_it_as_any_program(tmp_path: Path) -> None:
    answer = ended(tmp_path, "pipelines.train", signal.SIGTERM, stands_in="argparse")
    assert answer == (-signal.SIGTERM, "")


def test_what_a_shell_runs_in_the_background_is_not_interrupted(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as it starts such a command
    try:
        answer = ended(tmp_path, "serving.keys", signal.SIGINT, signal.SIGTERM, stands_in="argparse")
    finally:
        signal.signal(signal.SIGINT, before)
    assert answer == (-signal.SIGTERM, "")
