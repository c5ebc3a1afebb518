import numpy as np
import pytest
from hypothesis import given, strategies as st

from pipelines.data.splits import Split, check_classes, split_groups, split_rows, split_time
from pipelines.data.table import Target
from pipelines.errors import UserError

FRACTIONS = st.tuples(st.floats(0.05, 0.4), st.floats(0.05, 0.4))
SEEDS = st.integers(0, 2**32 - 1)


def parts(split: Split) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return split.train, split.validation, split.test


def assert_divides(split: Split, n_rows: int) -> None:
    assert all(len(part) for part in parts(split))
    assert all((np.diff(part) > 0).all() for part in parts(split))
    np.testing.assert_array_equal(np.sort(np.concatenate(parts(split))), np.arange(n_rows))


def assert_same(one: Split, other: Split) -> None:
    for left, right in zip(parts(one), parts(other), strict=True):
        np.testing.assert_array_equal(left, right)


@given(st.integers(10, 300), FRACTIONS, SEEDS)
def test_every_row_is_in_one_part_and_parts_have_their_size(n_rows, fractions, seed):
    ask = {"strata": None, "validation_fraction": fractions[0], "test_fraction": fractions[1], "seed": seed}
    split = split_rows(n_rows, **ask)
    assert_divides(split, n_rows)
    assert abs(len(split.validation) - n_rows * fractions[0]) <= 1
    assert abs(len(split.test) - n_rows * fractions[1]) <= 1
    assert_same(split, split_rows(n_rows, **ask))


@given(st.lists(st.integers(0, 3), min_size=10, max_size=300), FRACTIONS, SEEDS)
def test_each_class_has_its_share_of_each_part(strata, fractions, seed):
    codes = np.array(strata)
    split = split_rows(
        len(codes), strata=codes, validation_fraction=fractions[0], test_fraction=fractions[1], seed=seed
    )
    assert_divides(split, len(codes))
    n_classes = len(np.unique(codes))
    for part, fraction in ((split.validation, fractions[0]), (split.test, fractions[1])):
        for code in np.unique(codes):
            share = fraction * (codes == code).sum()
            assert abs((codes[part] == code).sum() - share) <= 2 + fraction * n_classes


def test_stratified_parts_are_within_one_row_of_the_share():
    codes = np.repeat([0, 1, 2], [70, 20, 10])
    for seed in range(20):
        split = split_rows(100, strata=codes, validation_fraction=0.2, test_fraction=0.2, seed=seed)
        for part in (split.validation, split.test):
            assert (abs(np.bincount(codes[part], minlength=3) - [14, 4, 2]) <= 1).all()


def test_another_seed_divides_otherwise():
    splits = [split_rows(100, strata=None, validation_fraction=0.2, test_fraction=0.2, seed=seed) for seed in (0, 1)]
    assert not np.array_equal(splits[0].test, splits[1].test)


@given(st.lists(st.integers(0, 9), min_size=10, max_size=200).filter(lambda x: len(set(x)) >= 3), FRACTIONS, SEEDS)
def test_a_group_is_never_in_two_parts(labels, fractions, seed):
    groups = np.array([f"group {label}" for label in labels])
    ask = {"validation_fraction": fractions[0], "test_fraction": fractions[1], "seed": seed}
    split = split_groups(groups, **ask)
    assert_divides(split, len(groups))
    of_parts = [set(groups[part]) for part in parts(split)]
    assert sum(map(len, of_parts)) == len(set.union(*of_parts))
    assert_same(split, split_groups(groups, **ask))


def test_two_groups_cannot_make_three_parts():
    with pytest.raises(UserError) as caught:
        split_groups(np.array(["a", "b"] * 10), validation_fraction=0.2, test_fraction=0.2, seed=0)
    assert str(caught.value) == "data.group has 2 different values; three parts need at least 3."


@given(st.lists(st.integers(0, 50), min_size=10, max_size=200), FRACTIONS)
def test_no_row_is_newer_than_one_of_a_later_part(times, fractions):
    values = np.array(times, dtype=np.float64)
    split = split_time(values, validation_fraction=fractions[0], test_fraction=fractions[1])
    assert_divides(split, len(values))
    assert values[split.train].max() <= values[split.validation].min()
    assert values[split.validation].max() <= values[split.test].min()


def test_of_equal_times_the_later_rows_are_the_newer():
    split = split_time(np.zeros(10), validation_fraction=0.2, test_fraction=0.2)
    assert [part.tolist() for part in parts(split)] == [[0, 1, 2, 3, 4, 5], [6, 7], [8, 9]]


@pytest.mark.parametrize(("n_rows", "said"), [(1, "1 row"), (9, "9 rows")])
def test_too_few_rows_are_refused(n_rows, said):
    with pytest.raises(UserError) as caught:
        split_rows(n_rows, strata=None, validation_fraction=0.2, test_fraction=0.2, seed=0)
    assert str(caught.value) == (
        f"The table has {said}, too few to divide into train, validation and test: give at least 10."
    )


def test_three_groups_of_too_few_rows_are_refused_likewise():
    with pytest.raises(UserError) as caught:
        split_groups(np.array(["a", "b", "c"] * 3), validation_fraction=0.2, test_fraction=0.2, seed=0)
    assert str(caught.value) == (
        "The table has 9 rows, too few to divide into train, validation and test: give at least 10."
    )


