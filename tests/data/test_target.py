import math
from decimal import Decimal

import numpy as np
import polars as pl
import pytest

from pipelines.data.target import read_target
from pipelines.errors import UserError


def read(values, kind="auto", **options):
    return read_target(pl.Series("y", values, **options), kind, origin="FILE")


def message(values, kind="auto", **options) -> str:
    with pytest.raises(UserError) as caught:
        read(values, kind, **options)
    return str(caught.value)


@pytest.mark.parametrize(
    ("values", "kind", "classes", "reason"),
    [
        ([0, 1] * 10, "binary", ("0", "1"), "binary: 'y' has two values"),
        ([1.5, 2.5] * 10, "binary", ("1.5", "2.5"), "binary: 'y' has two values"),
        ([True, False] * 10, "binary", ("false", "true"), "binary: 'y' has two values"),
        (["no", "yes"] * 10, "binary", ("no", "yes"), "binary: 'y' has two values"),
        (["c", "a", "b"] * 10, "multiclass", ("a", "b", "c"), "multiclass: 'y' holds 3 labels"),
        ([10, 9, 2] * 10, "multiclass", ("2", "9", "10"), "multiclass: 'y' holds 3 different whole numbers"),
        ([1.0, 2.0, 3.0] * 10, "multiclass", ("1", "2", "3"), "multiclass: 'y' holds 3 different whole numbers"),
        ([0.5, 2.0, 3.0] * 10, "regression", (), "regression: 'y' holds numbers with fractions"),
        (list(range(100)), "regression", (), "regression: 'y' holds 100 different numbers"),
    ],
)
def test_the_task_is_inferred_and_says_why(values, kind, classes, reason):
    target, coded, is_known = read(values)
    assert (target.name, target.kind, target.classes, target.reason) == ("y", kind, classes, reason)
    assert is_known.all()
    if classes:
        assert coded.dtype == np.int64
        assert [str(value).lower().removesuffix(".0") for value in values] == [classes[code] for code in coded]
    else:
        np.testing.assert_array_equal(coded, np.array(values, dtype=np.float64))


def test_fractions_after_a_thousand_rows_still_make_a_regression():
    assert read([1.0, 2.0] * 1000 + [2.5, 2.25])[0].kind == "regression"


def test_a_forced_task_is_taken_and_said():
    assert read([1, 2] * 10, "regression")[0].reason == "regression, as asked for"
    assert read([1, 2] * 10, "multiclass")[0].classes == ("1", "2")
    assert read(["1", "2.5"] * 10, "regression")[1].tolist() == [1.0, 2.5] * 10


@pytest.mark.parametrize("missing", [None, float("nan")])
def test_rows_without_a_target_are_left_out_and_said(missing):
    target, coded, is_known = read([0.0, missing, 1.0] * 10)
    assert target.reason == "binary: 'y' has two values; 10 rows without a target are left out"
    assert is_known.to_list() == [True, False, True] * 10
    assert coded.tolist() == [0, 1] * 10
    assert read([0.5, missing, 1.0, 2.0])[1].tolist() == [0.5, 1.0, 2.0]


def test_a_target_without_a_value_is_refused():
    for values in ([None, None], [float("nan")] * 3):
        assert message(values, dtype=pl.Float64) == "FILE, column 'y': every value of the target is missing."


@pytest.mark.parametrize(("values", "shown"), [([7, 7, 7], "7"), (["a", None, "a"], "'a'")])
def test_a_target_with_one_value_is_refused(values, shown):
    assert message(values) == (f"FILE, column 'y': the target has one value only, {shown}. Nothing can be learned.")


def test_words_are_no_regression():
    assert message([None, "1", "many", "3"], "regression") == (
        "FILE, column 'y': regression needs finite numbers, found 'many' in row 3. "
        "Mend it, or use task=multiclass for labels."
    )


def test_an_infinite_number_among_words_is_no_regression():
    assert "found 'inf' in row 3" in message(["0.5", None, "inf", "2"], "regression")


@pytest.mark.parametrize("kind", ["auto", "regression", "binary", "multiclass"])
@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([1.0, None, math.inf] * 10, "inf in row 3"),
        ([0.0, -math.inf, 1.0, 2.0] * 20, "-inf in row 2"),
        ([0.5, 2.0, math.inf, 1.0], "inf in row 3"),
        ([math.inf] * 10, "inf in row 1"),
    ],
)
def test_an_infinite_target_is_refused_whatever_the_task(values, shown, kind):
    assert message(values, kind) == (
        f"FILE, column 'y': the target needs finite numbers, found {shown}. "
        "Mend it, or leave it empty: rows without a target are left out."
    )


def test_labels_may_be_whole_numbers_beyond_64_bits():
    assert read([1e300, 2.0] * 10)[0].classes == ("2.0", "1e+300")


def test_decimals_with_fractions_are_no_whole_numbers():
    decimals = [Decimal("0.25"), Decimal(2), Decimal(3)] * 20
    target, values, _ = read(decimals, dtype=pl.Decimal(10, 2))
    assert (target.kind, target.reason) == ("regression", "regression: 'y' holds numbers with fractions")
    assert values[:3].tolist() == [0.25, 2.0, 3.0]
    assert read([Decimal(1), Decimal(2)] * 10, dtype=pl.Decimal(10, 2))[0].classes == ("1", "2")


@pytest.mark.parametrize(
    ("values", "kind"),
    [([[1], [2]], "List(Int64)"), ([{"a": 1}, {"a": 2}], "Struct({'a': Int64})"), ([b"a", b"b"], "Binary")],
)
def test_what_is_no_single_thing_cannot_be_predicted(values, kind):
    assert message(values) == (
        f"FILE, column 'y': {kind} values cannot be predicted. Give numbers, booleans or labels."
    )


def test_three_classes_are_not_binary():
    assert message(["a", "b", "c"] * 10, "binary") == (
        "FILE, column 'y': task=binary needs 2 classes, found 3. Try task=multiclass."
    )


def test_more_classes_than_rows_can_teach_are_refused():
    assert message(["a", "b", "c", "d"]) == (
        "FILE, column 'y': 4 classes in 4 rows are too many to learn. "
        "Is it the right column? For a number use task=regression."
    )
