"""A whole search as a user types it, from the start of the command to its table: ours, Optuna's and Ray Tune's.

All read the same file, train on three fifths of its rows and validate on a fifth, with the same trials and epochs. Ours
beside that keeps every trial as a run, trains baselines, builds an ensemble, and exports and registers the best model.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import polars as pl

from benchmarks.results_file import Claim
from benchmarks.sweep.problem import Arrays
from benchmarks.sweep.searches.answer import read_answer
from benchmarks.sweep.settings import BATCH_ROWS, DECAYS, DROPOUTS, LEARNING_RATES, SETTINGS

ROOT = Path(__file__).parents[2]
LEAST_TIMES = 10.0
MOST_SHOWN = 200  # characters of an error, in the table
FIXED = (
    *("data=table", "data.target=target", "data.name=bench", "optimizer=adamw", "stopping=none"),
    *("trainer.accelerator=cpu", "trainer.progress=false", f"trainer.batch_size={BATCH_ROWS}"),
)


@dataclass(frozen=True)
class Peer:
    """Another search: its name, its command, and how many of its trials are trained at the same time."""

    name: str
    module: str
    side_by_side: int


PEERS = (
    Peer("Optuna + Lightning, one trial at a time", "benchmarks.sweep.searches.with_optuna", 1),
    Peer("Optuna + Lightning, two processes", "benchmarks.sweep.searches.with_optuna", 2),
    Peer("Ray Tune + Lightning, two trials side by side", "benchmarks.sweep.searches.with_ray", 2),
)


@dataclass(frozen=True)
class Found:
    """What a command took for all trials, in seconds, and the best validation loss that it found."""

    seconds: float
    loss: float


@dataclass(frozen=True)
class Searched:
    """How much every trial is trained, and how many of the 64 a peer's command trains."""

    width: int
    epochs: int
    peer_trials: int


def compare_commands(arrays: Arrays, searched: Searched, *, rounds: int) -> list[Claim]:
    """Run all in turns; a peer that fails has its line, too.

    Raises:
        RuntimeError: our own command failed.
    """
    ours: list[Found] = []
    theirs: dict[Peer, list[Found]] = {peer: [] for peer in PEERS}
    failed: dict[Peer, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "table.parquet"
        _write_table(arrays, table)
        for _ in range(rounds):
            ours.append(_run_ours(table, searched))
            for peer in PEERS:
                try:
                    theirs[peer].append(_run_peer(peer, table, searched))
                except RuntimeError as error:
                    print(error, flush=True)
                    failed[peer] = str(error)
    return [
        failed_claim(peer, searched, failed[peer]) if peer in failed else ratio_claim(peer, searched, ours, found)
        for peer, found in theirs.items()
    ]


def ratio_claim(peer: Peer, searched: Searched, ours: Sequence[Found], theirs: Sequence[Found]) -> Claim:
    """The median of the rounds' ratios beside its target."""
    ratio = median(other.seconds / own.seconds for own, other in zip(ours, theirs, strict=True))
    (own_seconds, own_loss), (seconds, loss) = (
        (median(each.seconds for each in found), median(each.loss for each in found)) for found in (ours, theirs)
    )
    return Claim(
        claim=_words(peer, searched),
        target=f"at most 1/{LEAST_TIMES:g}",
        measured=f"1/{ratio:.1f} ({own_seconds:.0f} against {seconds:.0f} s; "
        f"best log loss {own_loss:.3f} against {loss:.3f})",
        met=ratio >= LEAST_TIMES,
    )


def failed_claim(peer: Peer, searched: Searched, error: str) -> Claim:
    """A line that says why there is no figure."""
    shown = error.strip().splitlines()[-1][:MOST_SHOWN]
    return Claim(_words(peer, searched), f"at most 1/{LEAST_TIMES:g}", f"not measured: {shown}", met=False)


def _words(peer: Peer, searched: Searched) -> str:
    n_trials = len(SETTINGS)
    scaled = "" if searched.peer_trials == n_trials else f" (start and {searched.peer_trials} trials measured)"
    return (
        f"H={searched.width}: the whole command, {n_trials} trials of {searched.epochs} epochs, "
        f"beside {peer.name}{scaled}"
    )


def _run_ours(table: Path, searched: Searched) -> Found:
    def swept(name: str, values: tuple[float, ...]) -> str:
        return f"{name}={','.join(f'{value:g}' for value in values)}"

    space = (
        swept("optimizer.lr", LEARNING_RATES),
        swept("optimizer.weight_decay", DECAYS),
        swept("model.dropout", DROPOUTS),
    )
    hidden = f"model.hidden=[{searched.width},{searched.width}]"
    own = (f"data.path={table}", hidden, f"trainer.max_epochs={searched.epochs}")
    with tempfile.TemporaryDirectory() as folder:
        seconds, _ = _run(["-m", "pipelines.train", "-m", *FIXED, *own, *space], Path(folder))
        contract = json.loads((Path(folder) / "var/bundles/bench/1/contract.json").read_text(encoding="utf-8"))
    return Found(seconds, contract["metrics"]["validation"]["log_loss"])


def _run_peer(peer: Peer, table: Path, searched: Searched) -> Found:
    numbers = (searched.width, searched.epochs, searched.peer_trials, peer.side_by_side)
    with tempfile.TemporaryDirectory() as folder:
        seconds, printed = _run(["-m", peer.module, str(table), *map(str, numbers)], Path(folder))
    answer = read_answer(printed, n_trials=searched.peer_trials)
    return Found(answer.seconds_of_all(seconds, len(SETTINGS)), answer.best)


def _run(arguments: list[str], folder: Path) -> tuple[float, str]:
    """Seconds of a command in an empty folder, and what it printed.

    Raises:
        RuntimeError: it failed; shows the end of what it said.
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    started = time.perf_counter()
    ended = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, text=True, capture_output=True, check=False
    )
    seconds = time.perf_counter() - started
    if ended.returncode != 0:
        raise RuntimeError(f"python {' '.join(arguments[:3])} ended with {ended.returncode}: {ended.stderr[-2000:]}")
    return seconds, ended.stdout


def _write_table(arrays: Arrays, path: Path) -> None:
    x = pl.concat([pl.DataFrame(part) for part in (arrays.train_x, arrays.validation_x)])
    y = [*arrays.train_y, *arrays.validation_y]
    target = pl.Series("target", ["yes" if value else "no" for value in y])
    x.with_columns(target).write_parquet(path)