@pytest.mark.parametrize("folds_or_calibration", [0.0, 0.9])
@pytest.mark.parametrize(("n_rows", "validation", "test"), [(10, 0.49, 0.49), (10, 0.26, 0.66), (40, 0.3, 0.699)])
def test_fractions_that_leave_no_row_to_train_on_are_refused_with_the_rows_they_take(
    n_rows, validation, test, folds_or_calibration
):
    fractions = {
        "validation_fraction": validation,
        "test_fraction": test,
        "calibration_fraction": folds_or_calibration,
    }
    taken = f"{round(n_rows * test)} and {round(n_rows * validation)}"
    for split in (
        lambda: split_rows(n_rows, strata=None, seed=0, **fractions),
        lambda: split_rows(n_rows, strata=np.arange(n_rows) % 2, seed=0, **fractions),
        lambda: split_time(np.arange(float(n_rows)), **fractions),
    ):
        with pytest.raises(UserError) as caught:
            split()
        assert str(caught.value) == (
            f"data.test_fraction={test} and data.validation_fraction={validation} of {n_rows} rows are {taken}: none "
            "is left to train on. Make them smaller, or give more rows."
        )


@given(
    st.integers(10, 40),
    st.floats(0.001, 0.999),
    st.floats(0.001, 0.999),
    st.floats(0, 0.999),
    st.lists(st.integers(0, 4), min_size=40, max_size=40),
)
def test_any_fractions_give_every_part_a_row_or_are_refused(n_rows, validation, test, calibration, labels):
    fractions = {"validation_fraction": validation, "test_fraction": test, "calibration_fraction": calibration}
    keys = np.array(labels[:n_rows])
    for divide in (
        lambda: split_rows(n_rows, strata=keys, seed=0, **fractions),
        lambda: split_time(keys.astype(np.float64), **fractions),
        lambda: split_groups(keys, seed=0, **fractions),
    ):
        try:
            split = divide()
        except UserError:
            continue
        assert_divides(whole(split), n_rows)
        assert len(split.validation)


def test_a_class_that_training_lacks_is_named():
    target = Target("y", "multiclass", ("a", "b", "c"), "")
    codes = np.array([0, 0, 0, 1, 1, 2, 0, 0])
    split = Split(np.array([0, 1, 2]), np.array([3, 6]), np.array([4, 5, 7]))
    with pytest.raises(UserError) as caught:
        check_classes(split, codes, target)
    assert str(caught.value) == (
        "Column 'y': no row of the training part has class 'b' (1 in the validation part and 1 in the test part), "
        "'c' (1 in the test part). Add rows of it, leave it out, or change data.split_seed."
    )
    check_classes(Split(np.array([0, 3, 5]), np.array([6]), np.array([7])), codes, target)


def test_a_table_drawn_by_the_same_seed_is_not_divided_by_its_own_values() -> None:
    """Numpy's generator of seed 0 once drew both a table's first column and its division."""
    values = np.random.default_rng(0).random(300)
    split = split_rows(300, strata=None, validation_fraction=0.2, test_fraction=0.2, seed=0)
    means = [values[part].mean() for part in (split.train, split.validation, split.test)]
    assert max(means) - min(means) < 0.2


def whole(split: Split) -> Split:
    """With the calibration part back in the validation part, as `assert_same` compares them."""
    return Split(split.train, np.union1d(split.validation, split.calibration), split.test)


def assert_set_aside(split: Split, without: Split) -> None:
    """The calibration part comes out of the validation part, of which something is left, and out of nothing else."""
    assert len(split.validation)
    assert not np.intersect1d(split.validation, split.calibration).size
    assert (np.diff(split.calibration) > 0).all()
    assert_same(whole(split), without)


@given(st.lists(st.integers(0, 3), min_size=10, max_size=300), FRACTIONS, st.floats(0, 0.99), SEEDS)
def test_rows_for_calibration_come_out_of_the_validation_part(strata, fractions, share, seed):
    ask = {"validation_fraction": fractions[0], "test_fraction": fractions[1], "seed": seed, "strata": np.array(strata)}
    split, without = (split_rows(len(strata), calibration_fraction=own, **ask) for own in (share, 0.0))
    assert_set_aside(split, without)
    assert abs(len(split.calibration) - share * len(without.validation)) <= 1


@given(st.lists(st.integers(0, 9), min_size=10, max_size=200).filter(lambda x: len(set(x)) >= 3), FRACTIONS, SEEDS)
def test_a_group_is_calibrated_on_whole(labels, fractions, seed):
    groups = np.array(labels)
    ask = {"validation_fraction": fractions[0], "test_fraction": fractions[1], "seed": seed}
    split, without = (split_groups(groups, calibration_fraction=own, **ask) for own in (0.5, 0.0))
    assert_set_aside(split, without)
    assert not set(groups[split.calibration]) & set(groups[split.validation])
    assert len(split.calibration) <= len(without.validation) / 2


def test_in_time_calibration_lies_between_validation_and_test():
    split = split_time(np.arange(100.0), validation_fraction=0.2, test_fraction=0.2, calibration_fraction=0.5)
    assert split.validation.tolist() == list(range(60, 70))
    assert split.calibration.tolist() == list(range(70, 80))
