"""The table that a sweep ends with."""

import math
from concurrent.futures import Future

import numpy as np
import pytest

from pipelines.config.schema import MetricName
from pipelines.selection.ensemble import Selection
from pipelines.sweeps.finalists import Finalist, Finalists
from pipelines.sweeps.leaderboard import Row, leaderboard_rows, render_leaderboard
from pipelines.sweeps.run import TrialOutcome
from pipelines.sweeps.trial_result import TrialResult
from pipelines.tasks.task import Task
from tests.tables import trial

REGRESSION = Task(kind="regression", loss="mse", metric="rmse", classes=(), center=0.0, scale=1.0)
CLASSES = Task(kind="multiclass", loss="cross_entropy", metric="accuracy", classes=("a", "b"), center=0.0, scale=1.0)


@pytest.mark.parametrize(
    ("value", "error", "shown"),
    [
        (0.0, None, "0.0000"),
        (0.25, None, "0.2500"),
        (4720.8459, 165.77, "4,720.8 ± 165.8"),
        (2.31456e-6, 1.28e-7, "2.315e-06 ± 1.3e-07"),  # as a target of micrometres has
        (-0.00051239, None, "-0.0005124"),
        (1.1920929e-07, 0.0, "1.192e-07 ± 0"),
        (2.0006e11, 2.0856e10, "2.001e+11 ± 2.1e+10"),
        (math.inf, None, "inf"),
        (math.nan, None, "nan"),
    ],
)
def test_a_value_is_shown_with_its_digits_however_small_or_large_it_is(value: float, error: float | None, shown: str):
    errors: dict[MetricName, float] = {} if error is None else {"rmse": error}
    row = Row("adam", "trial", {"rmse": value}, {}, errors=errors)
    line = render_leaderboard("title", [row], REGRESSION).splitlines()[3]
    assert line.split("trial")[1].rstrip(" -").strip() == shown


def test_trials_of_one_score_stand_in_the_order_of_their_log_loss():
    outcomes = [outcome(str(number), log_loss) for number, log_loss in enumerate((0.3, 0.1, 0.4, 0.2))]
    best = Finalist(Selection(np.array([0.0, 1.0, 0.0, 0.0]), outcomes[1].result.metrics, 1.0), {1: 1.0})
    rows = leaderboard_rows(Finalists(best, None, best), outcomes, [], test={}, task=CLASSES)
    assert [row.name for row in rows] == ["1", "3", "0", "2"]


def outcome(name: str, log_loss: float) -> TrialOutcome:
    metrics: dict[MetricName, float] = {"accuracy": 1.0, "log_loss": log_loss}
    result = TrialResult([], None, metrics, np.empty((0, 2)))
    return TrialOutcome(trial(), name, name, result, Future(), 0)
