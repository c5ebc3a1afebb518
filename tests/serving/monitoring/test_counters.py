"""Counts of several processes: whoever asks, and when, what was counted is there."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from serving.monitoring.counters import Counters


def test_threads_of_a_process_may_ask_at_the_same_time(tmp_path: Path):
    counters = Counters(tmp_path)
    counters.add("rows", ("a",), [2.0])
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda _: counters.of_all_processes(), range(400)))
    assert found == [({("rows", ("a",)): [2.0]}, 0)] * 400
