"""Optuna and Lightning: `python -m benchmarks.sweep.searches.with_optuna FILE WIDTH EPOCHS TRIALS SIDE_BY_SIDE`.

One trial at a time, or processes that share a study in a journal, as Optuna's documentation says to use several cores.
"""

import logging
import multiprocessing
import sys
import warnings
from dataclasses import asdict
from pathlib import Path

import optuna
import torch
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from benchmarks.sweep.searches.answer import Answer
from benchmarks.sweep.searches.table import Parts, read_parts, train_trial
from benchmarks.sweep.settings import DECAYS, DROPOUTS, LEARNING_RATES, Setting, spread_settings

JOURNAL, STUDY = "study.log", "search"
COMPLETE = (TrialState.COMPLETE,)


def main() -> None:
    """Search, print the table, and answer."""
    path, width, epochs, n_trials, side_by_side = Path(sys.argv[1]), *map(int, sys.argv[2:6])
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    parts = read_parts(path)
    storage = None if side_by_side == 1 else _journal()  # in memory, it costs nothing
    study = optuna.create_study(study_name=STUDY, storage=storage)
    for setting in spread_settings(n_trials):
        study.enqueue_trial(asdict(setting))
    if side_by_side == 1:
        _optimize(study, parts, width=width, epochs=epochs, n_trials=n_trials)
    else:
        _share(parts, width=width, epochs=epochs, n_trials=n_trials // side_by_side, n_processes=side_by_side)
    print(study.trials_dataframe(attrs=("number", "value", "params", "state")).sort_values("value").to_string())
    seconds = tuple(own.duration.total_seconds() for own in study.get_trials(states=COMPLETE) if own.duration)
    Answer(study.best_value, seconds, side_by_side).tell()


def _share(parts: Parts, *, width: int, epochs: int, n_trials: int, n_processes: int) -> None:
    # Forked, they need not import anything again.
    workers = [
        multiprocessing.get_context("fork").Process(
            target=_work, args=(parts,), kwargs={"width": width, "epochs": epochs, "n_trials": n_trials}
        )
        for _ in range(n_processes)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def _work(parts: Parts, *, width: int, epochs: int, n_trials: int) -> None:
    torch.set_num_threads(1)  # a core each
    study = optuna.load_study(study_name=STUDY, storage=_journal())
    _optimize(study, parts, width=width, epochs=epochs, n_trials=n_trials)


def _optimize(study: optuna.Study, parts: Parts, *, width: int, epochs: int, n_trials: int) -> None:
    warnings.filterwarnings("ignore", module="pytorch_lightning")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)

    def objective(trial: optuna.Trial) -> float:
        setting = Setting(
            learning_rate=trial.suggest_float("learning_rate", LEARNING_RATES[0], LEARNING_RATES[-1], log=True),
            weight_decay=trial.suggest_float("weight_decay", DECAYS[0], DECAYS[-1]),
            dropout=trial.suggest_float("dropout", DROPOUTS[0], DROPOUTS[-1]),
        )
        return train_trial(setting, parts, width=width, epochs=epochs, callbacks=())

    study.optimize(objective, n_trials=n_trials)


def _journal() -> JournalStorage:
    return JournalStorage(JournalFileBackend(JOURNAL))


if __name__ == "__main__":
    main()
