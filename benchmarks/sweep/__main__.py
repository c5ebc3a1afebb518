"""Measure, print the table, write the results. `--quick` tries it out on fewer trials, epochs and rounds.

Everybody trains in this process, in turns, so that a busy machine slows all alike; figures are medians of rounds, a
trial. A peer's cost grows with its trials one by one, so it trains a few of the 64. Optuna and Ray Tune are compared as
whole commands instead, each in processes of its own.
"""

import argparse
import logging
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.results_file import Claim, write_results
from benchmarks.sweep.arithmetic import epoch_operations, measure_peak
from benchmarks.sweep.commands import Searched, compare_commands
from benchmarks.sweep.peers import train_bare, train_lightning, train_sklearn
from benchmarks.sweep.picture import draw_growth
from benchmarks.sweep.problem import Arrays, make_arrays, prepared_table, trial
from benchmarks.sweep.settings import BATCH_ROWS, N_ROWS, SETTINGS, Setting, spread_settings
from pipelines.config.schema import HalvingConfig, StoppingConfig
from pipelines.data.prepare import PreparedTable
from pipelines.engines import StackJob
from pipelines.engines.local import ThisProcess
from pipelines.sweeps.halving import losers, rungs
from pipelines.tasks.task import Task
from pipelines.training import StackState, fit

PEERS = {
    "plain Lightning with a DataLoader": (train_lightning, {32: 40.0, 128: 10.0}),
    "a bare torch loop": (train_bare, {32: 5.0, 128: 2.0}),
    "scikit-learn's RandomizedSearchCV (n_jobs=2)": (train_sklearn, {32: 8.0, 128: 3.0}),
}
SHARE_ROUNDS = 3
SHARES_OF_PEAK = {128: 0.4, 512: 0.6}
HALVING_TIMES = 2.5
GROWTH = (1, 4, 16, 64, 256, 1024)
GROWTH_ROUNDS = 3
COMMANDS_TRAIN_ROWS = N_ROWS * 3 // 5


@dataclass(frozen=True)
class Effort:
    """How much is trained.

    Attributes:
        epochs: of a trial.
        rounds: of the comparisons in this process.
        peer_trials: that a peer in this process trains, of the 64.
        most_members: of the largest stack.
        halving_epochs: of the comparison with halving.
        search_rounds: of the comparison of whole commands, which take long.
        search_epochs: of a trial in whole commands: as many as leave the start of a command a small part of its time.
        search_trials: that a peer's command trains, of the 64.
    """

    epochs: int
    rounds: int
    peer_trials: int
    most_members: int
    halving_epochs: int
    search_rounds: int
    search_epochs: int
    search_trials: int


WHOLE = Effort(
    epochs=3,
    rounds=7,
    peer_trials=4,
    most_members=1024,
    halving_epochs=81,
    search_rounds=2,
    search_epochs=20,
    search_trials=4,
)
QUICK = Effort(
    epochs=1,
    rounds=1,
    peer_trials=2,
    most_members=64,
    halving_epochs=9,
    search_rounds=1,
    search_epochs=2,
    search_trials=2,
)


def main() -> None:
    """Run all comparisons."""
    parser = argparse.ArgumentParser("python -m benchmarks.sweep", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="try it out; writes no results")
    effort = QUICK if parser.parse_args().quick else WHOLE
    warnings.filterwarnings("ignore", module="pytorch_lightning")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    arrays = make_arrays()
    prepared, task = prepared_table(arrays)
    _train_stack(SETTINGS, prepared, task, width=32, epochs=1)  # imports and first allocations are nobody's cost
    claims: list[Claim] = []
    for width in (32, 128):
        print(f"H={width}: trials in this process, then whole commands", flush=True)
        claims += _compare_peers(arrays, prepared, task, width=width, effort=effort)
        searched = Searched(width, effort.search_epochs, effort.search_trials)
        claims += compare_commands(arrays, searched, rounds=effort.search_rounds)
    print("Shares of the machine's peak, halving, and stacks of 1 member and more", flush=True)
    claims += [_share_of_peak(prepared, task, width=width, least=least) for width, least in SHARES_OF_PEAK.items()]
    claims += [_floor(width, epochs=effort.search_epochs) for width in (32, 128)]
    claims.append(_compare_halving(prepared, task, epochs=effort.halving_epochs))
    growth = _measure_growth(prepared, task, most=effort.most_members)
    claims.append(_growth_claim(growth))
    if effort is WHOLE:
        draw_growth(growth, Path("docs/pictures/stack_growth.svg"))
        write_results("sweep", claims, command="make bench-sweep")
    else:
        for claim in claims:
            print(claim)


