"""Laws of folds: every row is held out once, nothing of it is known where it is held out."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings, strategies as st

from pipelines.data.encode import encode, fit_encoder
from pipelines.data.folds import code_tables, number_places
from pipelines.data.prepare import PreparedTable
from pipelines.data.splits import check_fold_classes, fold_groups, fold_rows
from pipelines.data.table import Target
from pipelines.errors import UserError
from tests.data.asking import prepared
from tests.export.tables import raw_columns, table_of
from tests.folds import in_folds, raw_table

SEEDS = st.integers(0, 2**32 - 1)
N_FOLDS = st.integers(2, 7)


@given(n_rows=st.integers(7, 200), n_folds=N_FOLDS, n_classes=st.integers(0, 4), seed=SEEDS)
def test_sizes_of_folds_and_of_each_class_in_them_are_even(n_rows, n_folds, n_classes, seed):
    strata = np.random.default_rng(seed).integers(0, n_classes, n_rows) if n_classes else None
    folds = fold_rows(n_rows, n_folds=n_folds, strata=strata, seed=seed)
    counted = [folds] if strata is None else [folds, *(folds[strata == code] for code in range(n_classes))]
    for own in counted:
        sizes = np.bincount(own, minlength=n_folds)
        assert sizes.max() - sizes.min() <= 1
    np.testing.assert_array_equal(folds, fold_rows(n_rows, n_folds=n_folds, strata=strata, seed=seed))


@given(groups=st.lists(st.integers(0, 12), min_size=20, max_size=200), n_folds=N_FOLDS, seed=SEEDS)
def test_a_group_lies_in_one_fold_and_no_fold_is_empty(groups, n_folds, seed):
    keys = np.array([*groups, *range(20, 20 + n_folds)]).astype(str)
    folds = fold_groups(keys, n_folds=n_folds, seed=seed)
    assert all(len(set(folds[keys == key])) == 1 for key in set(keys))
    assert set(folds) == set(range(n_folds))


def test_folds_depend_on_the_seed_and_are_not_the_order_of_rows():
    one, other = (fold_rows(100, n_folds=5, strata=None, seed=seed) for seed in (0, 1))
    assert (one != other).any()
    assert (np.diff(one) != 1).sum() > 50


def test_more_folds_than_there_is_to_divide_is_a_mistake():
    with pytest.raises(UserError, match=r"data\.folds=5 needs at least 5 rows"):
        fold_rows(4, n_folds=5, strata=None, seed=0)
    with pytest.raises(UserError, match=r"data\.folds=5 needs one a fold"):
        fold_groups(np.array(["a", "b", "a", "b", "c"]), n_folds=5, seed=0)


def test_a_class_that_one_fold_holds_alone_is_a_mistake():
    target = Target("t", "binary", ("no", "yes"), "for a test")
    folds = np.array([0, 1, 2, 0, 1, 2])
    check_fold_classes(folds, np.array([0, 0, 0, 1, 1, 0]), target)
    with pytest.raises(UserError, match="class 'yes'"):
        check_fold_classes(folds, np.array([0, 0, 0, 1, 0, 0]), target)


@settings(deadline=None, max_examples=60)
@given(content=raw_columns(), n_folds=st.integers(2, 4), seed=SEEDS)
def test_each_fold_encodes_as_if_there_were_no_other_rows(content, n_folds, seed):
    kinds, features = content
    features = pl.concat([features] * n_folds)  # as many rows at least
    table = table_of(kinds, features)
    fold_of_row = fold_rows(features.height, n_folds=n_folds, strata=None, seed=seed)
    found, _ = in_folds(table, n_test=0, fold_of_row=fold_of_row)
    assert_every_row_is_held_out_once(found)
    for place, fold in enumerate(found.folds):
        assert fold.encoder == fit_encoder(table, fold.train)
        alone = encode(fold.encoder, features)
        numbers = number_places(fold.encoder, found.encoder)
        np.testing.assert_array_equal(found.train.features.numbers[place][:, numbers], alone.numbers)
        lacking = np.setdiff1d(np.arange(found.encoder.n_numbers), numbers)
        assert not found.train.features.numbers[place][:, lacking].any()
        for column, codes in enumerate(code_tables(fold.encoder, found.encoder)):
            np.testing.assert_array_equal(found.train.features.codes[place][:, column], codes[alone.codes[:, column]])


def assert_every_row_is_held_out_once(found: PreparedTable) -> None:
    held_out = np.concatenate([fold.held_out for fold in found.folds])
    np.testing.assert_array_equal(np.sort(held_out), np.arange(len(found.train.rows)))
    for fold in found.folds:
        both = np.concatenate([fold.train, fold.held_out])
        np.testing.assert_array_equal(np.sort(both), np.arange(len(found.train.rows)))


@pytest.mark.parametrize("kind", ["regression", "multiclass"])
def test_what_a_fold_holds_out_changes_nothing_that_it_trains_on(kind):
    table = raw_table(kind, awkward=True)
    found, task = in_folds(table)
    for place, fold in enumerate(found.folds):
        rows = found.train.rows[fold.held_out]
        numbers = {name: np.array(table.features.get_column(name)) for name in ("a", "b", "c")}
        for values in numbers.values():
            values[rows] *= 1e6
        target = table.target_values.copy()
        target[rows] = 0
        other, other_task = in_folds(
            replace(table, features=table.features.with_columns(**numbers), target_values=target),
            fold_of_row=np.array(
                [next(f for f, own in enumerate(found.folds) if row in own.held_out) for row in range(48)]
            ),
        )
        assert other.folds[place].encoder == fold.encoder
        for one, changed in zip(
            (found.train.features.numbers, found.train.features.codes),
            (other.train.features.numbers, other.train.features.codes),
            strict=True,
        ):
            np.testing.assert_array_equal(changed[place][fold.train], one[place][fold.train])
        assert other_task.of_fold(place) == task.of_fold(place)


def test_the_test_part_is_the_one_that_there_is_without_folds(tmp_path):
    frame = pl.DataFrame({"x": np.arange(50.0), "group": [f"g{row // 3}" for row in range(50)], "y": np.arange(50.0)})
    for keys in ({}, {"group": "group"}):
        plain = prepared(frame, tmp_path, **keys)
        folded = prepared(frame, tmp_path, folds=4, **keys)
        np.testing.assert_array_equal(plain.test.rows, folded.test.rows)
        assert_every_row_is_held_out_once(folded)
        assert len(folded.train.rows) + len(folded.test.rows) == 50
    groups = np.array(frame["group"])[folded.train.rows]
    for fold in folded.folds:
        assert not set(groups[fold.train]) & set(groups[fold.held_out])
