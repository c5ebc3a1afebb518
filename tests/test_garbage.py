"""What a command does about garbage, seen from a process of its own: what is set holds until it ends."""

import subprocess
import sys

# What is registered first is called last.
SCRIPT = """
import atexit, gc
atexit.register(lambda: print(gc.get_freeze_count() > 10_000))
from pipelines.garbage import spare_modules
{call}
import polars
gc.collect()
before = gc.get_stats()[0]["collections"]
kept = [[] for _ in range(50_000)]
print(gc.get_stats()[0]["collections"] - before)
"""


def said(call: str) -> list[str]:
    return subprocess.check_output([sys.executable, "-c", SCRIPT.format(call=call)], text=True).split()


def test_fifty_thousand_objects_are_no_reason_to_look_for_garbage_and_the_end_is_none_either():
    assert said("spare_modules()") == ["0", "True"]


def test_by_default_they_are():
    collections, is_frozen = said("")
    assert int(collections) > 10
    assert is_frozen == "False"