def _train_stack(settings: Sequence[Setting], prepared: PreparedTable, task: Task, *, width: int, epochs: int) -> None:
    fit([trial(setting, width=width, epochs=epochs) for setting in settings], prepared, task)


def _seconds(train: Callable[[], object]) -> float:
    started = time.perf_counter()
    train()
    return time.perf_counter() - started


def _compare_peers(arrays: Arrays, prepared: PreparedTable, task: Task, *, width: int, effort: Effort) -> list[Claim]:
    few = spread_settings(effort.peer_trials)
    seconds: dict[str, list[float]] = {name: [] for name in ("stack", *PEERS)}
    for train, _ in PEERS.values():
        train(spread_settings(2), arrays, width=width, epochs=1)  # nor are theirs: scikit-learn starts two processes
    for _ in range(effort.rounds):
        whole = _seconds(partial(_train_stack, SETTINGS, prepared, task, width=width, epochs=effort.epochs))
        seconds["stack"].append(whole / len(SETTINGS))
        for name, (train, _) in PEERS.items():
            run = _seconds(partial(train, few, arrays, width=width, epochs=effort.epochs))
            seconds[name].append(run / len(few))
    return [
        _beside(name, seconds["stack"], seconds[name], target=targets[width], width=width, effort=effort)
        for name, (_, targets) in PEERS.items()
    ]


def _beside(
    peer: str, ours: Sequence[float], theirs: Sequence[float], *, target: float, width: int, effort: Effort
) -> Claim:
    """The median of the rounds' ratios, of seconds a trial."""
    ratio = median(other / own for own, other in zip(ours, theirs, strict=True))
    return Claim(
        claim=f"H={width}: time a trial of {effort.epochs} epochs in a stack of {len(SETTINGS)}, beside {peer} "
        f"({effort.peer_trials} of its trials measured)",
        target=f"at most 1/{target:g}",
        measured=f"1/{ratio:.3g} ({median(ours) * 1e3:.0f} against {median(theirs) * 1e3:.0f} ms)",
        met=ratio >= target,
    )


def _share_of_peak(prepared: PreparedTable, task: Task, *, width: int, least: float) -> Claim:
    """Operations that a stack's products need, by the time of an epoch, by what a large product reaches."""
    n_members = 64 if width <= 128 else 16  # noqa: PLR2004  enough to fill two cores, and no more memory than needed
    settings = spread_settings(n_members)
    peaks, short, long = [], [], []
    for _ in range(SHARE_ROUNDS):
        peaks.append(measure_peak())
        for seconds, epochs in ((short, 1), (long, 4)):
            seconds.append(_seconds(partial(_train_stack, settings, prepared, task, width=width, epochs=epochs)))
    peak = max(peaks)
    operations = epoch_operations(
        n_members, width=width, n_train=len(prepared.train.rows), n_validation=len(prepared.validation.rows)
    )
    share = operations / ((median(long) - median(short)) / 3) / peak
    return Claim(
        claim=f"H={width}: share of the machine's matrix peak, {n_members} members, validation included",
        target=f"at least {least:.0%}",
        measured=f"{share:.0%} of {peak / 1e9:.0f} GFLOP/s",
        met=share >= least,
    )


