"""Everybody's way of training, on the table that everybody trains on."""

from collections.abc import Callable

import numpy as np
import pytest

from benchmarks.sweep.peers import train_bare, train_lightning, train_sklearn
from benchmarks.sweep.problem import Arrays, make_arrays, prepared_table, trial
from benchmarks.sweep.settings import N_COLUMNS, N_ROWS, spread_settings
from pipelines.training import fit
from tests.serving.proofs import IS_WHOLE

FEW = 600  # rows


@pytest.fixture
def few() -> Arrays:
    arrays = make_arrays()
    return Arrays(arrays.train_x[:FEW], arrays.train_y[:FEW], arrays.validation_x[:FEW], arrays.validation_y[:FEW])


def test_the_table_is_the_same_for_the_product_as_for_the_others():
    arrays = make_arrays()
    prepared, task = prepared_table(arrays)
    assert arrays.train_x.shape == (N_ROWS * 4 // 5, N_COLUMNS)
    assert np.array_equal(prepared.train.features.numbers, arrays.train_x)
    assert np.array_equal(prepared.validation.features.numbers, arrays.validation_x)
    assert np.array_equal(prepared.validation.target, arrays.validation_y)
    assert task.kind == "binary"
    assert 0.4 < arrays.train_y.mean() < 0.6  # both classes are worth learning


def test_a_stack_of_them_learns():
    prepared, task = prepared_table(make_arrays())
    results = fit([trial(own, width=8, epochs=1) for own in spread_settings(2)], prepared, task)
    slow, fast = (own.metrics["log_loss"] for own in results)
    assert fast < slow < 0.75
    assert fast < np.log(2)


@pytest.mark.slow
@pytest.mark.skipif(not IS_WHOLE, reason="the others, not this project: make proofs")
@pytest.mark.parametrize("train", [train_lightning, train_bare, train_sklearn])
def test_the_others_train_as_many(train: Callable[..., None], few: Arrays):
    train(spread_settings(2), few, width=8, epochs=1)
