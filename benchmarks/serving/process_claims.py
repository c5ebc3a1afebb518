"""What the server's process is like: how soon it is ready, what it holds, and how evenly it answers."""

from statistics import median

import numpy as np

from benchmarks.results_file import Claim
from benchmarks.serving.cores import on_core
from benchmarks.serving.load import ask_for, latencies
from benchmarks.serving.own import Bench
from benchmarks.serving.questions import ask_rows

MOST_P99_BY_P50 = 3.0
MOST_START_SECONDS = 1.0
MOST_MB = 150.0
MOST_GROWTH = 0.1


def measure_latency(bench: Bench) -> Claim:
    """p99 and p50 at half of the highest rate, one row."""
    columns = bench.columns(1)
    found = []
    with bench.product() as product:
        turn = bench.turn(product, ask_rows(columns, last_class=bench.last_class), columns)
        highest = max(own.per_second for (own,) in bench.rates(turn))
        with on_core(bench.load_core):
            for _ in range(bench.effort.rounds):
                waits = latencies(
                    turn.port, turn.request, turn.answer, per_second=highest / 2, seconds=bench.effort.seconds
                )
                found.append(np.percentile(waits, [50, 99]) * 1e3)
    ratio = median(float(p99 / p50) for p50, p99 in found)
    p50, p99 = np.median(found, axis=0)
    return Claim(
        claim=f"1 row: p99 latency over p50, {highest / 2:,.0f} requests/s evenly (half of the highest rate)",
        target=f"at most {MOST_P99_BY_P50:g}",
        measured=f"{ratio:.1f} ({p99:.2f} against {p50:.2f} ms)",
        met=ratio <= MOST_P99_BY_P50,
    )


def measure_start(bench: Bench) -> list[Claim]:
    """From the start of the process until `/ready`, and its memory then."""
    seconds, resident = [], []
    for _ in range(bench.effort.starts):
        with bench.product() as product:
            seconds.append(product.seconds)
            resident.append(product.resident_mb)
    return [
        Claim(
            claim="from process start to ready",
            target=f"under {MOST_START_SECONDS:g} s",
            measured=f"{median(seconds):.2f} s (median of {len(seconds)}, at most {max(seconds):.2f})",
            met=median(seconds) < MOST_START_SECONDS,
        ),
        Claim(
            claim="resident memory when ready",
            target=f"under {MOST_MB:.0f} MB",
            measured=f"{median(resident):.0f} MB",
            met=median(resident) < MOST_MB,
        ),
    ]


def measure_memory(bench: Bench) -> Claim:
    """Whether requests leave something behind."""
    columns, effort = bench.columns(1), bench.effort
    with bench.product() as product:
        turn = bench.turn(product, ask_rows(columns, last_class=bench.last_class), columns)
        with on_core(bench.load_core):
            ask_for(turn.port, turn.request, turn.answer, times=effort.few_requests)
            before = product.resident_mb
            ask_for(turn.port, turn.request, turn.answer, times=effort.many_requests - effort.few_requests)
            after = product.resident_mb
    return Claim(
        claim=f"resident memory after {effort.many_requests:,} requests, beside that after {effort.few_requests:,}",
        target=f"within {MOST_GROWTH:.0%}",
        measured=f"{after / before - 1:+.1%} ({after:.0f} against {before:.0f} MB)",
        met=abs(after / before - 1) <= MOST_GROWTH,
    )
