"""Successive halving: after a few epochs the better part of a sweep's trials trains on, and again, and again.

Jamieson and Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter Optimization" (2016), algorithm 1.
Who ends where follows from the curves alone, so a sweep that was interrupted decides as it would have undisturbed.
"""

from collections.abc import Mapping, Sequence
from itertools import takewhile

import numpy as np

from pipelines.config.schema import HalvingConfig, TrialConfig
from pipelines.tasks.metrics import sign
from pipelines.tasks.task import Task

Curves = Mapping[str, Sequence[float]]


def rungs(trials: Sequence[TrialConfig]) -> list[int]:
    """The epochs, ascending, after which some of these trials compete."""
    return sorted({rung for trial in trials for rung in _rungs(trial)})


def losers(rung: int, trials: Sequence[TrialConfig], curves: Sequence[Sequence[Curves]], task: Task) -> set[int]:
    """Which trials end at a rung. Those of one setting compete; of n the best `n // eta`, at least one, train on.

    A trial that diverged, be it in the rung's last epoch, has ended already: it takes nobody's place.

    Args:
        rung: epochs done.
        trials: of the sweep.
        curves: what each trial's members have shown, at least up to the rung where it came so far: one member, or one a
            fold.
        task: says which curve counts.
    """
    competitions: dict[HalvingConfig, list[int]] = {}
    for place, trial in enumerate(trials):
        is_there = bool(curves[place]) and all(_reached(rung, of_member) for of_member in curves[place])
        if isinstance(trial.stopping, HalvingConfig) and rung in _rungs(trial) and is_there:
            competitions.setdefault(trial.stopping, []).append(place)
    return {
        place
        for setting, places in competitions.items()
        for place in _ranked(places, rung, curves, task)[max(1, len(places) // setting.eta) :]
    }


def _rungs(trial: TrialConfig) -> list[int]:
    stopping = trial.stopping
    if not isinstance(stopping, HalvingConfig):
        return []
    epochs = (stopping.min_epochs * stopping.eta**step for step in range(trial.trainer.max_epochs))
    return list(takewhile(lambda rung: rung < trial.trainer.max_epochs, epochs))


def _reached(rung: int, curves: Curves) -> bool:
    """Whether a member trained so far, and is well."""
    losses = [curves.get(name, ())[:rung] for name in ("train/loss", "validation/loss")]
    return all(len(curve) == rung and np.isfinite(curve).all() for curve in losses)


def _ranked(places: Sequence[int], rung: int, curves: Sequence[Sequence[Curves]], task: Task) -> list[int]:
    """Best first, by the best score up to the rung, of the model which a trial would leave; the mean over folds."""

    def best(place: int) -> float:
        values = [of_member[f"validation/{task.metric}"][:rung] for of_member in curves[place]]
        return float(np.mean([_best(of_member, task) for of_member in values]))

    return sorted(places, key=lambda place: (-best(place), place))


def _best(values: Sequence[float], task: Task) -> float:
    finite = np.array(values)[np.isfinite(values)]
    return float((sign(task.metric) * finite).max(initial=-np.inf))
