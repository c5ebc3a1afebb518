"""Each search, as a command, on a small table."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from benchmarks.sweep.searches.answer import read_answer
from benchmarks.sweep.searches.table import read_parts
from benchmarks.sweep.settings import N_COLUMNS
from tests.serving.proofs import IS_WHOLE

ROOT = Path(__file__).parents[4]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    x = random.normal(3.0, 2.0, (500, N_COLUMNS))
    target = pl.Series("target", np.where(x[:, 0] > 3, "yes", "no"))
    path = tmp_path / "table.parquet"
    pl.DataFrame(x).with_columns(target).write_parquet(path)
    return path


def test_the_parts_are_standardised_by_the_one_that_is_trained_on(table: Path):
    parts = read_parts(table)
    (x, y), (validation_x, validation_y) = parts.train, parts.validation
    assert (x.shape, validation_x.shape) == ((300, N_COLUMNS), (100, N_COLUMNS))
    assert (len(y), len(validation_y)) == (300, 100)
    assert x.mean(axis=0) == pytest.approx(0, abs=1e-5)
    assert x.std(axis=0) == pytest.approx(1, abs=1e-5)
    assert np.abs(validation_x.mean(axis=0)).max() > 1e-3  # their own mean was not taken from them
    assert np.all((x[:, 0] > x[y == 0, 0].max()) == (y == 1))  # rows and classes stay together


@pytest.mark.slow
@pytest.mark.skipif(not IS_WHOLE, reason="the others, not this project: make proofs")
@pytest.mark.parametrize(("module", "side_by_side"), [("with_optuna", 1), ("with_optuna", 2), ("with_ray", 2)])
def test_a_search_trains_its_trials_and_answers(table: Path, tmp_path: Path, module: str, side_by_side: int):
    arguments = [str(table), "8", "2", "4", str(side_by_side)]  # width, epochs, trials
    printed = subprocess.check_output(
        [sys.executable, "-m", f"benchmarks.sweep.searches.{module}", *arguments],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        text=True,
    )
    answer = read_answer(printed, n_trials=4)
    assert answer.side_by_side == side_by_side
    assert 0 < answer.best < 1.0
    assert all(seconds > 0 for seconds in answer.trial_seconds)
