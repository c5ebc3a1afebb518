"""A server does not grow with what it has answered: good and bad requests of both protocols, over and over."""

import itertools
import json
import threading
from collections import Counter
from pathlib import Path

import httpx
import pytest

from tests.serving.bundles import SALES_ROW, publish_sales
from tests.serving.http.test_hostile_wire import GOOD, NATIVE, TRITON
from tests.serving.processes import Running, running
from tests.serving.proofs import amount

N_BEFORE = 1_000
N_AFTER = amount(usual=4_000, whole=100_000)
N_CONNECTIONS = 8
MOST_GROWTH = 0.10
ROWS = json.dumps({"rows": [SALES_ROW] * 100}).encode()
# Path, body, and what is answered.
REQUESTS: list[tuple[str, bytes, int]] = [
    (NATIVE, GOOD[NATIVE], 200),
    (TRITON, GOOD[TRITON], 200),
    (NATIVE, ROWS, 200),
    (NATIVE, GOOD[NATIVE].replace(b"40", b"NaN"), 422),
    (NATIVE, b'{"rows": [{}]}', 422),
    (NATIVE, b"[" * 5_000, 422),
    (TRITON, b'{"inputs": 3}', 422),
    ("/models/nobody/predict", GOOD[NATIVE], 404),
    ("/nothing", b"{}", 404),
]


def resident_bytes(process_id: int) -> int:
    lines = Path(f"/proc/{process_id}/status").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith("VmRSS:")]
    return int(line.split()[1]) * 1024


def ask_often(server: Running, n_requests: int) -> Counter[tuple[int, int]]:
    """Asked and got status -> how many; names and ids differ from request to request, as those of attackers do."""
    answers: Counter[tuple[int, int]] = Counter()
    numbers, counting = itertools.count(), threading.Lock()

    def ask() -> None:
        with httpx.Client(base_url=server.address, timeout=60, verify=False) as client:
            while (number := next(numbers)) < n_requests:
                path, body, status = REQUESTS[number % len(REQUESTS)]
                path = path.replace("nobody", f"nobody{number}").replace("nothing", f"nothing{number}")
                headers = {"Content-Type": "application/json", "X-Request-ID": f"id-{number}"}
                got = client.post(path, content=body, headers=headers).status_code
                with counting:
                    answers[status, got] += 1

    threads = [threading.Thread(target=ask) for _ in range(N_CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


@pytest.mark.slow
def test_memory_stays_within_a_tenth_of_what_it_was_after_a_thousand_requests(tmp_path: Path):
    publish_sales(tmp_path)
    with running(tmp_path, "--bundles", str(tmp_path)) as server:
        before, after = (
            (ask_often(server, n_requests), resident_bytes(server.process.pid))
            for n_requests in (N_BEFORE, N_AFTER - N_BEFORE)
        )
        assert server.stop() == 0
    answers = before[0] + after[0]
    assert sum(answers.values()) == N_AFTER
    assert [pair for pair in answers if pair[0] != pair[1]] == []
    print(f"\n{before[1] / 2**20:.1f} MiB after {N_BEFORE:,} requests, {after[1] / 2**20:.1f} MiB after {N_AFTER:,}")
    assert after[1] <= (1 + MOST_GROWTH) * before[1]