def _floor(width: int, *, epochs: int) -> Claim:
    """What no command can be quicker than, whatever it is written in."""
    operations = epochs * epoch_operations(len(SETTINGS), width=width, n_train=COMMANDS_TRAIN_ROWS, n_validation=0)
    return Claim(
        claim=f"H={width}: what the matrix products of training in the whole command take at this machine's peak",
        target="shown",
        measured=f"{operations / measure_peak():.1f} s",
        met=True,
    )


def _compare_halving(prepared: PreparedTable, task: Task, *, epochs: int) -> Claim:
    none, halving = None, HalvingConfig(kind="halving", eta=3, min_epochs=3)
    whole_seconds, whole = _run(prepared, task, none, epochs=epochs)
    halved_seconds, halved = _run(prepared, task, halving, epochs=epochs)
    losses = np.array([min(whole[0]), min(halved[0])])
    error = whole[1]
    return Claim(
        claim=f"halving (eta 3) against training all {len(SETTINGS)} trials for {epochs} epochs, H=32",
        target=f"at most 1/{HALVING_TIMES:g} of the time, log loss no worse than by its standard error",
        measured=f"1/{whole_seconds / halved_seconds:.2f}, log loss {losses[1]:.4f} against {losses[0]:.4f} "
        f"(standard error {error:.4f})",
        met=whole_seconds / halved_seconds >= HALVING_TIMES and losses[1] <= losses[0] + error,
    )


def _run(
    prepared: PreparedTable, task: Task, stopping: StoppingConfig | None, *, epochs: int
) -> tuple[float, tuple[list[float], float]]:
    """Train all settings to the end; seconds, every trial's best log loss, and the standard error of the best one's."""
    trials = [trial(setting, width=32, epochs=epochs, stopping=stopping) for setting in SETTINGS]
    pauses = rungs(trials)
    state: StackState | None = None
    ended: set[int] = set()
    started = time.perf_counter()
    for rung, until in zip([None, *pauses], [*pauses, None], strict=True):
        if rung is not None and state is not None:
            ended |= losers(rung, trials, [[own] for own in state.curves], task)  # a trial is of one member here
        job = StackJob(0, trials, state=state, ended=frozenset(ended), until_epoch=until)
        (done,) = ThisProcess().run([job], prepared, task)
        state = done.state
    seconds = time.perf_counter() - started
    if state is None:
        raise RuntimeError("a stack that was trained has a state")
    results = [state.results[place] for place in range(len(trials))]
    best = min(results, key=lambda own: own.metrics["log_loss"])
    of_rows = -np.log(best.predictions[np.arange(len(prepared.validation.target)), prepared.validation.target])
    error = float(of_rows.std() / np.sqrt(len(of_rows)))
    return seconds, ([own.metrics["log_loss"] for own in results], error)


def _measure_growth(prepared: PreparedTable, task: Task, *, most: int) -> dict[int, float]:
    """Milliseconds a step of stacks of K members, H=32; a step takes its share of validation with it."""
    n_steps = -(-len(prepared.train.rows) // BATCH_ROWS)
    growth = {}
    for n_members in (own for own in GROWTH if own <= most):
        settings = [SETTINGS[place % len(SETTINGS)] for place in range(n_members)]
        train = partial(_train_stack, settings, prepared, task, width=32)
        short, long = (
            median([_seconds(partial(train, epochs=epochs)) for _ in range(GROWTH_ROUNDS)]) for epochs in (1, 2)
        )
        growth[n_members] = (long - short) / n_steps * 1e3
    return growth


def _growth_claim(growth: dict[int, float]) -> Claim:
    alone = growth[1]
    shown = ", ".join(f"K={n_members}: {step:.1f} ms ({step / alone:.1f}x)" for n_members, step in growth.items())
    return Claim(
        claim="how the cost of a step grows with the members of a stack, H=32 (docs/pictures/stack_growth.svg)",
        target="shown",
        measured=shown,
        met=True,
    )


if __name__ == "__main__":
    main()
