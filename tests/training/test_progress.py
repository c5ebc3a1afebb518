from io import StringIO

import numpy as np
import pytest

from pipelines.training import ProgressLine, train_stack
from tests.tables import small_table, trial


def test_the_line_says_how_far_how_many_how_good_and_how_long() -> None:
    stream = StringIO()
    line = ProgressLine("stack 0", last_epoch=10, metric="rmse", write=stream.write)
    line.epoch_ended(4, values=np.array([0.5, 0.25, np.nan, 0.3]), n_steps=7)
    shown = stream.getvalue()
    assert shown.startswith("\r\033[K  stack 0: epoch 4/10, 4 members, rmse best 0.25, median 0.3, ")
    assert "steps/s, at most 0:0" in shown


def test_for_a_metric_that_should_be_high_the_best_is_the_highest() -> None:
    stream = StringIO()
    ProgressLine("s", last_epoch=2, metric="accuracy", write=stream.write).epoch_ended(
        1, values=np.array([0.5, 0.75, 0.6]), n_steps=1
    )
    assert "1/2, 3 members, accuracy best 0.75, median 0.6" in stream.getvalue()


@pytest.mark.parametrize("values", [[], [np.nan]])
def test_without_a_number_there_is_no_quality_to_show(values: list[float]) -> None:
    stream = StringIO()
    ProgressLine("s", last_epoch=2, metric="rmse", write=stream.write).epoch_ended(
        1, values=np.array(values), n_steps=1
    )
    assert "best" not in stream.getvalue()


def test_a_stack_tells_of_its_epochs_and_clears_the_line_when_it_ends() -> None:
    prepared, task = small_table()
    stream = StringIO()
    line = ProgressLine("stack 3", last_epoch=4, metric="rmse", write=stream.write)
    train_stack([trial(), trial(seed=1)], prepared, task, progress=line)
    assert "stack 3: epoch 1/4, 2 members, rmse best" in stream.getvalue()
    assert stream.getvalue().endswith("\r\033[K")
