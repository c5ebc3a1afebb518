"""The commands of docs/learning.md mean what they say: each composes, with as many trials as it lists; one is typed."""

import math
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines import train
from tests.hydra_plugins.fake_sweep import stand_in_for_training

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "learning.md").read_text()
COMMANDS = re.findall(r"```bash\n(.*?)\n```", PAGE, flags=re.DOTALL)


def n_listed(argument: str) -> int:
    field, _, values = argument.partition("=")
    if field == "seed":
        return len(range(*map(int, re.findall(r"\d+", values))))
    return 1 if values.startswith("[") else values.count(",") + 1


def test_there_is_a_command_for_every_question():
    assert len(COMMANDS) == PAGE.count("\n## ") == 6


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_composes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str):
    python, *arguments = shlex.split(command)
    assert [python, *arguments[:3]] == ["python", "-m", "pipelines.train", "-m"]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", arguments[1:])
    stand_in = stand_in_for_training(monkeypatch)
    train.main()
    (batch,) = stand_in.batches
    assert len(batch) == math.prod(map(n_listed, arguments[3:])) > 1


@pytest.mark.slow
def test_a_learning_rate_is_too_large(tmp_path: Path):
    done = subprocess.run(
        [sys.executable, *shlex.split(COMMANDS[0])[1:]],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    )
    assert "1 diverged" in done.stdout
    assert done.stderr == "", "a user who did nothing wrong is not warned"
    trials = re.findall(r"^\*? +lr=(\S+) +trial", done.stdout, flags=re.MULTILINE)
    assert trials[0] == "1"
    assert set(trials) == {"0.001", "0.01", "0.1", "1", "10"}
