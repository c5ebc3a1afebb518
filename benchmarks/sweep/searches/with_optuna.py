"""Optuna and Lightning: `python -m benchmarks.sweep.searches.with_optuna FILE WIDTH EPOCHS TRIALS`.

Two processes share a study in a journal, as Optuna's documentation says to use several cores.
"""

import json
import logging
import multiprocessing
import sys
import warnings
from dataclasses import asdict
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from benchmarks.sweep.searches.table import Parts, read_parts, train_trial
from benchmarks.sweep.settings import DECAYS, DROPOUTS, LEARNING_RATES, SETTINGS, Setting

JOURNAL, STUDY = "study.log", "search"
N_PROCESSES = 2


def main() -> None:
    """Search and print the table; the last line is for whoever measures."""
    path, width, epochs, n_trials = Path(sys.argv[1]), *map(int, sys.argv[2:5])
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    parts = read_parts(path)
    study = optuna.create_study(study_name=STUDY, storage=_storage())
    for setting in SETTINGS[:: len(SETTINGS) // n_trials][:n_trials]:
        study.enqueue_trial(asdict(setting))
    # Forked, they need not import anything again.
    workers = [
        multiprocessing.get_context("fork").Process(
            target=_work, args=(parts,), kwargs={"width": width, "epochs": epochs, "n_trials": n_trials // N_PROCESSES}
        )
        for _ in range(N_PROCESSES)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    print(study.trials_dataframe(attrs=("number", "value", "params", "state")).sort_values("value").to_string())
    print(json.dumps({"best": study.best_value, "n_trials": len(study.get_trials(states=_COMPLETE))}))


_COMPLETE = (optuna.trial.TrialState.COMPLETE,)


def _work(parts: Parts, *, width: int, epochs: int, n_trials: int) -> None:
    warnings.filterwarnings("ignore", module="pytorch_lightning")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)

    def objective(trial: optuna.Trial) -> float:
        setting = Setting(
            learning_rate=trial.suggest_float("learning_rate", LEARNING_RATES[0], LEARNING_RATES[-1], log=True),
            weight_decay=trial.suggest_float("weight_decay", DECAYS[0], DECAYS[-1]),
            dropout=trial.suggest_float("dropout", DROPOUTS[0], DROPOUTS[-1]),
        )
        return train_trial(setting, parts, width=width, epochs=epochs, callbacks=())

    optuna.load_study(study_name=STUDY, storage=_storage()).optimize(objective, n_trials=n_trials)


def _storage() -> JournalStorage:
    return JournalStorage(JournalFileBackend(JOURNAL))


if __name__ == "__main__":
    main()
