"""Rows that are kept to be looked at: as they were answered, no more than there is room for, and once."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from serving.monitoring.row_sample import MOST_ROWS, RowSample


def some_rows(first: int, n_rows: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Rows that say which they are: in a number, in labels that grow longer, and in their predictions."""
    numbers = np.arange(first, first + n_rows, dtype=np.float64)
    labels = np.array(["x" * (int(number) % 30) for number in numbers])
    return {"number": numbers, "label": labels}, np.stack([numbers, -numbers], axis=1).astype(np.float32)


def test_rows_come_back_in_their_order_and_once():
    sample = RowSample()
    assert sample.take() is None
    sample.add(*some_rows(0, 1))
    sample.add(*some_rows(1, 40))
    answered = sample.take()
    assert answered is not None
    columns, predictions = some_rows(0, 41)
    assert answered.columns.keys() == columns.keys()
    for name, values in columns.items():
        assert answered.columns[name].tolist() == values.tolist()
    np.testing.assert_array_equal(answered.predictions, predictions)
    assert answered.predictions.dtype == predictions.dtype
    assert sample.take() is None


def test_what_was_taken_stays_as_it_was():
    sample = RowSample()
    sample.add(*some_rows(0, 2))
    answered = sample.take()
    sample.add(*some_rows(5, 2))
    assert answered is not None
    assert answered.columns["number"].tolist() == [0.0, 1.0]


def test_what_a_caller_does_to_its_arrays_later_changes_nothing():
    sample = RowSample()
    columns, predictions = some_rows(0, 2)
    sample.add(columns, predictions)
    columns["number"][:] = np.nan
    predictions[:] = np.nan
    answered = sample.take()
    assert answered is not None
    assert answered.columns["number"].tolist() == [0.0, 1.0]
    assert np.isfinite(answered.predictions).all()


def test_more_rows_than_there_is_room_for_are_not_kept():
    sample = RowSample()
    sample.add(*some_rows(0, MOST_ROWS - 3))
    sample.add(*some_rows(MOST_ROWS - 3, 10))
    sample.add(*some_rows(0, 10))
    answered = sample.take()
    assert answered is not None
    assert answered.columns["number"].tolist() == list(range(MOST_ROWS))
    assert len(answered.predictions) == MOST_ROWS


def test_rows_of_several_threads_are_kept_whole_and_apart():
    sample = RowSample()
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda first: sample.add(*some_rows(first, 10)), range(0, 5000, 10)))
    answered = sample.take()
    assert answered is not None
    assert sorted(answered.columns["number"].tolist()) == list(range(5000))
    np.testing.assert_array_equal(answered.columns["number"], answered.predictions[:, 0])
