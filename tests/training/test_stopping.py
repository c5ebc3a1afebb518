"""When a member stops, and what is kept of it."""

import numpy as np
import pytest

from pipelines.training import fit
from tests.tables import early, small_table, trial


def test_an_improvement_too_small_to_wait_for_is_kept_all_the_same() -> None:
    prepared, task = small_table()
    stopped, whole = fit([trial(stopping=early(2, min_delta=1e9), max_epochs=9), trial(max_epochs=3)], prepared, task)
    assert stopped.epochs == 3, "the first epoch, and two that are not enough better"
    curve = stopped.curves[f"validation/{task.metric}"]
    assert stopped.best_epoch == np.argmin(curve) == 2
    assert stopped.metrics[task.metric] == pytest.approx(min(curve))
    for name, weight in whole.weights.items():
        np.testing.assert_allclose(stopped.weights[name], weight, rtol=0, atol=1e-9)


def test_patience_counts_from_the_last_improvement_that_was_large_enough() -> None:
    prepared, task = small_table()
    ends = {}
    for min_delta in (0.0, 0.05, 1e9):
        (member,) = fit([trial(stopping=early(1, min_delta=min_delta), max_epochs=60)], prepared, task)
        ends[min_delta] = member.epochs
        curve = np.array(member.curves[f"validation/{task.metric}"])
        assert member.best_epoch == curve.argmin()
        assert (-np.diff(curve)[:-1] > min_delta).all(), "with a patience of one epoch each but the last improved"
    assert ends[0.0] > ends[0.05] > ends[1e9] == 2
