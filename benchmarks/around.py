"""`make bench-around`: what a sweep costs beside its training: composing, planning and logging 256 trials.

Measured is the very command that a user types, on a tiny table, with MLflow in a new SQLite file; each round in a
fresh process, imports not counted. Choosing, exporting and registering the champion come after and are told apart; in
a sweep they go on while runs are written, here they wait until all are.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from benchmarks.results_file import Claim, write_results

ROUNDS = 3
MOST_SECONDS = 8.0
SWEEP = ("data=iris", "model.hidden=[4]", "trainer.max_epochs=3", "trainer.accelerator=cpu", "trainer.progress=false")
LISTS = ("optimizer.lr=0.01,0.02,0.03,0.04", "model.dropout=0,0.1", "optimizer.l2=0,0.001", "seed=range(0,16)")
N_TRIALS = 256


def main() -> None:
    """Without arguments: measure and write the claim. With `measure`: one round, in this process."""
    if sys.argv[1:] == ["measure"]:
        print(json.dumps(measure()))
        return
    rounds = [_in_fresh_process() for _ in range(ROUNDS)]
    parts = {part: median(own[part] for own in rounds) for part in rounds[0]}
    around = median(own["total"] - own["train"] - own["finish"] for own in rounds)
    where = ", ".join(f"{part} {parts[part]:.1f}" for part in ("compose", "plan", "log", "train", "finish"))
    claim = Claim(
        claim=f"composing, planning and logging {N_TRIALS} trials of one architecture, beyond training",
        target=f"at most {MOST_SECONDS:.0f} s",
        measured=f"{around:.1f} s (median of {ROUNDS}; seconds: {where})",
        met=around <= MOST_SECONDS,
    )
    write_results("around", [claim], command="make bench-around")


def measure() -> dict[str, float]:
    """Seconds of the whole command and of its parts; `log` is what the command waits for its recorder."""
    from pipelines import sweep, train  # noqa: PLC0415  the parent process needs none of it
    from pipelines.engines import local  # noqa: PLC0415  likewise
    from pipelines.sweeps import table_sweep  # noqa: PLC0415  likewise
    from pipelines.tracking.process import RecorderProcess  # noqa: PLC0415  likewise

    recorders = RecorderProcess()
    recorders._beside.call("__repr__").result()  # noqa: SLF001  answered once it has imported MLflow
    train.RecorderProcess = lambda: recorders
    seconds = dict.fromkeys(("plan", "log", "train", "finish"), 0.0)
    _count(seconds, "plan", table_sweep, "plan_stacks")
    _count(seconds, "log", recorders, "open")
    _count(seconds, "train", local, "run_or_fail")
    _count(seconds, "finish", sweep, "finish_table")
    finish_table = sweep.finish_table  # waited for, before the clock of `finish` starts
    sweep.finish_table = lambda chosen, tell: (_wait(seconds, chosen.table), finish_table(chosen, tell=tell))[1]
    begun: list[float] = []
    open_sweep = sweep.open_sweep
    sweep.open_sweep = lambda recorders: (begun.append(perf_counter()), open_sweep(recorders))[1]
    sys.argv = ["train", "-m", *SWEEP, *LISTS]
    started = perf_counter()
    train.main()
    return {"total": perf_counter() - started, "compose": begun[0] - started, **seconds}


def _wait(seconds: dict[str, float], table: Any) -> None:
    """Until every run of the table is written."""
    started = perf_counter()
    for outcome in table.outcomes:
        outcome.recorded.result()
    seconds["log"] += perf_counter() - started


def _count(seconds: dict[str, float], part: str, owner: Any, name: str) -> None:
    """Add the time of every call of `owner.name` to a part."""
    call: Callable[..., Any] = getattr(owner, name)

    @wraps(call)
    def counted(*arguments: Any, **named: Any) -> Any:
        started = perf_counter()
        try:
            return call(*arguments, **named)
        finally:
            seconds[part] += perf_counter() - started

    setattr(owner, name, counted)


def _in_fresh_process() -> dict[str, float]:
    root = Path(__file__).parents[1]
    command = [sys.executable, "-m", "benchmarks.around", "measure"]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    with tempfile.TemporaryDirectory() as folder:
        printed = subprocess.check_output(command, cwd=folder, env=environment, text=True)
    own: dict[str, float] = json.loads(printed.splitlines()[-1])
    return own


if __name__ == "__main__":
    main()
