"""What a sweep costs beside its training is measured on the command as it is."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = """
import json
from benchmarks import around
around.LISTS = ("seed=0,1",)
print(json.dumps(around.measure()))
"""


@pytest.mark.slow
def test_every_part_of_a_sweep_is_timed_and_no_part_twice(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    printed = subprocess.check_output([sys.executable, "-c", PROGRAM], cwd=tmp_path, env=environment, text=True)
    seconds = json.loads(printed.splitlines()[-1])
    total = seconds.pop("total")
    assert seconds.keys() == {"compose", "plan", "log", "train", "finish"}
    assert all(own > 0 for own in seconds.values())
    assert sum(seconds.values()) <= total
