"""Where a user compares the runs of a sweep: a saved view in MLflow's UI, and how to get there."""

import os
from collections.abc import Sequence

from pipelines.config.schema import TrackingConfig, TrialConfig
from pipelines.sweeps.table_setup import TableSetup
from pipelines.sweeps.trial_names import swept_names
from pipelines.tasks.metrics import HIGHER_IS_BETTER
from pipelines.tasks.task import Task
from pipelines.tracking.view import Comparison, save_comparison_view

UI_ADDRESS = "http://127.0.0.1:5000"  # of `make ui`
UI_VARIABLE = "SWEEPSTACK_UI"  # of the environment: where a browser finds the MLflow server, if not at tracking.uri


def where_to_compare(trials: Sequence[TrialConfig], setup: TableSetup) -> str:
    """Save a view of the runs on a table, and say in a line how to reach it.

    Args:
        trials: all that were trained on the table.
        setup: the table, and where its runs are recorded.
    """
    view = save_comparison_view(setup.recorder, _comparison(trials, setup.task, sweep=setup.folder.name))
    return f"Compare the runs: {_ui(trials[0].tracking)}/{view}"


def _comparison(trials: Sequence[TrialConfig], task: Task, *, sweep: str) -> Comparison:
    metric = f"validation/{task.metric}"
    return Comparison(
        sweep=sweep,
        params=swept_names(trials),
        metric=metric,
        best="highest" if HIGHER_IS_BETTER[task.metric] else "lowest",
        curves=["train/loss", "validation/loss", metric],
    )


def _ui(tracking: TrackingConfig) -> str:
    """How a user opens MLflow's UI, up to its address."""
    if tracking.kind == "server":
        return (os.environ.get(UI_VARIABLE) or tracking.uri).rstrip("/")
    return f"make ui, then {UI_ADDRESS}"
