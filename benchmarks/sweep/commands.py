"""A whole search as a user types it, from the start of the command to its table: ours, Optuna's and Ray Tune's.

All read the same file, train on three fifths of its rows and validate on a fifth, with the same trials and epochs. Ours
beside that keeps every trial as a run, builds an ensemble, and exports and registers the best model.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import polars as pl

from benchmarks.results_file import Claim
from benchmarks.sweep.problem import Arrays
from benchmarks.sweep.settings import BATCH_ROWS, DECAYS, DROPOUTS, LEARNING_RATES, SETTINGS

ROOT = Path(__file__).parents[2]
LEAST_TIMES = 10.0
PEERS = {
    "Optuna + Lightning (2 processes)": "benchmarks.sweep.searches.with_optuna",
    "Ray Tune + Lightning (2 trials side by side)": "benchmarks.sweep.searches.with_ray",
}
FIXED = (
    *("data=table", "data.target=target", "data.name=bench", "optimizer=adamw", "stopping=none"),
    *("trainer.accelerator=cpu", "trainer.progress=false", f"trainer.batch_size={BATCH_ROWS}"),
)


def compare_commands(arrays: Arrays, *, width: int, epochs: int, rounds: int, peer_trials: int) -> list[Claim]:
    """Run all in turns.

    Args:
        arrays: of the table.
        width: units of both hidden layers.
        epochs: of every trial.
        rounds: in which each has its turn.
        peer_trials: that a peer trains; fewer than 64 leave it less of its start, a trial, than it has.
    """
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ("ours", *PEERS)}
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "table.parquet"
        _write_table(arrays, table)
        for _ in range(rounds):
            found["ours"].append(_run(_ours(table, width=width, epochs=epochs), _champion_loss))
            for name, module in PEERS.items():
                command = ["-m", module, str(table), str(width), str(epochs), str(peer_trials)]
                seconds, loss = _run(command, lambda _, printed: _told_loss(printed, n_trials=peer_trials))
                found[name].append((seconds * len(SETTINGS) / peer_trials, loss))
    return [_claim(found, name, width=width, epochs=epochs, peer_trials=peer_trials) for name in PEERS]


def _claim(
    found: dict[str, list[tuple[float, float]]], name: str, *, width: int, epochs: int, peer_trials: int
) -> Claim:
    ratio = median(peer / own for (own, _), (peer, _) in zip(found["ours"], found[name], strict=True))
    (own, own_loss), (peer, peer_loss) = (
        tuple(median(each[place] for each in found[who]) for place in (0, 1)) for who in ("ours", name)
    )
    scaled = "" if peer_trials == len(SETTINGS) else f", {peer_trials} of its trials measured"
    return Claim(
        claim=f"H={width}: the whole command, {len(SETTINGS)} trials of {epochs} epochs, beside {name}{scaled}",
        target=f"at most 1/{LEAST_TIMES:g}",
        measured=f"1/{ratio:.1f} ({own:.0f} against {peer:.0f} s; log loss {own_loss:.3f} against {peer_loss:.3f})",
        met=ratio >= LEAST_TIMES,
    )


def _write_table(arrays: Arrays, path: Path) -> None:
    x = pl.concat([pl.DataFrame(part) for part in (arrays.train_x, arrays.validation_x)])
    y = [*arrays.train_y, *arrays.validation_y]
    target = pl.Series("target", ["yes" if value else "no" for value in y])
    x.with_columns(target).write_parquet(path)


def _ours(table: Path, *, width: int, epochs: int) -> list[str]:
    def swept(name: str, values: tuple[float, ...]) -> str:
        return f"{name}={','.join(f'{value:g}' for value in values)}"

    space = (
        swept("optimizer.lr", LEARNING_RATES),
        swept("optimizer.weight_decay", DECAYS),
        swept("model.dropout", DROPOUTS),
    )
    own = (f"data.path={table}", f"model.hidden=[{width},{width}]", f"trainer.max_epochs={epochs}")
    return ["-m", "pipelines.train", "-m", *FIXED, *own, *space]


def _run(arguments: list[str], loss_of: Callable[[Path, str], float]) -> tuple[float, float]:
    """Seconds of a command in an empty folder, and the best validation loss that it found."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        printed = subprocess.check_output([sys.executable, *arguments], cwd=folder, env=environment, text=True)
        seconds = time.perf_counter() - started
        return seconds, loss_of(Path(folder), printed)


def _champion_loss(folder: Path, _: str) -> float:
    contract = json.loads((folder / "var" / "bundles" / "bench" / "1" / "contract.json").read_text(encoding="utf-8"))
    return float(contract["metrics"]["validation"]["log_loss"])


def _told_loss(printed: str, *, n_trials: int) -> float:
    told = json.loads(printed.splitlines()[-1])
    if told["n_trials"] != n_trials:
        raise RuntimeError(f"{told['n_trials']} of {n_trials} trials ended well:\n{printed[-2000:]}")
    return float(told["best"])
